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
            let again = SessionData::decode(&encoded, &keys).expect("just encoded");
            assert_eq!(again.to_json(), session.to_json());
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
fn a_user_id_is_the_text_that_django_writes() {
    const UUID: &str = "6f1c2b9e-8f1a-4b7e-9c8d-0123456789ab";
    let read = |json: &str, key_type| {
        let mut session = SessionData::new();
        session.set_json(USER_ID_NAME, json).expect("JSON");
        session.user_id(key_type).map(|id| id.to_string())
    };
    for id in ["1", "0", "-5", "18446744073709551615"] {
        let json = format!("\"{id}\"");
        assert_eq!(read(&json, KeyType::Integer).as_deref(), Some(id));
        assert_eq!(read(&json, KeyType::Uuid), None);
    }
    assert_eq!(
        read(&format!("\"{UUID}\""), KeyType::Uuid).as_deref(),
        Some(UUID)
    );
    for other in [
        "1",
        "null",
        "[1]",
        "\"01\"",
        "\"+1\"",
        "\" 1\"",
        "\"1_0\"",
        "\"\\u0661\"",
        "\"-9223372036854775809\"",
        "\"6f1c2b9e8f1a4b7e9c8d0123456789ab\"",
        "\"urn:uuid:6f1c2b9e-8f1a-4b7e-9c8d-0123456789ab\"",
    ] {
        for key_type in [KeyType::Integer, KeyType::Uuid] {
            assert_eq!(read(other, key_type), None, "{other}");
        }
    }
}

#[test]
fn undecodable_data_says_why() {
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(signing::MAX_PAYLOAD_BYTES));
    let cases = [
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
        (signed(b"{} x"), Undecodable::NotAnObject),
        (signed(b"[]"), Undecodable::NotAnObject),
        (signed(b"{\"a\":NaN}"), Undecodable::NotAnObject),
        (
            signed(b"\x80\x04cposix\nsystem\n"),
            Undecodable::NotAnObject,
        ),
        (signed(huge.as_bytes()), Undecodable::TooLarge),
    ];
    for (data, reason) in cases {
        assert_eq!(
            SessionData::decode(&data, &keys("k", &[])).err(),
            Some(reason),
            "{data:.60}"
        );
    }
}

#[test]
fn a_large_session_is_read_in_proportion_to_its_size() {
    let half = signing::MAX_PAYLOAD_BYTES / 2 - 20;
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(half), "]".repeat(half));
    let names: Vec<_> = (0..80_000)
        .map(|number| format!("\"{number}\":0"))
        .collect();
    for json in [nested, format!("{{{}}}", names.join(","))] {
        let session = SessionData::decode(&signed(json.as_bytes()), &keys("k", &[]));
        assert_eq!(session.expect("an object").to_json(), json);
    }
}

#[test]
fn a_login_is_read_as_the_whole_session_has_it() {
    let login = |json: &str| {
        let login = SessionData::decode_login(&signed(json.as_bytes()), &keys("k", &[]));
        login.map(|data| data.to_json())
    };
    // The last of equal names counts, however it is escaped.
    let json = r#"{"a":[{"_auth_user_id":"9"}],"_auth_user_id":"1","b":1e999,"\u005fauth_user_id":null,"_auth_user_hash":""}"#;
    let read = r#"{"_auth_user_id":null,"_auth_user_hash":""}"#;
    assert_eq!(login(json).as_deref(), Ok(read));
    assert_eq!(login("{}").as_deref(), Ok("{}"));
    for broken in [
        "[]",
        "{} x",
        r#"{"a":NaN}"#,
        r#"{"a":}"#,
        r#"{"\ud800":1}"#,
        "1",
    ] {
        let whole = SessionData::decode(&signed(broken.as_bytes()), &keys("k", &[]));
        assert_eq!(whole.err(), Some(Undecodable::NotAnObject), "{broken}");
        assert_eq!(login(broken), Err(Undecodable::NotAnObject), "{broken}");
    }
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
fn values_are_kept_as_they_were_written() {
    let json = "{\"b\":1.50,\"c\":\"\\ud800\",\"name\":1,\"b\":[ -0, 1e999 ],\"d\":\"\u{e9}\"}";
    let latin1: Vec<u8> = json.chars().map(|character| character as u8).collect();
    let mut session = SessionData::decode(&signed(&latin1), &keys("k", &[])).expect("an object");
    session.set_str("name", "\u{1d4b3}\"");
    session.set_json("list", " [{\"ü\": null}]").expect("JSON");
    assert!(session.set_json("list", "[1,").is_err());
    assert_eq!(
        session.to_json(),
        "{\"b\":[ -0, 1e999 ],\"c\":\"\\ud800\",\"name\":\"\\ud835\\udcb3\\\"\",\"d\":\"\\u00e9\",\
         \"list\":[{\"\\u00fc\": null}]}"
    );
    assert_eq!(session.get_str("d").as_deref(), Some("\u{e9}"));
    assert_eq!(
        (session.get_str("c"), session.get_str("list")),
        (None, None)
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
