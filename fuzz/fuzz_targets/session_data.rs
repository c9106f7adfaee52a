//! The column `session_data`: as strangers may have written it, and behind a valid signature, which the target makes.
//! The first byte of the input says what the rest is.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use watchtower_sidecar_fuzz::django::sessions::{SessionData, Undecodable};
use watchtower_sidecar_fuzz::django::signing::{SecretKeys, sign, sign_object};
use watchtower_sidecar_fuzz::session::{RECORDED_KEY, SALT, check_column, keys};

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
        // A zlib stream, be it a broken one.
        b'z' => {
            let payload = format!(".{}", URL_SAFE_NO_PAD.encode(rest));
            check_column(&signed(&payload), None, &keys);
        }
        // Any payload.
        _ => check_column(&signed(&String::from_utf8_lossy(rest)), None, &keys),
    }
});

/// Nothing is read that no key signed, and nothing of it is looked into.
fn check_unsigned(column: &str, keys: &SecretKeys) {
    let is_genuine = GENUINE.iter().any(|signed| signed == column);
    match SessionData::decode(column, keys) {
        Err(Undecodable::BadSignature) => assert!(!is_genuine),
        Err(other) => panic!("{other:?}: it was looked into before the signature held"),
        Ok(_) => assert!(is_genuine, "a forged session"),
    }
}
