//! What must hold of session data that was signed: shared by the targets that sign their input themselves.

use crate::django::json::MAX_DEPTH;
use crate::django::sessions::{
    AUTH_HASH_NAME, AuthHash, KeyType, SessionData, USER_ID_NAME, Undecodable,
    verify_session_auth_hash,
};
use crate::django::signing::{MAX_PAYLOAD_BYTES, SecretKey, SecretKeys, unsign_object};
use serde_json::Value;
use std::collections::HashSet;

/// `SessionStore.key_salt`
pub const SALT: &str = "django.contrib.sessions.SessionStore";
/// The key that signed the recorded sessions; here it is a former one.
pub const RECORDED_KEY: &str = "test-secret-key";

const PASSWORD: &str = "pbkdf2_sha256$1$abc$def";
/// The session auth hash of that password under the recorded key.
const AUTH_HASH: &str = "1b20eb272a91dea702316519af5d744c83ce9ba0c8621ae541c67d078a4500e8";

/// A current key, and the recorded one.
pub fn keys() -> SecretKeys {
    let key = |text: &str| SecretKey::new(text.to_owned());
    SecretKeys::new(key("current key"), vec![key(RECORDED_KEY)])
}

/// Reads a column that the current key signed. `json` is what was signed, where the column holds just that.
pub fn check_column(column: &str, json: Option<&[u8]>, keys: &SecretKeys) {
    match unsign_object(column, SALT, keys) {
        Ok(payload) => {
            assert!(payload.len() <= MAX_PAYLOAD_BYTES);
            assert!(json.is_none_or(|json| json == payload));
        }
        Err(_) => assert!(json.is_none_or(|json| json.len() > MAX_PAYLOAD_BYTES)),
    }
    let other = json.and_then(by_another_parser);
    match SessionData::decode(column, keys) {
        Ok(session) => {
            let text = session.to_json();
            if let Some(other) = other {
                let own = serde_json::from_str::<Value>(&text);
                assert_eq!(own.expect("JSON written"), other);
            }
            check_session(&session, &text, keys);
        }
        Err(Undecodable::BadSignature) => panic!("its own signature does not hold"),
        Err(Undecodable::BadJson) => assert!(other.is_none(), "JSON that was not read"),
        Err(_) => {}
    }
}

/// What another parser reads where Python reads the same: in ASCII (a session's bytes are Latin-1, not UTF-8), without
/// `-0`, which is an integer there, and in a text too short for an integer too long.
fn by_another_parser(json: &[u8]) -> Option<Value> {
    let alike = json.len() < 4300 && json.is_ascii() && !json.windows(2).any(|two| two == b"-0");
    serde_json::from_slice(json).ok().filter(|_| alike)
}

fn check_session(session: &SessionData, text: &str, keys: &SecretKeys) {
    assert!(text.is_ascii());
    assert!(depth(text) <= MAX_DEPTH);
    let names: HashSet<&str> = session.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), session.iter().count(), "a name twice");

    // Of a large one the instrumented deflation takes most of the time.
    if text.len() < 64 * 1024 {
        let again = SessionData::decode(&session.encode(keys, -1), keys);
        assert!(again.is_ok_and(|again| again == *session && again.to_json() == text));
    }

    for key_type in [KeyType::Integer, KeyType::Uuid] {
        if let Some(id) = session.user_id(key_type) {
            // As a login stores it.
            let mut login = SessionData::new();
            login.set_str(USER_ID_NAME, &id.to_string());
            assert_eq!(login.user_id(key_type), Some(id));
        }
    }

    let is_users = session.get_str(AUTH_HASH_NAME).as_deref() == Some(AUTH_HASH);
    let expected = match is_users {
        true => AuthHash::Fallback,
        false => AuthHash::Wrong,
    };
    let found = verify_session_auth_hash(session, PASSWORD, keys);
    assert_eq!(found, expected);
}

/// How deeply lists and objects nest in a text that is JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
