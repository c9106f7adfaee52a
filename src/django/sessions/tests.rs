//! Session data against what a live Django wrote and understood (tests/vectors/auth.json).

use super::*;

fn vectors() -> serde_json::Value {
    let file = include_str!("../../../tests/vectors/auth.json");
    serde_json::from_str(file).expect("the vectors are JSON")
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("a string")
}

fn key(text: &str) -> SecretKey {
    SecretKey::new(text.to_owned())
}

fn keys(current: &str, fallbacks: &[&str]) -> SecretKeys {
    SecretKeys::new(key(current), fallbacks.iter().copied().map(key).collect())
}

/// Signs any payload as Django's session engine would.
fn signed(json: &[u8]) -> String {
    signing::sign_object(json, SALT, &key("k"), 1_700_000_000)
}

#[test]
fn sessions_are_read_and_written_as_django_does() {
    for case in vectors()["sessions"].as_array().expect("a list") {
        let keys = keys(text(&case["key"]), &[]);
        let session = SessionData::decode(text(&case["text"]), &keys).expect("Django wrote it");
        assert_eq!(session.to_json(), text(&case["json"]));
        let unix_seconds = case["unix_seconds"].as_i64().expect("a number");
        let encoded = session.encode(&keys, unix_seconds);
        if text(&case["text"]).starts_with('.') {
            // Another zlib may compress otherwise; it must compress, and come back.
            assert!(encoded.starts_with('.'), "{encoded}");
            assert!(SessionData::decode(&encoded, &keys) == Ok(session));
        } else {
            assert_eq!(encoded, text(&case["text"]));
        }
    }
}

#[test]
fn auth_hashes_are_those_of_django() {
    for case in vectors()["auth_hashes"].as_array().expect("a list") {
        assert_eq!(
            session_auth_hash(text(&case["password"]), &key(text(&case["key"]))),
            text(&case["hash"])
        );
    }
}

#[test]
fn user_ids_are_read_as_the_model_fields_read_them() {
    let vectors = vectors();
    let cases = vectors["user_ids"].as_array().expect("a list");
    assert!(cases.len() > 40);
    for case in cases {
        let mut session = SessionData::new();
        session
            .set_json(USER_ID_NAME, text(&case["json"]))
            .expect("the vectors hold JSON");
        for (name, key_type) in [("integer", KeyType::Integer), ("uuid", KeyType::Uuid)] {
            let id = session.user_id(key_type).map(|id| id.to_string());
            assert_eq!(
                id.as_deref(),
                case[name].as_str(),
                "{} as {name}",
                case["json"]
            );
        }
    }
    assert_eq!(SessionData::new().user_id(KeyType::Integer), None);
}

#[test]
fn a_user_id_of_more_than_4300_digits_is_nobody() {
    for (digits, expected) in [(4300, Some(UserId::Integer(7))), (4301, None)] {
        let mut session = SessionData::new();
        session.set_str(USER_ID_NAME, &format!("{}7", "0".repeat(digits - 1)));
        assert_eq!(session.user_id(KeyType::Integer), expected);
    }
}

#[test]
fn undecodable_data_says_why() {
    let nested =
        |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(signing::MAX_PAYLOAD_BYTES));
    let cases = [
        ("".to_owned(), Undecodable::BadSignature),
        ("garbage".to_owned(), Undecodable::BadSignature),
        (
            signed(b"{}").replace("e30", "e31"),
            Undecodable::BadSignature,
        ),
        (
            signing::sign("e30ab", SALT, &key("k"), 0),
            Undecodable::BadPayload,
        ),
        (
            signing::sign(".e30", SALT, &key("k"), 0),
            Undecodable::BadPayload,
        ),
        (signed(b"{} x"), Undecodable::BadJson),
        (signed(b""), Undecodable::BadJson),
        (signed(huge.as_bytes()), Undecodable::TooLarge),
        (signed(&nested(64)), Undecodable::TooDeep),
        (signed(b"[]"), Undecodable::NotAnObject),
        (signed(b"null"), Undecodable::NotAnObject),
    ];
    for (data, reason) in cases {
        assert_eq!(
            SessionData::decode(&data, &keys("k", &[])).err(),
            Some(reason),
            "{data:.60}"
        );
    }
    assert!(SessionData::decode(&signed(&nested(63)), &keys("k", &[])).is_ok());
}

#[test]
fn a_session_signed_with_a_fallback_key_is_read() {
    assert!(SessionData::decode(&signed(b"{}"), &keys("new", &["other", "k"])).is_ok());
    assert!(SessionData::decode(&signed(b"{}"), &keys("new", &["other"])).is_err());
}

#[test]
fn the_auth_hash_may_be_made_under_any_key_but_must_be_there() {
    let (column, keys) = ("pbkdf2_sha256$1$abc$def", keys("new", &["old"]));
    let verify = |json: &str| {
        let mut session = SessionData::new();
        session.set_json(AUTH_HASH_NAME, json).expect("JSON");
        verify_session_auth_hash(&session, column, &keys)
    };
    let hash_under = |text: &str| format!("\"{}\"", session_auth_hash(column, &key(text)));
    assert_eq!(verify(&hash_under("new")), AuthHash::Current);
    assert_eq!(verify(&hash_under("old")), AuthHash::Fallback);
    for wrong in [
        &hash_under("other"),
        &hash_under("new").to_uppercase(),
        "\"\"",
        "null",
        "1",
        "[]",
        "\"\\ud800\"",
    ] {
        assert_eq!(verify(wrong), AuthHash::Wrong, "{wrong}");
    }
    assert_eq!(
        verify_session_auth_hash(&SessionData::new(), column, &keys),
        AuthHash::Wrong
    );
}

#[test]
fn a_session_is_an_ordered_dict_of_canonical_json() {
    let mut session = SessionData::new();
    assert!(session.is_empty());
    session.set_str("name", "é\"");
    session
        .set_json("list", " [1.50, -0, {\"ü\": null}]")
        .expect("JSON");
    session.set_str("name", "x");
    session.set_str("last", "");
    assert!(session.set_json("list", "[1,").is_err());
    session.remove("last");
    assert_eq!(session.get("list"), Some(r#"[1.5,0,{"\u00fc":null}]"#));
    assert_eq!(
        (session.get_str("name").as_deref(), session.get_str("list")),
        (Some("x"), None)
    );
    let entries: Vec<_> = session.iter().collect();
    assert_eq!(
        entries,
        [("name", r#""x""#), ("list", r#"[1.5,0,{"\u00fc":null}]"#)]
    );
    assert_eq!(
        session.to_json(),
        r#"{"name":"x","list":[1.5,0,{"\u00fc":null}]}"#
    );
}

#[test]
fn new_session_keys_use_every_character_equally() {
    // Each byte value once per 256: what is left after dropping 252..=255 holds each of the 36 characters seven times.
    let mut next = 0u8;
    let mut fill = |buffer: &mut [u8]| {
        for byte in buffer {
            *byte = next;
            next = next.wrapping_add(1);
        }
        Ok::<(), ()>(())
    };
    let mut counts = std::collections::HashMap::new();
    for _ in 0..360 {
        let key = new_session_key(&mut fill).expect("this source never fails");
        assert_eq!(key.len(), 32);
        key.chars()
            .for_each(|character| *counts.entry(character).or_insert(0) += 1);
    }
    assert!(
        counts
            .keys()
            .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit())
    );
    assert_eq!(counts.len(), 36);
    assert_eq!(new_session_key(|_| Err("no entropy")), Err("no entropy"));
}
