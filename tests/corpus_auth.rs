//! Random session data and password hashes: the same verdicts as a live Django's, and no panic.
//! Reads what `tests/differential/corpus_auth.py` wrote to the file named by `DJANGO_CORPUS_AUTH`; skipped without it.
//! Where Django answers with an HTML 500, the sidecar treats the caller as not authenticated.

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use watchtower_sidecar::django::hashers::{EncodedPassword, Hashing, Work, verify_unknown_user};
use watchtower_sidecar::django::sessions::{
    AuthHash, KeyType, SessionData, verify_session_auth_hash,
};
use watchtower_sidecar::django::signing::{SecretKey, SecretKeys};

const ENOUGH: usize = 10_000;

struct Corpus {
    keys: SecretKeys,
    password_column: String,
    hashing: Hashing,
    lines: Vec<Value>,
}

/// `None`, and a line that says so, when there is no corpus.
fn corpus() -> Option<Corpus> {
    let Some(path) = std::env::var_os("DJANGO_CORPUS_AUTH") else {
        eprintln!("skipped: DJANGO_CORPUS_AUTH is not set");
        return None;
    };
    let file = BufReader::new(File::open(path).expect("the file DJANGO_CORPUS_AUTH names"));
    let mut lines: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a readable line")).expect("a line of JSON"))
        .collect();
    let settings = lines.remove(0);
    let key = |value: &Value| SecretKey::new(text(value).to_owned());
    let fallbacks = settings["fallbacks"]
        .as_array()
        .expect("a list of fallback keys");
    Some(Corpus {
        keys: SecretKeys::new(key(&settings["key"]), fallbacks.iter().map(key).collect()),
        password_column: text(&settings["password_column"]).to_owned(),
        hashing: Hashing {
            pbkdf2_iterations: settings["iterations"].as_u64().expect("a number") as u32,
        },
        lines,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string in the corpus")
}

/// Compares every input of a kind, and shows the first few that differ.
fn compare(corpus: &Corpus, kind: &str, difference: impl Fn(&Value) -> Option<String>) {
    let inputs: Vec<_> = corpus
        .lines
        .iter()
        .filter(|line| line["kind"] == kind)
        .collect();
    let differences: Vec<_> = inputs
        .iter()
        .filter_map(|line| difference(line).map(|found| format!("{line}\n  the sidecar: {found}")))
        .collect();
    let shown = &differences[..differences.len().min(5)];
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        shown.join("\n")
    );
    assert!(
        inputs.len() >= ENOUGH,
        "only {} inputs of kind {kind}",
        inputs.len()
    );
}

#[test]
fn random_session_data_is_read_as_django_reads_it() {
    let Some(corpus) = corpus() else { return };
    compare(&corpus, "session", |line| {
        let verdict = &line["verdict"];
        let Ok(session) = SessionData::decode(text(&line["input"]), &corpus.keys) else {
            return (*verdict != "none").then(|| "undecodable".to_owned());
        };
        if *verdict == "none" {
            return Some("a session".to_owned());
        }
        let Ok(login) = SessionData::decode_login(text(&line["input"]), &corpus.keys) else {
            return Some("no login".to_owned());
        };
        let as_text = |key_type| login.user_id(key_type).map(|id| id.to_string());
        let auth = match verify_session_auth_hash(&login, &corpus.password_column, &corpus.keys) {
            AuthHash::Current => "Current",
            AuthHash::Fallback => "Fallback",
            AuthHash::Wrong => "Wrong",
        };
        // Of equal values the texts may differ, and a lone surrogate is in no Rust text.
        let values = |json: &str| serde_json::from_str::<Value>(json).ok();
        let same = values(&session.to_json()) == values(text(&verdict["json"]))
            && verdict["auth"] == auth
            && verdict["integer"].as_str() == as_text(KeyType::Integer).as_deref()
            && verdict["uuid"].as_str() == as_text(KeyType::Uuid).as_deref();
        (!same).then(|| format!("{auth} {}", session.to_json()))
    });
}

#[test]
fn random_session_data_survives_being_written_and_read_again() {
    let Some(corpus) = corpus() else { return };
    compare(&corpus, "session", |line| {
        let session = SessionData::decode(text(&line["input"]), &corpus.keys).ok()?;
        let again = SessionData::decode(&session.encode(&corpus.keys, 1_700_000_000), &corpus.keys);
        let same = again
            .as_ref()
            .is_ok_and(|again| again.to_json() == session.to_json());
        (!same).then(|| format!("{:?} after encode", again.err()))
    });
}

#[test]
fn random_password_hashes_are_verified_as_django_verifies_them() {
    let Some(corpus) = corpus() else { return };
    compare(&corpus, "password", |line| {
        let encoded = EncodedPassword::parse(text(&line["input"]));
        let password = text(&line["password"]);
        let verification = encoded.verify(password, &corpus.hashing);
        if verification.correct != (line["verdict"] == "correct") {
            return Some(format!(
                "correct: {}, {:?}",
                verification.correct,
                encoded.unusable()
            ));
        }
        // A wrong password never costs less than an unknown user, where Django itself evens the costs.
        let evened = matches!(&encoded, EncodedPassword::Unusable(_))
            || text(&line["input"]).starts_with("pbkdf2_sha256$");
        let iterations = |work| match work {
            Work::Pbkdf2Sha256(iterations) => iterations,
            _ => 0,
        };
        let unknown = iterations(verify_unknown_user(password, &corpus.hashing).work);
        let computed = iterations(verification.work);
        let cheap = !verification.correct && evened && computed < unknown;
        cheap.then(|| format!("only {computed} iterations"))
    });
}
