//! The header of HTTP Basic; the corpus test compares many more.

use watchtower_sidecar::django::authentication::{Basic, parse_basic};

const NO_CREDENTIALS: &str = "Invalid basic header. No credentials provided.";
const SPACES: &str = "Invalid basic header. Credentials string should not contain spaces.";
const NOT_BASE64: &str = "Invalid basic header. Credentials not correctly base64 encoded.";

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
