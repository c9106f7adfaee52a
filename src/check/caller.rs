//! `--session` and `--user`: the step at which one caller is refused, found by the code that refuses requests.

use super::findings::*;
use super::passwords;
use crate::auth::session::{SessionOutcome, caller};
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::backends::authenticating;
use crate::django::hashers::{EncodedPassword, Unusable};
use crate::django::sessions::AuthHash;
use crate::django::settings::Authenticator;
use crate::django::signing::Undecodable;
use crate::passwords::{PasswordOutcome, check_password};

/// Reports the step at which the owner of this session would be refused.
pub(super) fn session(config: &Config, inspector: &mut Inspector, key: &str, findings: &Findings) {
    let settings = &config.django;
    let Some(table) = table(config, inspector, findings) else {
        return;
    };
    let clock = Clock::new(settings.use_tz, &settings.time_zone);
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
            &REFUSED_AUTHENTICATOR,
            "DJANGO_REST_AUTHENTICATION does not name session: no session is looked at",
        );
    }
    let (kind, why) = match caller.outcome {
        SessionOutcome::NoCookie | SessionOutcome::ImplausibleKey => (
            REFUSED_KEY,
            "the key has fewer than 8 or more than 254 characters: it is never looked up".to_owned(),
        ),
        SessionOutcome::NoRow => match inspector.session_end(key) {
            Ok(Some(end)) => (REFUSED_EXPIRED, format!("the session ended at {end}")),
            _ => (
                REFUSED_ROW,
                "there is no session of this key: it was logged out, replaced at a login, or is another \
                 database's"
                    .to_owned(),
            ),
        },
        SessionOutcome::Undecodable(reason) => (REFUSED_DATA, undecodable(reason).to_owned()),
        SessionOutcome::NoUser => (
            REFUSED_NO_USER_ID,
            "no user has logged in with this session".to_owned(),
        ),
        SessionOutcome::BadUserId => (
            REFUSED_USER_ID,
            format!("its user id is no {:?} key of the user table", table.key_type()),
        ),
        SessionOutcome::UnknownBackend => (
            REFUSED_BACKEND,
            "its backend is not in DJANGO_AUTHENTICATION_BACKENDS".to_owned(),
        ),
        SessionOutcome::UserGone => (
            REFUSED_USER,
            "its user is no longer in the user table".to_owned(),
        ),
        SessionOutcome::Inactive => (REFUSED_INACTIVE, "its user is not active".to_owned()),
        SessionOutcome::WrongAuthHash => (
            REFUSED_AUTH_HASH,
            "its auth hash is of another password, or made under another key: the password was changed since, or the \
             key"
                .to_owned(),
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
    findings.error(&kind, format!("refused: {why}"));
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
        Undecodable::NotAnObject => {
            "its data is signed, but is no JSON object: another SESSION_SERIALIZER can't be honoured"
        }
        Undecodable::TooLarge => "its data is larger than the sidecar's limit",
    }
}

/// Reports whether HTTP Basic and login would admit the user of this name; with a password, whether it is right.
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
        findings.error(&USER_NAME.advising(advice), format!("refused: {text}"));
        return;
    };
    match EncodedPassword::parse(&user.password) {
        Ok(encoded) => findings.ok(&USER_PASSWORD, passwords::name(encoded.work())),
        Err(reason) => findings.error(
            &USER_REFUSED_PASSWORD,
            format!("refused by HTTP Basic and login: {}", unusable(reason)),
        ),
    }
    if !user.is_active && authenticating(&settings.authentication_backends, false).is_some() {
        findings.error(
            &USER_INACTIVE,
            "refused: the user is not active (a backend admits such users, but DRF does not)",
        );
    } else if authenticating(&settings.authentication_backends, user.is_active).is_none() {
        findings.error(
            &USER_INACTIVE,
            "refused: no backend of DJANGO_AUTHENTICATION_BACKENDS admits the user, who is not active or whose \
             backends take no passwords",
        );
    }
    // The service's role need not be able to read this column.
    if let Ok(last) = inspector.last_login(&table, &user.username) {
        let last = if last.is_empty() { "never" } else { &last };
        findings.ok(&USER_LAST_LOGIN, format!("last login: {last}"));
    }
    if !settings.rest_authentication.contains(&Authenticator::Basic) {
        findings.ok(
            &USER_BASIC,
            "DJANGO_REST_AUTHENTICATION does not name basic: only a session admits the user",
        );
    }
    let (username, is_staff) = (user.username.clone(), user.is_staff);
    if let Some(password) = password {
        match check_password(settings, Some(user), password).outcome {
            PasswordOutcome::Good => findings.ok(&GIVEN_PASSWORD, "the password is right"),
            PasswordOutcome::WrongPassword => {
                findings.error(&WRONG_PASSWORD, "refused: the password is wrong");
            }
            // Reported above.
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
        Unusable::Malformed => "the stored hash is malformed: Django answers 500",
        Unusable::TooCostly => {
            "the stored hash costs more to check than the sidecar's limits allow"
        }
    }
}

/// The last step: `IsAdminUser`.
fn staff(subject: &str, username: &str, is_staff: bool, more: &str, findings: &Findings) {
    match is_staff {
        true => findings.ok(
            &STAFF.of(subject),
            format!("{username} is a member of staff{more}: admitted, where nothing above refuses"),
        ),
        false => findings.error(
            &NOT_STAFF.of(subject),
            format!("refused: {username} is recognised, but no member of staff{more}: 403"),
        ),
    }
}

fn table(config: &Config, inspector: &mut Inspector, findings: &Findings) -> Option<UserTable> {
    let table = inspector.user_table(config);
    let why = |error: &crate::db::error::DbError| {
        findings.error(&USER_TABLE, error.to_string());
    };
    table.inspect_err(why).ok()
}
