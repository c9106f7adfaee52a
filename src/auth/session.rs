//! The session cookie: `SessionMiddleware`, `django.contrib.auth.get_user` and DRF's `SessionAuthentication`, without
//! Django's writes. A row that Django would delete stays; the cookie that Django would delete is deleted.

use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::sessions::SessionRow;
use crate::db::models::user_table::UserTable;
use crate::db::models::users::User;
use crate::db::types::stored_time::StoredTime;
use crate::django::backends::admits_inactive;
use crate::django::cookies;
use crate::django::sessions::{
    AuthHash, BACKEND_NAME, KeyType, SessionData, USER_ID_NAME, Undecodable, UserId,
    verify_session_auth_hash,
};
use crate::django::settings::Settings;
use crate::request::{deadline, wsgi_header};
use crate::session_reader::DECODED_IN_QUERY;
use crate::state::State;
use crate::telemetry::trace::Trace;

/// `SessionStore._validate_session_key`: a shorter key is never looked up.
const SHORTEST_KEY: usize = 8;

/// A longer key is not looked up either: Django's column holds 40 characters.
const LONGEST_KEY: usize = 254;

/// In the request's extensions once the session was read: for the response's `Vary` and `Set-Cookie`
/// (`SessionMiddleware.process_response`).
pub struct SessionAccess {
    /// The cookie names no session: Django deletes it.
    pub is_dead: bool,
}

/// The caller by the session cookie.
pub struct Caller {
    /// The user, if the session is good and the user active
    pub user: Option<User>,
    /// The step that decided it
    pub outcome: SessionOutcome,
}

/// The step at which a session is refused, in the order of the steps; the last is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionOutcome {
    /// The request has no session cookie
    NoCookie,
    /// The key is too short or too long to be looked up
    ImplausibleKey,
    /// There is no row of this key, or it has expired
    NoRow,
    /// The row's data can't be read
    Undecodable(Undecodable),
    /// The session has no user: an anonymous one
    NoUser,
    /// Its user id can't be a key of the user table
    BadUserId,
    /// Its backend is none of `AUTHENTICATION_BACKENDS`
    UnknownBackend,
    /// The user was deleted
    UserGone,
    /// The user is not active
    Inactive,
    /// The auth hash is of another password, or was made with another key
    WrongAuthHash,
    /// The session is good
    Good(AuthHash),
}

impl SessionOutcome {
    /// Whether the cookie names no session, or one that Django would flush.
    pub fn is_dead(self) -> bool {
        matches!(
            self,
            SessionOutcome::ImplausibleKey | SessionOutcome::NoRow | SessionOutcome::WrongAuthHash
        )
    }

    /// Its name in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            SessionOutcome::NoCookie => "no_cookie",
            SessionOutcome::ImplausibleKey => "short_key",
            SessionOutcome::NoRow => "no_session",
            SessionOutcome::Undecodable(_) => "undecodable",
            SessionOutcome::NoUser => "no_user",
            SessionOutcome::BadUserId => "bad_user_id",
            SessionOutcome::UnknownBackend => "unknown_backend",
            SessionOutcome::UserGone => "user_gone",
            SessionOutcome::Inactive => "inactive",
            SessionOutcome::WrongAuthHash => "wrong_auth_hash",
            SessionOutcome::Good(_) => "good",
        }
    }
}

impl From<SessionOutcome> for Caller {
    fn from(outcome: SessionOutcome) -> Caller {
        Caller {
            user: None,
            outcome,
        }
    }
}

/// The value of the session cookie, if the request has one.
pub fn cookie(state: &State, req: &HttpRequest) -> Option<String> {
    let header = wsgi_header(req.headers(), header::COOKIE)?;
    cookies::cookie(&header, &state.settings().session_cookie.name)
}

/// Whether a key has a length that a session's key can have.
pub fn is_plausible(key: &str) -> bool {
    (SHORTEST_KEY..=LONGEST_KEY).contains(&key.chars().count())
}

/// The caller by the request's session cookie. At most two queries, in one job; for a large session three, in three jobs.
pub async fn authenticate(state: &State, req: &HttpRequest) -> Result<Caller, DbError> {
    let Some(key) = cookie(state, req) else {
        return Ok(SessionOutcome::NoCookie.into());
    };
    if !is_plausible(&key) {
        return Ok(SessionOutcome::ImplausibleKey.into());
    }
    let answer = find_caller(state, deadline(req), key.clone());
    let caller = Trace::of(req).time_database(answer).await?;
    let log = &state.rate_limited_log;
    match caller.outcome {
        SessionOutcome::Undecodable(reason) => {
            let message = format!("a session's data can't be decoded: {reason:?}");
            log.warn_hourly(module_path!(), &key, &message);
        }
        SessionOutcome::BadUserId => {
            let message = "a session's _auth_user_id is no key of the user table";
            log.warn_hourly(module_path!(), &key, message);
        }
        _ => {}
    }
    Ok(caller)
}

