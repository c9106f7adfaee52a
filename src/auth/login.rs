//! The rows and cookies of login and logout (`django.contrib.auth.login` and `logout`, Django 5.2), for the JSON API and for
//! the page's forms.
//!
//! Stricter than Django: a login always makes a new session key, and never writes the password column.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest};
use zeroize::Zeroizing;

use super::credentials;
use super::session::{self, SessionAccess};
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::sessions::{SessionRow, new_session_key};
use crate::db::models::user_table::UserTable;
use crate::db::models::users::User;
use crate::db::types::stored_time::{Clock, StoredTime};
use crate::django::backends::authenticating;
use crate::django::cookies;
use crate::django::negotiation::Renderer;
use crate::django::sessions::{
    AUTH_HASH_NAME, AuthHash, BACKEND_NAME, SessionData, USER_ID_NAME, UserId, session_auth_hash,
    verify_session_auth_hash,
};
use crate::django::settings::Settings;
use crate::error::{Error, ErrorKind, LoginRefusal, whole_seconds};
use crate::passwords::NotChecked;
use crate::request::deadline;
use crate::state::State;
use crate::telemetry::trace::Trace;

/// A user who has logged in.
pub struct LoggedIn {
    /// The primary key
    pub id: UserId,
    /// The name
    pub username: String,
    /// Whether the two views admit the user
    pub is_staff: bool,
    /// The `Set-Cookie` of the new session
    pub set_cookie: String,
}

/// Logs a user in: checks name and password, and writes a session that Django accepts.
///
/// # Errors
/// A refusal, or an outage, rendered as `renderer` says.
pub async fn log_in(
    state: &State,
    req: &HttpRequest,
    username: String,
    password: Zeroizing<String>,
    renderer: Renderer,
) -> Result<LoggedIn, Error> {
    let refuse = |refusal| Error::rendered(ErrorKind::Login(refusal), renderer);
    let outage = |error: DbError| Error::unavailable(&error, renderer);
    let checked = credentials::authenticate(state, req, username, password).await;
    let user = checked.map_err(|error| {
        state.metrics.authenticated("login", error.label());
        match error {
            NotChecked::Throttled(wait) => refuse(LoginRefusal::Throttled(whole_seconds(wait))),
            other => other.into_error(renderer),
        }
    })?;
    let Some(user) = user else {
        state.metrics.authenticated("login", "refused");
        return Err(refuse(LoginRefusal::InvalidCredentials));
    };
    let trace = Trace::of(req);
    trace.set_user(&user.id);
    state.metrics.authenticated("login", "admitted");

    let key = new_session_key().map_err(|error| {
        let cause = format!("the system has no random numbers for a session key: {error}");
        Error::unavailable(&cause, renderer)
    })?;
    let now = state.clock.now_plus(0);
    let settings = state.settings();
    let (id, username, is_staff) = (user.id, user.username.clone(), user.is_staff);
    let change = NewSession {
        user,
        key: key.clone(),
        old_key: existing_key(state, req).await.map_err(outage)?,
        now,
        clock: state.clock.clone(),
        settings: Arc::clone(&settings),
    };
    let written = state.db.write(deadline(req), move |connection, table| {
        change.write(connection, table)
    });
    let max_age_seconds = trace.time_database(written).await.map_err(outage)?;

    trace.audit_login();
    req.extensions_mut()
        .insert(SessionAccess { is_dead: false });
    let cookie = &settings.session_cookie;
    let set_cookie = cookies::set_cookie(
        &cookie.name,
        &key,
        max_age_seconds,
        now.unix_seconds(),
        &cookie.attributes(),
    );
    Ok(LoggedIn {
        id,
        username,
        is_staff,
        set_cookie,
    })
}

/// Logs out: deletes the session's row and the cookie, also for an anonymous session.
///
/// # Errors
/// An outage, rendered as `renderer` says.
pub async fn log_out(state: &State, req: &HttpRequest, renderer: Renderer) -> Result<(), Error> {
    let outage = |error: DbError| Error::unavailable(&error, renderer);
    let now = state.clock.now_plus(0);
    if let Some(key) = existing_key(state, req).await.map_err(outage)? {
        let settings = state.settings();
        let deleted = state.db.write(deadline(req), move |connection, table| {
            // `flush()` of a session that has expired finds nothing to delete.
            let Some(data) = SessionRow::find(connection, &key, now)? else {
                return Ok(None);
            };
            SessionRow::delete(connection, &key)?;
            let session = SessionData::decode(&data, &settings.secret_keys).ok();
            Ok(session.and_then(|session| session.user_id(table.key_type())))
        });
        let trace = Trace::of(req);
        if let Some(user) = trace.time_database(deleted).await.map_err(outage)? {
            trace.set_user(&user);
            trace.audit_logout();
        }
    }
    req.extensions_mut().insert(SessionAccess {
        is_dead: session::cookie(state, req).is_some(),
    });
    Ok(())
}

