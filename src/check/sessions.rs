//! Whether a sample of living sessions is good here: signed by a known key, in JSON, with a known backend, of an active user,
//! with the right auth hash.

use std::collections::BTreeSet;

use super::findings::*;
use crate::auth::session::{SessionOutcome, caller};
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::sessions::{AuthHash, BACKEND_NAME, SessionData, Undecodable};
use crate::django::signing::SecretKeys;

/// How many sessions are tried, latest expiry first.
const SAMPLE: usize = 50;

/// How many sessions of the sample ended at which step.
#[derive(Default)]
struct Tally {
    all: usize,
    current: usize,
    fallback: usize,
    bad_signature: usize,
    no_json: usize,
    good: usize,
    wrong_hash: usize,
    bad_id: usize,
    user_gone: usize,
    inactive: usize,
    unknown_backends: BTreeSet<String>,
}

/// Tries the sample and reports what it showed.
pub(super) fn check(
    config: &Config,
    inspector: &mut Inspector,
    table: &UserTable,
    findings: &Findings,
) {
    let settings = &config.django;
    let clock = Clock::new(settings.use_tz, &settings.time_zone);
    let now = clock.now_plus(0);
    let sample = inspector.newest_sessions(now, SAMPLE);
    let Some(sample) = findings.answer("sessions", sample) else {
        return;
    };
    let newest = SecretKeys::new(settings.secret_keys.current().clone(), Vec::new());
    let mut tally = Tally::default();
    for (key, data) in sample {
        tally.all += 1;
        let decided = inspector.read(&|connection| caller(connection, table, settings, &key, now));
        let Some(caller) = findings.answer("a session's user", decided) else {
            return;
        };
        match caller.outcome {
            SessionOutcome::Undecodable(Undecodable::BadSignature) => tally.bad_signature += 1,
            SessionOutcome::Undecodable(_) => tally.no_json += 1,
            _ if SessionData::decode_login(&data, &newest).is_ok() => tally.current += 1,
            _ => tally.fallback += 1,
        }
        match caller.outcome {
            SessionOutcome::Good(AuthHash::Current | AuthHash::Fallback) => tally.good += 1,
            SessionOutcome::WrongAuthHash => tally.wrong_hash += 1,
            SessionOutcome::BadUserId => tally.bad_id += 1,
            SessionOutcome::UserGone => tally.user_gone += 1,
            SessionOutcome::Inactive => tally.inactive += 1,
            SessionOutcome::UnknownBackend => {
                let session = SessionData::decode_login(&data, &settings.secret_keys);
                let backend = session
                    .ok()
                    .and_then(|session| session.get_str(BACKEND_NAME));
                // Only a dotted path is shown: anything else might be a secret.
                let is_path = |name: &String| {
                    name.len() < 200
                        && name
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
                };
                tally
                    .unknown_backends
                    .insert(backend.filter(is_path).unwrap_or_else(|| "?".to_owned()));
            }
            _ => {}
        }
    }
    keys(&tally, findings);
    users(&tally, table, findings);
}

fn keys(tally: &Tally, findings: &Findings) {
    let all = many(tally.all, "living session");
    if tally.all == 0 {
        findings.warning(
            &NO_SESSION,
            "there is no living session: whether DJANGO_SECRET_KEY is Django's could not be tried",
        );
        return;
    }
    if tally.bad_signature == tally.all {
        findings.error(
            &WRONG_KEY,
            format!(
                "none of {all} was signed by DJANGO_SECRET_KEY or a fallback: the key is not Django's, and every \
                 caller with a session is refused"
            ),
        );
        return;
    }
    if tally.bad_signature > 0 {
        findings.warning(
            &OTHER_KEY,
            format!(
                "{} of {all} were signed by a key that is neither DJANGO_SECRET_KEY nor a fallback: their \
                 callers are refused",
                tally.bad_signature
            ),
        );
    }
    if tally.no_json > 0 {
        findings.error(
            &SERIALIZER,
            format!(
                "{} of {all} are signed but hold no JSON object within the limits: their callers are refused",
                tally.no_json
            ),
        );
    }
    if tally.current == 0 && tally.fallback > 0 {
        findings.warning(
            &FALLBACK_ONLY,
            format!(
                "{} of {all} were signed by a fallback, none by DJANGO_SECRET_KEY: either the key has just been \
                 changed, or key and fallback are the wrong way round",
                tally.fallback
            ),
        );
    } else if tally.current > 0 {
        findings.ok(
            &SESSION_KEY,
            format!(
                "of {all} {} were signed by DJANGO_SECRET_KEY, {} by a fallback",
                tally.current, tally.fallback
            ),
        );
    }
}

fn users(tally: &Tally, table: &UserTable, findings: &Findings) {
    let decoded = tally.current + tally.fallback;
    if decoded == 0 {
        return;
    }
    if !tally.unknown_backends.is_empty() {
        let names: Vec<&str> = tally.unknown_backends.iter().map(String::as_str).collect();
        let text = format!(
            "sessions name a backend that DJANGO_AUTHENTICATION_BACKENDS does not: {}; their callers are refused",
            names.join(", ")
        );
        match tally.good {
            0 => findings.error(&BACKEND, text),
            _ => findings.warning(&BACKEND, text),
        }
    }
    if tally.good > 0 {
        findings.ok(
            &SESSION_USERS,
            format!(
                "{} good for active users; not good, as in Django: {} of another password, {} of users who are gone, \
                 {} of inactive ones",
                tally.good, tally.wrong_hash, tally.user_gone, tally.inactive
            ),
        );
    } else if tally.wrong_hash > 0 {
        findings.error(
            &AUTH_HASH,
            format!(
                "{} decode, but the auth hash of each is of another password: their callers are refused",
                many(tally.wrong_hash, "session")
            ),
        );
    } else if tally.bad_id + tally.user_gone > 0 {
        findings.error(
            &USER_GONE,
            format!(
                "the users of all {} that belong to a login are not in the configured user table, whose keys \
                 are {:?}s",
                many(tally.bad_id + tally.user_gone, "session"),
                table.key_type()
            ),
        );
    } else if tally.unknown_backends.is_empty() {
        findings.warning(
            &NO_LOGINS,
            "no living session is an active user's: whether auth hashes fit could not be tried",
        );
    }
}
