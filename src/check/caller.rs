//! At which step, and why, one caller is refused: the answer of the code that would refuse a request.

use super::{Findings, passwords};
use crate::auth::session::{SessionOutcome, caller};
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::backends::authenticating;
use crate::django::hashers::{EncodedPassword, Unusable};
use crate::django::sessions::{AuthHash, Undecodable};
use crate::django::settings::Authenticator;
use crate::passwords::{PasswordOutcome, check_password};

/// Of what it is the session.
pub(super) fn session(config: &Config, inspector: &mut Inspector, key: &str, findings: &Findings) {
    let settings = &config.django;
    let Some(table) = table(config, inspector, findings) else {
        return;
    };
    let Ok(clock) = Clock::new(settings.use_tz, &settings.time_zone) else {
        // The configuration knows the zone for one.
        return;
    };
    let now = clock.now_plus(0);
    let decided = inspector.read(&|connection| caller(connection, &table, settings, key, now));
    let Some(caller) = findings.answer("the session", decided) else {
        return;
    };
    if !settings
        .rest_authentication
        .contains(&Authenticator::Session)
    {
        findings.error(
            "session.refused.authenticator",
            "DJANGO_REST_AUTHENTICATION does not name session: no session is looked at",
            "compare it with DRF's DEFAULT_AUTHENTICATION_CLASSES",
        );
    }
    let log_in = "log in again";
    let (step, why, advice) = match caller.why {
        SessionOutcome::NoCookie | SessionOutcome::ShortKey => (
            "key",
            "the key has fewer than 8 characters: Django looks up none so short".to_owned(),
            "give the cookie's whole value",
        ),
        SessionOutcome::NoRow => match inspector.session_end(key) {
            Ok(Some(end)) => ("expired", format!("the session ended at {end}"), log_in),
            _ => (
                "row",
                "there is no session of this key: it was logged out, replaced at a login, or is another \
                 database's".to_owned(),
                log_in,
            ),
        },
        SessionOutcome::Undecodable(reason) => ("data", undecodable(reason).to_owned(), "see `check` without --session"),
        SessionOutcome::NoUser => ("user-id", "nobody has logged in with this session".to_owned(), log_in),
        SessionOutcome::BadUserId => (
            "user-id",
            format!("its user id is no {:?} key of the user table", table.key_type()),
            "set DJANGO_USER_TABLE to AUTH_USER_MODEL._meta.db_table",
        ),
        SessionOutcome::UnknownBackend => (
            "backend",
            "its backend is not in DJANGO_AUTHENTICATION_BACKENDS".to_owned(),
            "set DJANGO_AUTHENTICATION_BACKENDS to the project's AUTHENTICATION_BACKENDS",
        ),
        SessionOutcome::UserGone => ("user", "its user is no longer in the user table".to_owned(), log_in),
        SessionOutcome::Inactive => ("inactive", "its user is not active".to_owned(), "set is_active in Django's admin"),
        SessionOutcome::WrongAuthHash => (
            "auth-hash",
            "its auth hash is of another password, or made under another key: the password was changed since, or the \
             key".to_owned(),
            log_in,
        ),
        SessionOutcome::Good(hash) => {
            if let Some(user) = caller.user {
                let key = match hash {
                    AuthHash::Fallback => ", its auth hash made under a fallback key",
                    AuthHash::Current | AuthHash::Wrong => "",
                };
                staff("session", &user.username, user.is_staff, key, findings);
            }
            return;
        }
    };
    findings.error(
        &format!("session.refused.{step}"),
        format!("refused: {why}"),
        advice,
    );
}

fn undecodable(reason: Undecodable) -> &'static str {
    match reason {
        Undecodable::BadSignature => {
            "its data was signed by none of DJANGO_SECRET_KEY and its fallbacks: the key is not Django's, or was \
             changed since"
        }
        Undecodable::BadPayload => {
            "its data is signed, but its timestamp, base64 or zlib stream is broken"
        }
        Undecodable::BadJson => {
            "its data is signed, but is no JSON: another SESSION_SERIALIZER can't be honoured"
        }
        Undecodable::TooLarge => "its data is larger than the sidecar's limit",
        Undecodable::TooDeep => "its data is nested deeper than the sidecar's limit",
        Undecodable::NotAnObject => "its data is JSON, but no object",
    }
}

