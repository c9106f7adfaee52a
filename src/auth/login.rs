//! The rows and cookies of login and logout (`django.contrib.auth.login` and `logout`, Django 5.2), for the JSON API and for
//! the page's forms.
//!
//! Stricter than Django: a login always makes a new session key, and never writes the password column.

use std::sync::Arc;

use actix_web::HttpRequest;
use zeroize::Zeroizing;

use super::credentials;
use super::session::{self, SessionAccess};
use crate::db::error::DbError;
use crate::db::models::sessions::SessionRow;
use crate::db::models::users::User;
use crate::db::types::stored_time::StoredTime;
use crate::django::negotiation::Renderer;
use crate::django::sessions::{
    AUTH_HASH_NAME, AuthHash, BACKEND_NAME, KeyType, SessionData, USER_ID_NAME, new_session_key,
    session_auth_hash, verify_session_auth_hash,
};
use crate::django::settings::Settings;
use crate::error::{Error, ErrorKind, LoginRefusal};
use crate::passwords::NotChecked;
use crate::passwords::check::Admitted;
use crate::request::deadline;
use crate::state::State;
use crate::telemetry::trace::Trace;

/// Logs a user in: checks name and password, and writes a session that Django accepts. Returns the user, and the `Set-Cookie`
/// of the session.
pub async fn log_in(
    state: &State,
    req: &HttpRequest,
    username: String,
    password: Zeroizing<String>,
    renderer: Renderer,
) -> Result<(Arc<User>, String), Error> {
    let refuse = |refusal| Error::rendered(ErrorKind::Login(refusal), renderer);
    let outage = |error: DbError| Error::unavailable(&error, renderer);
    let checked = credentials::admit(state, req, username, password).await;
    let admitted = checked.map_err(|error| {
        state.metrics.authenticated("login", error.label());
        match error {
            NotChecked::Throttled(wait) => refuse(LoginRefusal::Throttled(wait)),
            other => other.into_error(renderer),
        }
    })?;
    let Some(Admitted { user, backend }) = admitted else {
        state.metrics.authenticated("login", "refused");
        return Err(refuse(LoginRefusal::InvalidCredentials));
    };
    let trace = Trace::of(req);
    trace.set_user(&user.id);
    state.metrics.authenticated("login", "admitted");

    let key = new_session_key(getrandom::fill).map_err(|error| {
        let cause = format!("the system has no random numbers for a session key: {error}");
        Error::unavailable(&cause, renderer)
    })?;
    let now = state.clock.now_plus(0);
    let settings = state.settings();
    let (id, user) = (user.id, Arc::new(user));
    let login = Arc::new(Login {
        user: Arc::clone(&user),
        backend,
        now,
        settings: Arc::clone(&settings),
    });
    let mut old_key = session::cookie(state, req).filter(|key| session::is_plausible(key));
    let mut carried_over = None;
    if let Some(key) = old_key.clone() {
        // Before the transaction that writes: PostgreSQL would abort that for a key that its encoding can't hold.
        let login = Arc::clone(&login);
        let carry_over = move |old: &str, key_type| login.session(Some((old, key_type)));
        let read = state
            .session_reader
            .read(deadline(req), key, now, carry_over);
        carried_over = trace.time_database(read).await.map_err(outage)?;
        old_key = old_key.filter(|_| carried_over.is_some());
    }
    let session = carried_over.unwrap_or_else(|| login.session(None));
    let (expires, max_age_seconds) = (state.clock.now_plus(session.age), session.max_age);
    let row = SessionRow {
        key: key.clone(),
        data: session.data,
    };
    let written = state.db.write(deadline(req), move |connection, table| {
        if let Some(old_key) = &old_key {
            SessionRow::delete(connection, old_key)?;
        }
        row.insert(connection, expires)?;
        table.update_last_login(connection, &id, now)
    });
    trace.time_database(written).await.map_err(outage)?;

    trace.audit_session("login");
    SessionAccess { is_dead: false }.note(req);
    let cookie = &settings.session_cookie;
    let set_cookie = cookie.set(&key, max_age_seconds, now.unix_seconds());
    Ok((user, set_cookie))
}

