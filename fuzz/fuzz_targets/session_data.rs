//! The column `session_data`: as strangers may have written it, and behind a valid signature, which the target makes.
//! The first byte of the input says what the rest is.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use watchtower_sidecar_fuzz::django::sessions::{
    AUTH_HASH_NAME, AuthHash, BACKEND_NAME, KeyType, SessionData, USER_ID_NAME, Undecodable,
    verify_session_auth_hash,
};
use watchtower_sidecar_fuzz::django::signing::{
    MAX_PAYLOAD_BYTES, SecretKey, SecretKeys, sign, sign_object, unsign_object,
};

/// `SessionStore.key_salt`
const SALT: &str = "django.contrib.sessions.SessionStore";
/// The key that signed the recorded sessions; here it is a former one.
const RECORDED_KEY: &str = "test-secret-key";

const PASSWORD: &str = "pbkdf2_sha256$1$abc$def";
/// The session auth hash of that password under the recorded key.
const AUTH_HASH: &str = "1b20eb272a91dea702316519af5d744c83ce9ba0c8621ae541c67d078a4500e8";

/// A current key, and the recorded one.
fn keys() -> SecretKeys {
    let key = |text: &str| SecretKey::new(text.to_owned());
    SecretKeys::new(key("current key"), vec![key(RECORDED_KEY)])
}

/// What Django signed with the recorded key; all of it is among the seeds.
static GENUINE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let file = include_str!("../../tests/vectors/auth.json");
    let vectors: serde_json::Value = serde_json::from_str(file).expect("the vectors are JSON");
    let sessions = vectors["sessions"].as_array().expect("a list");
    sessions
        .iter()
        .filter(|session| session["key"] == RECORDED_KEY)
        .map(|session| session["text"].as_str().expect("a string").to_owned())
        .collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let keys = keys();
    let signed = |payload: &str| sign(payload, SALT, keys.current(), 0);
    match kind {
        // A column.
        b'c' => check_unsigned(&String::from_utf8_lossy(rest), &keys),
        // What is to be JSON.
        b'j' => {
            let column = sign_object(rest, SALT, keys.current(), 0);
            check_column(&column, Some(rest), &keys);
        }
        // A zlib stream, whole or broken.
        b'z' => {
            let payload = format!(".{}", URL_SAFE_NO_PAD.encode(rest));
            check_column(&signed(&payload), None, &keys);
        }
        // Any payload.
        _ => check_column(&signed(&String::from_utf8_lossy(rest)), None, &keys),
    }
});

/// A column that no key signed is refused for its signature, before anything of it is decoded.
fn check_unsigned(column: &str, keys: &SecretKeys) {
    let is_genuine = GENUINE.iter().any(|signed| signed == column);
    match SessionData::decode(column, keys) {
        Err(Undecodable::BadSignature) => assert!(!is_genuine),
        Err(other) => panic!("{other:?}: it was looked into before the signature held"),
        Ok(_) => assert!(is_genuine, "a forged session"),
    }
}

/// Reads a column that the current key signed. `json` is what was signed, where the column holds just that.
fn check_column(column: &str, json: Option<&[u8]>, keys: &SecretKeys) {
    match unsign_object(column, SALT, keys) {
        Ok(payload) => {
            assert!(payload.len() <= MAX_PAYLOAD_BYTES);
            assert!(json.is_none_or(|json| json == payload));
        }
        Err(_) => assert!(json.is_none_or(|json| json.len() > MAX_PAYLOAD_BYTES)),
    }
    let whole = SessionData::decode(column, keys);
    match (whole, SessionData::decode_login(column, keys)) {
        (Ok(session), Ok(login)) => {
            for name in [USER_ID_NAME, BACKEND_NAME, AUTH_HASH_NAME] {
                assert_eq!(login.get(name), session.get(name));
            }
            check_session(&session, keys);
        }
        (Err(whole), Err(login)) => {
            assert_eq!(whole, login);
            assert!(whole != Undecodable::BadSignature);
        }
        _ => panic!("a session for one reader only"),
    }
}

fn check_session(session: &SessionData, keys: &SecretKeys) {
    let text = session.to_json();
    assert!(text.is_ascii());
    let again = SessionData::decode(&session.encode(keys, -1), keys);
    assert!(again.is_ok_and(|again| again.to_json() == text));

    for key_type in [KeyType::Integer, KeyType::Uuid] {
        if let Some(id) = session.user_id(key_type) {
            assert_eq!(session.get_str(USER_ID_NAME), Some(id.to_string()));
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