/// What becomes of the user of this name; with a password, whether it is the right one.
pub(super) fn user(
    config: &Config,
    inspector: &mut Inspector,
    name: &str,
    password: Option<&str>,
    findings: &Findings,
) {
    let settings = &config.django;
    let Some(table) = table(config, inspector, findings) else {
        return;
    };
    let found = inspector.read(&|connection| table.find_by_username(connection, name));
    let Some(user) = findings.answer("the user", found) else {
        return;
    };
    let Some(user) = user else {
        let similar = inspector.similar_names(&table, name).unwrap_or_default();
        let (text, advice) = match similar.as_slice() {
            [] => (
                "there is no such user".to_owned(),
                "compare the name with Django's admin".to_owned(),
            ),
            [_, _, ..] if similar.iter().all(|other| other == name) => (
                "more than one user has this name".to_owned(),
                "rename all but one".to_owned(),
            ),
            names => (
                "there is no such user; upper and lower case count".to_owned(),
                format!("there is: {}", names.join(", ")),
            ),
        };
        findings.error("user.refused.name", format!("refused: {text}"), advice);
        return;
    };
    let encoded = EncodedPassword::parse(&user.password);
    match (encoded.work(), encoded.unusable()) {
        (Some(work), _) => findings.ok("user.password", passwords::name(work)),
        (None, reason) => {
            let why = reason.map_or("no password matches what is stored", unusable);
            findings.error(
                "user.refused.password",
                format!("refused by HTTP Basic and login: {why}"),
                "manage.py changepassword",
            );
        }
    }
    if !user.is_active && authenticating(&settings.authentication_backends, false).is_some() {
        findings.error(
            "user.refused.inactive",
            "refused: the user is not active (a backend admits such users, but DRF does not)",
            "set is_active in Django's admin",
        );
    } else if authenticating(&settings.authentication_backends, user.is_active).is_none() {
        findings.error(
            "user.refused.inactive",
            "refused: no backend of DJANGO_AUTHENTICATION_BACKENDS admits the user, who is not active or whose \
             backends take no passwords",
            "set is_active in Django's admin",
        );
    }
    // Not among what the service may read.
    if let Ok(last) = inspector.last_login(&table, &user.username) {
        let last = if last.is_empty() { "never" } else { &last };
        findings.ok("user.last-login", format!("last login: {last}"));
    }
    if !settings.rest_authentication.contains(&Authenticator::Basic) {
        findings.ok(
            "user.basic",
            "DJANGO_REST_AUTHENTICATION does not name basic: only a session admits the user",
        );
    }
    let (username, is_staff) = (user.username.clone(), user.is_staff);
    if let Some(password) = password {
        match check_password(settings, Some(user), password).outcome {
            PasswordOutcome::Good => findings.ok("user.given-password", "the password is right"),
            PasswordOutcome::WrongPassword => {
                findings.error(
                    "user.refused.given-password",
                    "refused: the password is wrong",
                    "",
                );
            }
            // Said already.
            PasswordOutcome::Unusable(_)
            | PasswordOutcome::NotAdmitted
            | PasswordOutcome::NoSuchUser => {}
        }
    }
    staff("user", &username, is_staff, "", findings);
}

fn unusable(reason: Unusable) -> &'static str {
    match reason {
        Unusable::NoPassword => "the user has no usable password",
        Unusable::UnknownAlgorithm => {
            "the password is hashed by an algorithm outside Django's defaults and bcrypt"
        }
        Unusable::Malformed => "the stored hash is malformed: Django trips over it",
        Unusable::TooCostly => {
            "the stored hash costs more to check than the sidecar's limits allow"
        }
    }
}

/// The last step: `IsAdminUser`.
fn staff(subject: &str, username: &str, is_staff: bool, more: &str, findings: &Findings) {
    match is_staff {
        true => findings.ok(
            &format!("{subject}.staff"),
            format!("{username} is a member of staff{more}: admitted, where nothing above refuses"),
        ),
        false => findings.error(
            &format!("{subject}.refused.staff"),
            format!("refused: {username} is recognised, but no member of staff{more}: 403"),
            "set is_staff in Django's admin",
        ),
    }
}

fn table(config: &Config, inspector: &mut Inspector, findings: &Findings) -> Option<UserTable> {
    let table = inspector.user_table(config);
    let why = |error: &crate::db::error::DbError| {
        findings.error(
            "users.table",
            error.to_string(),
            "see `check` without --session and --user",
        );
    };
    table.inspect_err(why).ok()
}
