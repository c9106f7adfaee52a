//! Whether a sample of living sessions is good here: signed by a known key, in JSON, with a known backend, of an active user,
//! with the right auth hash.

use std::collections::BTreeSet;

use super::findings::*;
use crate::auth::session::{SessionOutcome, caller};
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::sessions::{BACKEND_NAME, SessionData};
use crate::django::signing::{SecretKeys, Undecodable};

/// How many sessions are tried, latest expiry first.
const SAMPLE: usize = 50;

/// How the sessions of the sample ended.
#[derive(Default)]
struct Tally {
    outcomes: Vec<SessionOutcome>,
    /// How many were signed by the current key, and by a fallback
    current: usize,
    fallback: usize,
    unknown_backends: BTreeSet<String>,
}

impl Tally {
    fn count(&self, is_one: impl Fn(SessionOutcome) -> bool) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| is_one(**outcome))
            .count()
    }
}

/// Tries the sample and reports what it showed.
pub(super) fn check(examined: &mut Examined, table: &UserTable) -> Option<()> {
    let (settings, findings) = (&examined.config.django, examined.findings);
    let inspector = &mut examined.inspector;
    let now = Clock::new(settings.use_tz, &settings.time_zone).now_plus(0);
    let sample = inspector.newest_sessions(now, SAMPLE);
    let sample = findings.answer("sessions", sample)?;
    let newest = SecretKeys {
        current: settings.secret_keys.current.clone(),
        fallbacks: Vec::new(),
    };
    let mut tally = Tally::default();
    for (key, data) in sample {
        let decided = inspector.read(&|connection| caller(connection, table, settings, &key, now));
        let caller = findings.answer("a session's user", decided)?;
        match caller.outcome {
            SessionOutcome::Undecodable(_) => {}
            _ if SessionData::decode_login(&data, &newest).is_ok() => tally.current += 1,
            _ => tally.fallback += 1,
        }
        if caller.outcome == SessionOutcome::UnknownBackend {
            let session = SessionData::decode_login(&data, &settings.secret_keys).ok();
            let backend = session.and_then(|session| session.get_str(BACKEND_NAME));
            // Only a dotted path is shown: anything else might be a secret.
            let may_stand = |b: u8| b.is_ascii_alphanumeric() || b"._".contains(&b);
            let is_path = |name: &String| name.len() < 200 && name.bytes().all(may_stand);
            let shown = backend.filter(is_path).unwrap_or_else(|| "?".to_owned());
            tally.unknown_backends.insert(shown);
        }
        tally.outcomes.push(caller.outcome);
    }
    keys(&tally, findings);
    if tally.current + tally.fallback > 0 {
        users(&tally, table, findings);
    }
    Some(())
}

fn keys(tally: &Tally, findings: &Findings) {
    let all = many(tally.outcomes.len(), "living session");
    if tally.outcomes.is_empty() {
        findings.warning(
            "session.none",
            "there is no living session: whether DJANGO_SECRET_KEY is Django's could not be tried",
            LOG_IN_ONCE,
        );
        return;
    }
    let bad_signature = SessionOutcome::Undecodable(Undecodable::BadSignature);
    let bad_signatures = tally.count(|outcome| outcome == bad_signature);
    if bad_signatures == tally.outcomes.len() {
        findings.error(
            "session.wrong-key",
            &format!(
                "none of {all} was signed by DJANGO_SECRET_KEY or a fallback: the key is not Django's, and every \
                 caller with a session is refused"
            ),
            "set DJANGO_SECRET_KEY to the SECRET_KEY that the running Django uses (a line break at its end counts), and \
             DJANGO_SECRET_KEY_FALLBACKS to its SECRET_KEY_FALLBACKS",
        );
        return;
    }
    if bad_signatures > 0 {
        findings.warning(
            "session.other-key",
            &format!(
                "{bad_signatures} of {all} were signed by a key that is neither DJANGO_SECRET_KEY nor a fallback: their \
                 callers are refused"
            ),
            "if Django still accepts them, add its SECRET_KEY_FALLBACKS to DJANGO_SECRET_KEY_FALLBACKS; else they are \
             left over from an older key",
        );
    }
    let decoded = tally.current + tally.fallback;
    let no_json = tally.outcomes.len() - decoded - bad_signatures;
    if no_json > 0 {
        findings.error(
            "session.serializer",
            &format!("{no_json} of {all} are signed but hold no JSON object within the limits: their callers are refused"),
            "Django's SESSION_SERIALIZER must be JSONSerializer (the default); pickled sessions are not read",
        );
    }
    let (current, fallback) = (tally.current, tally.fallback);
    if current > 0 {
        findings.ok(
            "session.key",
            &format!(
                "of {all} {current} were signed by DJANGO_SECRET_KEY, {fallback} by a fallback"
            ),
        );
    } else if fallback > 0 {
        findings.warning(
            "session.fallback-only",
            &format!(
                "{fallback} of {all} were signed by a fallback, none by DJANGO_SECRET_KEY: either the key has just been \
                 changed, or key and fallback are the wrong way round"
            ),
            "compare DJANGO_SECRET_KEY with Django's SECRET_KEY",
        );
    }
}

fn users(tally: &Tally, table: &UserTable, findings: &Findings) {
    let good = tally.count(|outcome| matches!(outcome, SessionOutcome::Good(_)));
    let wrong_hash = tally.count(|outcome| outcome == SessionOutcome::WrongAuthHash);
    let gone = tally.count(|outcome| outcome == SessionOutcome::UserGone);
    let inactive = tally.count(|outcome| outcome == SessionOutcome::Inactive);
    let unknown = gone + tally.count(|outcome| outcome == SessionOutcome::BadUserId);
    if !tally.unknown_backends.is_empty() {
        let names: Vec<&str> = tally.unknown_backends.iter().map(String::as_str).collect();
        findings.add(
            if good == 0 { Level::Error } else { Level::Warning },
            "session.backend",
            &format!(
                "sessions name a backend that DJANGO_AUTHENTICATION_BACKENDS does not: {}; their callers are refused",
                names.join(", ")
            ),
            "set DJANGO_AUTHENTICATION_BACKENDS to the project's AUTHENTICATION_BACKENDS, as a JSON array",
        );
    }
    if good > 0 {
        findings.ok(
            "session.users",
            &format!(
                "{good} good for active users; not good, as in Django: {wrong_hash} of another password, {gone} of users \
                 who are gone, {inactive} of inactive ones"
            ),
        );
    } else if wrong_hash > 0 {
        findings.error(
            "session.auth-hash",
            &format!(
                "{} decode, but the auth hash of each is of another password: their callers are refused",
                many(wrong_hash, "session")
            ),
            "see that DJANGO_USER_TABLE is Django's, and that the user model has no get_session_auth_hash of its own, \
             which can't be honoured",
        );
    } else if unknown > 0 {
        findings.error(
            "session.user-gone",
            &format!(
                "the users of all {} that belong to a login are not in the configured user table, whose keys are {:?}s",
                many(unknown, "session"),
                table.key_type()
            ),
            "set DJANGO_USER_TABLE to AUTH_USER_MODEL._meta.db_table, and point DATABASE_URL at Django's database",
        );
    } else if tally.unknown_backends.is_empty() {
        findings.warning(
            "session.nobody",
            "no living session is an active user's: whether auth hashes fit could not be tried",
            LOG_IN_ONCE,
        );
    }
}
