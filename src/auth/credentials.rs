//! Authenticates a name and a password, for HTTP Basic and for login alike (`django.contrib.auth.authenticate` with
//! `ModelBackend` and allauth's backend, Django 5.2). Unknown, inactive and unusable accounts cost what a wrong password costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::rt::time::sleep;
use log::Level;
use scopeguard::{ScopeGuard, guard};
use zeroize::Zeroizing;

use crate::db::connection::Connection;
use crate::db::models::named_users::{NamedUsers, scans};
use crate::db::models::user_table::UserTable;
use crate::django::backends::{NameLookup, lookups};
use crate::django::hashers::Unusable;
use crate::django::sessions::UserId;
use crate::passwords::check::{Admitted, PasswordCheck, PasswordOutcome, check_password};
use crate::passwords::throttle::{LONGEST_NAME, LoginAttempt};
use crate::passwords::{NotChecked, TimedCheck};
use crate::request::{client, deadline, postpone_deadline};
use crate::state::State;
use crate::telemetry::trace::Trace;

/// How long a refusal is held back while the queue is full. Without it, clients that ask again at once take all cores for their
/// refusals.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Returns the user and the backend if the password is right and a backend admits the user. The connection is back in the pool
/// before hashing begins. Sends no query if the limit is reached, the queue is full, no backend takes a password, or the name
/// is longer than any user's. The last two count as a failure of the address and need no hash: the refusal's time tells nothing
/// about existing users.
pub async fn admit(
    state: &State,
    req: &HttpRequest,
    username: String,
    password: Zeroizing<String>,
) -> Result<Option<Admitted>, NotChecked> {
    let passwords = &state.passwords;
    let throttle = &passwords.throttle;
    let (log, trace) = (&state.rate_limited_log, Trace::of(req));
    let settings = state.settings();
    let lookups = lookups(&settings.password_backends);
    let throttled = |wait: Duration| {
        let message = "limit to failed logins of a client, or under a name, reached: answering 429";
        log.every_minute(Level::Warn, module_path!(), message);
        NotChecked::Throttled(wait)
    };
    // The address decides before anything that costs.
    let attempt = throttle.attempt(client(state, req)).map_err(throttled)?;
    if lookups.is_empty() || username.chars().nth(LONGEST_NAME).is_some() {
        throttle.record_failure(attempt);
        trace.audit_refused_password(None::<&UserId>, PasswordOutcome::NoSuchUser.label());
        return Ok(None);
    }
    let attempt = throttle.under_name(attempt, &username).map_err(throttled)?;
    let Some(permit) = passwords.try_enqueue() else {
        let message = "the queue of passwords is full: answering 503";
        log.every_minute(Level::Warn, module_path!(), message);
        sleep(BUSY_PAUSE).await;
        return Err(NotChecked::Busy);
    };
    let named = find(state, req, attempt, lookups, username).await?;
    let began = Instant::now();
    let checked = passwords
        .run(attempt, checking(state, named, password))
        .await;
    drop(permit);
    trace.add_hashing(began.elapsed());
    let TimedCheck { check, took, pause } = checked.map_err(|error| match error {
        NotChecked::Throttled(wait) => throttled(wait),
        other => other,
    })?;
    state.metrics.hashed(took);
    if check.admitted.is_none() {
        trace.audit_refused_password(check.id.as_ref(), check.outcome.label());
    }
    sleep(pause).await;
    postpone_deadline(req, began.elapsed());
    Ok(check.admitted)
}

/// The users whom the name may mean. A client that leaves while the whole user table is read counts as failed, or it could ask
/// for one such look after the other.
async fn find(
    state: &State,
    req: &HttpRequest,
    attempt: LoginAttempt,
    lookups: Vec<NameLookup>,
    username: String,
) -> Result<NamedUsers, NotChecked> {
    let (passwords, deadline) = (&state.passwords, deadline(req));
    let mut permit = None;
    let mut all = lookups.iter();
    if all.any(|lookup| scans(*lookup, &state.username_field)) {
        permit = passwords.permit_scan(deadline).await;
        if permit.is_none() {
            let message =
                "names wait too long to be looked up in the whole user table: answering 503";
            let log = &state.rate_limited_log;
            log.every_minute(Level::Warn, module_path!(), message);
            return Err(NotChecked::Busy);
        }
    }
    let leaving = permit.is_some().then(|| {
        guard(attempt, |attempt| {
            passwords.throttle.record_failure(attempt)
        })
    });
    let find = move |connection: &mut Connection, table: &UserTable| {
        // The statement may go on after its caller has left, and holds the permit until it ends.
        let _permit = &permit;
        table.find_by_name(connection, &lookups, &username)
    };
    let trace = Trace::of(req);
    let found = trace.time_database(state.db.run(deadline, find)).await;
    leaving.map(ScopeGuard::into_inner);
    found.map_err(NotChecked::Unavailable)
}

/// The blocking work that checks whether `password` is that of one of these users.
fn checking(
    state: &State,
    named: NamedUsers,
    password: Zeroizing<String>,
) -> impl FnOnce() -> PasswordCheck + use<> {
    let (settings, log) = (state.settings(), Arc::clone(&state.rate_limited_log));
    move || {
        let check = check_password(&settings, named, &password);
        if let PasswordOutcome::Unusable(Unusable::Malformed | Unusable::TooCostly) = check.outcome
            && let Some(id) = check.id
        {
            let message = format!("no password can match what is stored for user {id}");
            log.warn_hourly(module_path!(), (), &message);
        }
        check
    }
}
