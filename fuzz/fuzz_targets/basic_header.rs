//! The `Authorization` header of HTTP Basic, as `django::authentication::parse_basic` reads it.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use watchtower_sidecar_fuzz::django::authentication::{Basic, parse_basic};

fuzz_target!(|header: &[u8]| {
    let text = String::from_utf8_lossy(header);
    let mut words = text
        .split(|c: char| c == '\u{b}' || c.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let is_basic = words
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"));
    let encoded = words.next().filter(|_| words.next().is_none());
    // What another decoder, which is strict, makes of the only word behind the scheme.
    let strict = encoded.and_then(|word| STANDARD.decode(word).ok());

    match parse_basic(header) {
        Basic::NotBasic => assert!(!is_basic),
        Basic::Malformed(detail) => {
            assert!(is_basic && detail.starts_with("Invalid basic header. "));
            assert!(strict.is_none_or(|decoded| !decoded.contains(&b':')));
        }
        Basic::Credentials { username, password } => {
            assert!(is_basic && encoded.is_some());
            assert!(!username.contains(':'));
            let credentials = format!("{username}:{}", *password);
            if let Some(Ok(decoded)) = strict.map(String::from_utf8) {
                assert_eq!(decoded, credentials);
            }
            let again = format!("Basic {}", STANDARD.encode(&credentials));
            assert!(
                matches!(parse_basic(again.as_bytes()), Basic::Credentials { username: u, password: p }
                    if u == username && p == password)
            );
        }
    }
});
