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

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(header: &[u8]) -> (Option<String>, String) {
        match parse_basic(header) {
            Basic::NotBasic => (None, "not basic".to_owned()),
            Basic::Malformed(detail) => (None, detail.to_owned()),
            Basic::Credentials { username, password } => (Some(username), password.to_string()),
        }
    }

    fn credentials(username: &str, password: &str) -> (Option<String>, String) {
        (Some(username.to_owned()), password.to_owned())
    }

    #[test]
    fn another_scheme_is_not_basic() {
        for header in [
            &b""[..],
            b"Bearer x",
            b"Basic: x",
            b"BasicYTpi",
            b"Token a",
            b"\xa0Basic YTpi",
        ] {
            assert_eq!(verdict(header).1, "not basic");
        }
    }

    #[test]
    fn any_ascii_whitespace_separates_and_the_scheme_has_no_case() {
        assert_eq!(verdict(b" \tbAsIc\x0b \x0cYTpi\r\n"), credentials("a", "b"));
    }

    #[test]
    fn the_number_of_words_is_checked_before_the_base64() {
        assert_eq!(verdict(b"Basic ").1, NO_CREDENTIALS);
        assert_eq!(verdict(b"Basic ! !").1, SPACES);
        assert_eq!(verdict(b"Basic YTpi,Basic YTpi").1, SPACES);
    }

    #[test]
    fn foreign_bytes_are_dropped_and_decoding_stops_at_correct_padding() {
        assert_eq!(verdict(b"Basic -Y_T!p\xe9i"), credentials("a", "b"));
        assert_eq!(verdict(b"Basic YTo=QUJD"), credentials("a", ""));
        assert_eq!(verdict(b"Basic YTpi===="), credentials("a", "b"));
        assert_eq!(verdict(b"Basic YTo").1, NOT_BASE64);
        assert_eq!(verdict(b"Basic YTpiY").1, NOT_BASE64);
    }

    #[test]
    fn text_without_a_colon_is_malformed() {
        assert_eq!(verdict(b"Basic QQ==QUJD").1, NOT_BASE64);
    }

    #[test]
    fn what_is_not_utf8_is_latin1_as_a_whole() {
        // C3 A9 3A FF: the first two bytes are UTF-8 on their own.
        assert_eq!(
            verdict(b"Basic w6k6/w=="),
            credentials("\u{c3}\u{a9}", "\u{ff}")
        );
    }
}
