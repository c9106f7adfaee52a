//! Signed texts; `sessions` reads and writes those of a live Django.

use watchtower_sidecar::django::signing::{
    MAX_PAYLOAD_BYTES, SecretKey, SecretKeys, Undecodable, sign, sign_object, unsign_object,
};

fn key(text: &str) -> SecretKey {
    SecretKey::new(text.to_owned())
}

fn keys() -> SecretKeys {
    SecretKeys {
        current: key("test-secret-key"),
        fallbacks: vec![key("older"), key("oldest")],
    }
}

fn unsign(signed: &str, salt: &str) -> Result<Vec<u8>, Undecodable> {
    unsign_object(signed, salt, &keys())
}

#[test]
fn a_signed_value_comes_back_under_every_key_and_under_no_other() {
    for text in ["test-secret-key", "older", "oldest"] {
        let signed = sign_object(b"{}", "salt", &key(text), 1_700_000_000);
        assert!(signed.starts_with("e30:1r31eq:"), "{signed}");
        assert_eq!(unsign(&signed, "salt"), Ok(b"{}".to_vec()));
        assert_eq!(
            unsign(&signed, "other salt"),
            Err(Undecodable::BadSignature)
        );
    }
    let foreign = sign_object(b"{}", "salt", &key("foreign"), 5);
    assert_eq!(unsign(&foreign, "salt"), Err(Undecodable::BadSignature));
}

#[test]
fn the_timestamp_is_written_in_base62() {
    for (unix_seconds, text) in [(0, "0"), (61, "z"), (62, "10"), (i64::MAX, "AzL8n0Y58m7")] {
        let signed = sign("v", "salt", &key("older"), unix_seconds);
        assert!(signed.starts_with(&format!("v:{text}:")), "{signed}");
    }
}

#[test]
fn inflation_stops_at_the_limit() {
    for (size, expected) in [
        (MAX_PAYLOAD_BYTES, Ok(MAX_PAYLOAD_BYTES)),
        (MAX_PAYLOAD_BYTES + 1, Err(Undecodable::TooLarge)),
        (50 << 20, Err(Undecodable::TooLarge)),
    ] {
        let bomb = sign_object(&vec![b'x'; size], "salt", &key("older"), 0);
        assert!(bomb.starts_with('.') && bomb.len() < 100_000, "{size}");
        assert_eq!(unsign(&bomb, "salt").map(|data| data.len()), expected);
    }
}

#[test]
fn a_payload_may_be_padded_and_hold_foreign_characters() {
    let braces = || Ok(b"{}".to_vec());
    for (payload, expected) in [
        ("e30=", braces()),
        ("e30==", braces()),
        ("e!3\n0", braces()),
        ("é e30=ignored", braces()),
        ("-_+/", Ok(vec![0xfb, 0xff, 0xbf])),
        ("e30ab", Err(Undecodable::BadPayload)),
        (".e30", Err(Undecodable::BadPayload)),
        (".", Err(Undecodable::BadPayload)),
    ] {
        let signed = sign(payload, "salt", &key("older"), 0);
        assert_eq!(unsign(&signed, "salt"), expected, "{payload}");
    }
}
