//! `--session` and `--user`: the step at which one caller is refused, found by the code that refuses requests.

use super::findings::*;
use super::passwords;
use crate::auth::session::{SessionOutcome, caller};
use crate::db::models::named_users::NamedUsers;
use crate::db::models::user_table::UserTable;
use crate::db::models::users::User;
use crate::db::types::stored_time::Clock;
use crate::django::backends::{NameLookup, admits, lookups};
use crate::django::hashers::{EncodedPassword, Unusable};
use crate::django::sessions::AuthHash;
use crate::django::signing::Undecodable;
use crate::passwords::check::{PasswordOutcome, check_password};

const ACTIVATE: &str = "set is_active in Django's admin";

/// Reports the step at which the owner of this session would be refused.
pub(super) fn session(examined: &mut Examined, key: &str) -> Option<()> {
    let (settings, findings) = (&examined.config.django, examined.findings);
    let table = table(examined)?;
    let now = Clock::new(settings.use_tz, &settings.time_zone).now_plus(0);
    let inspector = &mut examined.inspector;
    let decided = inspector.read(&|connection| caller(connection, &table, settings, key, now));
    let caller = findings.answer("the session", decided)?;
    if !settings.takes_sessions() {
        findings.error(
            "session.refused.authenticator",
            "DJANGO_REST_AUTHENTICATION does not name session: no session is looked at",
            "compare it with DRF's DEFAULT_AUTHENTICATION_CLASSES",
        );
    }
    let refused = |step: &str, why: &str, advice: &str| {
        let (id, text) = (format!("session.refused.{step}"), format!("refused: {why}"));
        findings.error(&id, &text, advice);
    };
    match caller.outcome {
        SessionOutcome::NoCookie | SessionOutcome::ImplausibleKey => refused(
            "key",
            "the key has fewer than 8 or more than 254 characters: it is never looked up",
            "give the cookie's whole value",
        ),
        SessionOutcome::NoRow => match inspector.session_end(key) {
            Ok(Some(end)) => refused("expired", &format!("the session ended at {end}"), LOG_IN),
            _ => refused(
                "row",
                "there is no session of this key: it was logged out, replaced at a login, or is another database's",
                LOG_IN,
            ),
        },
        SessionOutcome::Undecodable(reason) => {
            refused("data", undecodable(reason), "see `check` without --session");
        }
        SessionOutcome::NoUser => {
            refused("user-id", "no user has logged in with this session", LOG_IN);
        }
        SessionOutcome::BadUserId => {
            let why = format!(
                "its user id is no {:?} key of the user table",
                table.key_type()
            );
            refused("user-id", &why, SET_USER_TABLE);
        }
        SessionOutcome::UnknownBackend => refused(
            "backend",
            "its backend is not in DJANGO_AUTHENTICATION_BACKENDS",
            "set DJANGO_AUTHENTICATION_BACKENDS to the project's AUTHENTICATION_BACKENDS",
        ),
        SessionOutcome::UserGone => {
            refused("user", "its user is no longer in the user table", LOG_IN);
        }
        SessionOutcome::Inactive => refused("inactive", "its user is not active", ACTIVATE),
        SessionOutcome::WrongAuthHash => refused(
            "auth-hash",
            "its auth hash is of another password, or made under another key: the password was changed since, or the key",
            LOG_IN,
        ),
        SessionOutcome::Good(hash) => {
            let key = match hash {
                AuthHash::Fallback => ", its auth hash made under a fallback key",
                AuthHash::Current | AuthHash::Wrong => "",
            };
            if let Some(user) = caller.user {
                staff("session", &user.username, user.is_staff, key, findings);
            }
        }
    }
    Some(())
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
pub(super) fn user(examined: &mut Examined, name: &str, password: Option<&str>) -> Option<()> {
    let (settings, findings) = (&examined.config.django, examined.findings);
    let table = table(examined)?;
    let inspector = &mut examined.inspector;
    let backends = &settings.password_backends;
    let mut by = lookups(backends);
    if by.is_empty() {
        findings.error(
            "user.refused.backend",
            "refused: no backend takes a password, by HTTP Basic or login",
            "compare DJANGO_PASSWORD_BACKENDS and DJANGO_AUTHENTICATION_BACKENDS with AUTHENTICATION_BACKENDS",
        );
    }
    if !examined.config.reads_addresses() {
        by.retain(|lookup| *lookup != NameLookup::Email);
    }
    if by.is_empty() {
        by.push(NameLookup::Username);
    }
    let found = inspector.read(&|connection| table.find_by_name(connection, &by, name));
    let named = findings.answer("the user", found)?;
    let Some(user) = named.users.first() else {
        let similar = inspector.similar_names(&table, name).unwrap_or_default();
        no_such_user(findings, &similar, name);
        return None;
    };
    meaning(findings, &by, &named, user, name);
    match EncodedPassword::parse(&user.password) {
        Ok(encoded) => findings.ok("user.password", &passwords::name(encoded.work())),
        Err(reason) => findings.error(
            "user.refused.password",
            &format!("refused by HTTP Basic and login: {}", unusable(reason)),
            "manage.py changepassword",
        ),
    }
    let refusal = match (user.is_active, admits(backends, false)) {
        (true, _) => None,
        (false, true) => {
            Some("the user is not active (a backend admits such users, but DRF does not)")
        }
        (false, false) => Some("no backend admits the user, who is not active"),
    };
    if let Some(why) = refusal {
        findings.error(
            "user.refused.inactive",
            &format!("refused: {why}"),
            ACTIVATE,
        );
    }
    // The service's role need not be able to read this column.
    if let Ok(last) = inspector.last_login(&table, &user.username) {
        let last = if last.is_empty() { "never" } else { &last };
        findings.ok("user.last-login", &format!("last login: {last}"));
    }
    if !settings.takes_basic() {
        findings.ok(
            "user.basic",
            "DJANGO_REST_AUTHENTICATION does not name basic: only a session admits the user",
        );
    }
    let (username, is_staff) = (user.username.clone(), user.is_staff);
    if let Some(password) = password {
        match check_password(settings, named, password).outcome {
            PasswordOutcome::Good => findings.ok("user.given-password", "the password is right"),
            PasswordOutcome::WrongPassword => findings.error(
                "user.refused.given-password",
                "refused: the password is wrong",
                "",
            ),
            // Reported above.
            PasswordOutcome::Unusable(_)
            | PasswordOutcome::NotAdmitted
            | PasswordOutcome::NoSuchUser => {}
        }
    }
    staff("user", &username, is_staff, "", findings);
    Some(())
}

/// Reports that no user has this name; `similar` names differ in case alone.
fn no_such_user(findings: &Findings, similar: &[String], name: &str) {
    let (text, advice) = match similar {
        [] => (
            "there is no such user",
            "compare the name with Django's admin".to_owned(),
        ),
        [_, _, ..] if similar.iter().all(|other| other == name) => (
            "more than one user has this name",
            "rename all but one".to_owned(),
        ),
        names => (
            "there is no such user; upper and lower case count, or several differ in it alone",
            format!("there is: {}", names.join(", ")),
        ),
    };
    findings.error("user.refused.name", &format!("refused: {text}"), &advice);
}

/// Reports whom a name means if it is not the name of one user alone.
fn meaning(findings: &Findings, by: &[NameLookup], named: &NamedUsers, user: &User, name: &str) {
    let by: Vec<_> = by.iter().map(|lookup| lookup.text()).collect();
    let by = by.join(" or ");
    if named.users.len() > 1 {
        let users = named.users.iter();
        let names: Vec<_> = users.map(|user| user.username.as_str()).collect();
        findings.warning(
            "user.several",
            &format!(
                "users are looked up by {by}: this name means {}. Each one's password is tried; the rest is about {}",
                names.join(", "),
                user.username
            ),
            "give each user an e-mail address and a name that no other has",
        );
    } else if user.username != name {
        let text = format!(
            "users are looked up by {by}: this name means {}",
            user.username
        );
        findings.ok("user.name", &text);
    }
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
            &format!("{subject}.staff"),
            &format!(
                "{username} is a member of staff{more}: admitted, where nothing above refuses"
            ),
        ),
        false => findings.error(
            &format!("{subject}.refused.staff"),
            &format!("refused: {username} is recognised, but no member of staff{more}: 403"),
            "set is_staff in Django's admin",
        ),
    }
}

fn table(examined: &mut Examined) -> Option<UserTable> {
    let advice = "see `check` without --session and --user";
    let table = examined.inspector.user_table(examined.config);
    let failed = |why: String| examined.findings.error("users.table", &why, advice);
    table.map_err(|error| failed(error.to_string())).ok()
}