/// The key in the request's session cookie, if there can be a session of this key. The question goes before the transaction
/// that writes: PostgreSQL would abort that for a key that its encoding can't hold.
///
/// # Errors
/// The database did not answer.
async fn existing_key(state: &State, req: &HttpRequest) -> Result<Option<String>, DbError> {
    let key = session::cookie(state, req).filter(|key| session::is_plausible(key));
    let key = match key {
        Some(key) if !key.is_ascii() => key,
        key => return Ok(key),
    };
    let asked = state.db.run(deadline(req), move |connection, _| {
        let can_exist = SessionRow::can_exist(connection, &key)?;
        Ok(can_exist.then(|| key.clone()))
    });
    Trace::of(req).time_database(asked).await
}

/// The writes of one login, in one transaction: deletes the old session, inserts the new one, sets `last_login`.
struct NewSession {
    user: User,
    key: String,
    old_key: Option<String>,
    now: StoredTime,
    clock: Clock,
    settings: Arc<Settings>,
}

impl NewSession {
    /// Writes the rows. Returns the new cookie's `Max-Age` in seconds; `None` for a cookie that ends with the browser.
    fn write(
        &self,
        connection: &mut Connection,
        table: &UserTable,
    ) -> Result<Option<i64>, DbError> {
        let keys = &self.settings.secret_keys;
        let mut data = SessionData::new();
        if let Some(old_key) = &self.old_key
            && let Some(old) = SessionRow::find(connection, old_key, self.now)?
        {
            if let Some(old) = SessionData::decode(&old, keys)
                .ok()
                .filter(|old| self.may_keep(old, table))
            {
                data = old;
            }
            SessionRow::delete(connection, old_key)?;
        }
        data.set_str(USER_ID_NAME, &self.user.id.to_string());
        data.set_str(BACKEND_NAME, self.backend());
        data.set_str(
            AUTH_HASH_NAME,
            &session_auth_hash(&self.user.password, keys.current()),
        );
        let row = SessionRow {
            key: self.key.clone(),
            data: data.encode(keys, self.now.unix_seconds()),
        };
        let (age, max_age) = self.lifetime(&data);
        row.insert(connection, self.clock.now_plus(age))?;
        table.update_last_login(connection, &self.user.id, self.now)?;
        Ok(max_age)
    }

    /// Whether the old session's data is kept: `login()` keeps an anonymous session's, and the same user's with the same
    /// password.
    fn may_keep(&self, old: &SessionData, table: &UserTable) -> bool {
        old.get(USER_ID_NAME).is_none()
            || (old.user_id(table.key_type()).as_ref() == Some(&self.user.id)
                && verify_session_auth_hash(old, &self.user.password, &self.settings.secret_keys)
                    == AuthHash::Current)
    }

    /// The lifetime of the row in seconds, and the cookie's `Max-Age` (`get_expiry_age`, `get_expire_at_browser_close`). A
    /// session may hold its own lifetime in seconds; 0 means until the browser closes.
    fn lifetime(&self, data: &SessionData) -> (i64, Option<i64>) {
        const A_HUNDRED_YEARS: i64 = 100 * 365 * 86_400;
        let usual = self.settings.session_cookie.age_seconds;
        match data
            .get("_session_expiry")
            .and_then(|json| json.parse().ok())
        {
            Some(0) => (usual, None),
            Some(own) if own > 0 && own < A_HUNDRED_YEARS => (own, Some(own)),
            _ => (usual, Some(usual)),
        }
    }

    /// The backend that `authenticate()` would name.
    fn backend(&self) -> &str {
        // `check_password` admitted the user by one of them.
        authenticating(&self.settings.authentication_backends, self.user.is_active)
            .unwrap_or_default()
    }
}
