//! The `Authorization` header of HTTP Basic, as `rest_framework.authentication.BasicAuthentication` reads it (DRF 3.18).
//! Leaves out the user: the caller compares the credentials.

use super::python::a2b_base64;
use zeroize::Zeroizing;

/// An `Authorization` header. No `Debug`: it holds a password.
pub enum Basic {
    /// No header, or another scheme: the authenticator passes (`authenticate` returns `None`).
    NotBasic,
    /// A Basic header that cannot be read; the text is DRF's `detail`.
    Malformed(&'static str),
    /// A user name and a password as they were decoded, not trimmed and not normalised.
    Credentials {
        /// Up to the first colon
        username: String,
        /// Everything after the first colon
        password: Zeroizing<String>,
    },
}

const NO_CREDENTIALS: &str = "Invalid basic header. No credentials provided.";
const SPACES: &str = "Invalid basic header. Credentials string should not contain spaces.";
const NOT_BASE64: &str = "Invalid basic header. Credentials not correctly base64 encoded.";

/// `BasicAuthentication.authenticate` of DRF 3.18, up to the credentials. Several header lines are one value joined with
/// `,`, as gunicorn joins them. Text without a colon is malformed (DRF >= 3.15).
pub fn parse_basic(authorization: &[u8]) -> Basic {
    let mut words = authorization
        .split(is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    match words.next() {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"basic") => {}
        _ => return Basic::NotBasic,
    }
    let encoded = match (words.next(), words.next()) {
        (None, _) => return Basic::Malformed(NO_CREDENTIALS),
        (Some(_), Some(_)) => return Basic::Malformed(SPACES),
        (Some(encoded), None) => encoded,
    };
    let Some(decoded) = a2b_base64(encoded.iter().copied()) else {
        return Basic::Malformed(NOT_BASE64);
    };
    let text = match std::str::from_utf8(&decoded) {
        Ok(text) => Zeroizing::new(text.to_owned()),
        // Latin-1, where a character takes at most two bytes in UTF-8. A buffer that grows would leave a copy behind.
        Err(_) => {
            let mut text = Zeroizing::new(String::with_capacity(decoded.len() * 2));
            text.extend(decoded.iter().copied().map(char::from));
            text
        }
    };
    match text.split_once(':') {
        Some((username, password)) => Basic::Credentials {
            username: username.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        },
        None => Basic::Malformed(NOT_BASE64),
    }
}

/// The separators of Python's `bytes.split()`; `u8::is_ascii_whitespace` lacks the vertical tab.
fn is_ascii_whitespace(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