/// Logs out: deletes the session's row and the cookie, also for an anonymous session.
pub async fn log_out(state: &State, req: &HttpRequest, renderer: Renderer) -> Result<(), Error> {
    let outage = |error: DbError| Error::unavailable(&error, renderer);
    let cookie = session::cookie(state, req);
    let is_dead = cookie.is_some();
    if let Some(key) = cookie.filter(|key| session::is_plausible(key)) {
        let (settings, now) = (state.settings(), state.clock.now_plus(0));
        let user_id = move |data: &str, key_type| {
            let session = SessionData::decode_login(data, &settings.secret_keys).ok()?;
            session.user_id(key_type)
        };
        let trace = Trace::of(req);
        let read = state
            .session_reader
            .read(deadline(req), key.clone(), now, user_id);
        // `flush()` of a session that has expired finds nothing to delete.
        if let Some(user) = trace.time_database(read).await.map_err(outage)? {
            let deleted = state.db.write(deadline(req), move |connection, _| {
                SessionRow::delete(connection, &key)
            });
            trace.time_database(deleted).await.map_err(outage)?;
            if let Some(user) = user {
                trace.set_user(&user);
                trace.audit_session("logout");
            }
        }
    }
    SessionAccess { is_dead }.note(req);
    Ok(())
}

/// A user who logs in.
struct Login {
    user: Arc<User>,
    /// The backend that admitted the user
    backend: String,
    now: StoredTime,
    settings: Arc<Settings>,
}

/// The row's data, its lifetime in seconds, and the cookie's `Max-Age`: `None` for a cookie that ends with the browser.
struct NewSession {
    data: String,
    age: i64,
    max_age: Option<i64>,
}

impl Login {
    /// The session that is written, with the data of an old row if that may be kept.
    fn session(&self, old: Option<(&str, KeyType)>) -> NewSession {
        let keys = &self.settings.secret_keys;
        let old = old.and_then(|(column, key_type)| {
            let old = SessionData::decode(column, keys).ok()?;
            self.may_keep(&old, key_type).then_some(old)
        });
        let mut data = old.unwrap_or_default();
        data.set_str(USER_ID_NAME, &self.user.id.to_string());
        data.set_str(BACKEND_NAME, &self.backend);
        data.set_str(
            AUTH_HASH_NAME,
            &session_auth_hash(&self.user.password, &keys.current),
        );
        let (age, max_age) = self.lifetime(&data);
        let data = data.encode(keys, self.now.unix_seconds());
        NewSession { data, age, max_age }
    }

    /// Whether the old session's data is kept: `login()` keeps an anonymous session's, and the same user's with the same
    /// password.
    fn may_keep(&self, old: &SessionData, key_type: KeyType) -> bool {
        old.get(USER_ID_NAME).is_none()
            || (old.user_id(key_type).as_ref() == Some(&self.user.id)
                && verify_session_auth_hash(old, &self.user.password, &self.settings.secret_keys)
                    == AuthHash::Current)
    }

    /// The lifetime of the row in seconds, and the cookie's `Max-Age` (`get_expiry_age`, `get_expire_at_browser_close`). A
    /// session may hold its own lifetime in seconds; 0 means until the browser closes.
    fn lifetime(&self, data: &SessionData) -> (i64, Option<i64>) {
        const A_HUNDRED_YEARS: i64 = 100 * 365 * 86_400;
        let usual = self.settings.session_cookie.age_seconds;
        let own = data.get("_session_expiry");
        match own.and_then(|json| json.parse().ok()) {
            Some(0) => (usual, None),
            Some(own) if own > 0 && own < A_HUNDRED_YEARS => (own, Some(own)),
            _ => (usual, Some(usual)),
        }
    }
}
