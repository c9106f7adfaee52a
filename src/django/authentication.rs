//! The `Authorization` header as `BasicAuthentication` and `TokenAuthentication` of `rest_framework.authentication` read it
//! (DRF 3.18). Leaves out the user: the caller compares the credentials.

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

/// An `Authorization` header. No `Debug`: it holds a token.
pub enum Token {
    /// No header, or another scheme: the authenticator passes.
    OtherScheme,
    /// A header that cannot be read; the text is DRF's `detail`.
    Malformed(&'static str),
    /// The token's key
    Key(Zeroizing<String>),
}

/// DRF's details of a header with nothing behind its scheme, and with more than one word behind it.
type Details = [&'static str; 2];

const BASIC: Details = [
    "Invalid basic header. No credentials provided.",
    "Invalid basic header. Credentials string should not contain spaces.",
];
const TOKEN: Details = [
    "Invalid token header. No credentials provided.",
    "Invalid token header. Token string should not contain spaces.",
];
const NOT_UTF8: &str = "Invalid token header. Token string should not contain invalid characters.";
const NOT_BASE64: &str = "Invalid basic header. Credentials not correctly base64 encoded.";

/// `BasicAuthentication.authenticate` of DRF 3.18, up to the credentials. Several header lines are one value joined with
/// `,`, as gunicorn joins them. Text without a colon is malformed (DRF >= 3.15).
pub fn parse_basic(authorization: &[u8]) -> Basic {
    let encoded = match credentials(authorization, "basic", BASIC) {
        None => return Basic::NotBasic,
        Some(Err(detail)) => return Basic::Malformed(detail),
        Some(Ok(encoded)) => encoded,
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

/// `TokenAuthentication.authenticate` of DRF 3.18, up to the key.
pub fn parse_token(authorization: &[u8], keyword: &str) -> Token {
    match credentials(authorization, keyword, TOKEN) {
        None => Token::OtherScheme,
        Some(Err(detail)) => Token::Malformed(detail),
        Some(Ok(key)) => match std::str::from_utf8(key) {
            Ok(key) => Token::Key(Zeroizing::new(key.to_owned())),
            Err(_) => Token::Malformed(NOT_UTF8),
        },
    }
}

/// The word behind the scheme, or one of `details`; `None` for another scheme.
fn credentials<'a>(
    authorization: &'a [u8],
    scheme: &str,
    [nothing, spaces]: Details,
) -> Option<Result<&'a [u8], &'static str>> {
    let words = authorization.split(is_ascii_whitespace);
    let mut words = words.filter(|word| !word.is_empty());
    let is_meant = words.next()?.eq_ignore_ascii_case(scheme.as_bytes());
    is_meant.then(|| match (words.next(), words.next()) {
        (None, _) => Err(nothing),
        (Some(_), Some(_)) => Err(spaces),
        (Some(word), None) => Ok(word),
    })
}

/// The separators of Python's `bytes.split()`; `u8::is_ascii_whitespace` lacks the vertical tab.
fn is_ascii_whitespace(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