/// The caller whose session has this key. A large session is decoded between two jobs, a usual one in the only job.
async fn find_caller(state: &State, deadline: Instant, key: String) -> Result<Caller, DbError> {
    let (settings, now) = (state.settings(), state.clock.now_plus(0));
    let (job_key, job_settings) = (key.clone(), Arc::clone(&settings));
    let job = move |connection: &mut Connection, table: &UserTable| {
        let data = SessionRow::find_up_to(DECODED_IN_QUERY, connection, &job_key, now)?;
        if data == Some(None) {
            return Ok(None);
        }
        let data = data.flatten();
        caller_of_row(connection, table, &job_settings, data.as_deref()).map(Some)
    };
    if let Some(caller) = state.db.run(deadline, job).await? {
        return Ok(caller);
    }
    let job_settings = Arc::clone(&settings);
    let decode = move |data: &str, key_type| Login::decode(data, &job_settings, key_type);
    let login = state
        .session_reader
        .read(deadline, key, now, decode)
        .await?;
    let login = match login.unwrap_or(Err(SessionOutcome::NoRow)) {
        Ok(login) => login,
        Err(outcome) => return Ok(outcome.into()),
    };
    let job = move |connection: &mut Connection, table: &UserTable| {
        login.caller(connection, table, &settings)
    };
    state.db.run(deadline, job).await
}

/// The caller whose session has this key. Blocking. `check` shows the same decision to an operator.
pub fn caller(
    connection: &mut Connection,
    table: &UserTable,
    settings: &Settings,
    key: &str,
    now: StoredTime,
) -> Result<Caller, DbError> {
    if !is_plausible(key) {
        return Ok(SessionOutcome::ImplausibleKey.into());
    }
    let data = SessionRow::find(connection, key, now)?;
    caller_of_row(connection, table, settings, data.as_deref())
}

fn caller_of_row(
    connection: &mut Connection,
    table: &UserTable,
    settings: &Settings,
    data: Option<&str>,
) -> Result<Caller, DbError> {
    let Some(data) = data else {
        return Ok(SessionOutcome::NoRow.into());
    };
    match Login::decode(data, settings, table.key_type()) {
        Ok(login) => login.caller(connection, table, settings),
        Err(outcome) => Ok(outcome.into()),
    }
}

/// What a session says of its user's login.
struct Login {
    data: SessionData,
    user_id: UserId,
    admits_inactive: bool,
}

impl Login {
    /// The login in a row's data, or the step at which the session is refused.
    fn decode(data: &str, settings: &Settings, key_type: KeyType) -> Result<Login, SessionOutcome> {
        let data = SessionData::decode_login(data, &settings.secret_keys)
            .map_err(SessionOutcome::Undecodable)?;
        let is_there = data.get(USER_ID_NAME).is_some_and(|json| json != "null");
        let user_id = data.user_id(key_type).ok_or(match is_there {
            true => SessionOutcome::BadUserId,
            false => SessionOutcome::NoUser,
        })?;
        let backend = data.get_str(BACKEND_NAME);
        let known = |backend: &String| settings.authentication_backends.contains(backend);
        let backend = backend
            .filter(known)
            .ok_or(SessionOutcome::UnknownBackend)?;
        Ok(Login {
            data,
            user_id,
            admits_inactive: admits_inactive(&backend),
        })
    }

    /// The user, if the session is good for it. Blocking.
    fn caller(
        &self,
        connection: &mut Connection,
        table: &UserTable,
        settings: &Settings,
    ) -> Result<Caller, DbError> {
        let Some(user) = table.find_by_id(connection, &self.user_id)? else {
            return Ok(SessionOutcome::UserGone.into());
        };
        // `ModelBackend.get_user`: an inactive user counts as missing, and the hash is not compared.
        if !user.is_active && !self.admits_inactive {
            return Ok(SessionOutcome::Inactive.into());
        }
        let hash = verify_session_auth_hash(&self.data, &user.password, &settings.secret_keys);
        Ok(match hash {
            AuthHash::Wrong => SessionOutcome::WrongAuthHash.into(),
            // `SessionAuthentication.authenticate` checks `is_active` again.
            AuthHash::Current | AuthHash::Fallback if !user.is_active => {
                SessionOutcome::Inactive.into()
            }
            AuthHash::Current | AuthHash::Fallback => Caller {
                user: Some(user),
                outcome: SessionOutcome::Good(hash),
            },
        })
    }
}
