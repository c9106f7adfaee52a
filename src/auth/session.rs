//! The session cookie: `SessionMiddleware`, `django.contrib.auth.get_user` and DRF's `SessionAuthentication`, without
//! Django's writes. A row that Django would delete stays; the cookie that Django would delete is deleted.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::auth::{deadline, joined};
use crate::db::{DbError, SessionRow, User};
use crate::django::backends::admits_inactive;
use crate::django::cookies;
use crate::django::sessions::{
    AuthHash, BACKEND_NAME, SessionData, USER_ID_NAME, verify_session_auth_hash,
};
use crate::server::State;

/// `SessionStore._validate_session_key`: a shorter key is never looked up.
const SHORTEST_KEY: usize = 8;

/// Left in the request's extensions once the session was looked at, for the response's `Vary` and `Set-Cookie`
/// (`SessionMiddleware.process_response`).
pub struct SessionAccess {
    /// The cookie names no session: Django deletes it.
    pub is_dead: bool,
}

/// What the session cookie says.
pub struct Caller {
    /// The user, if the session is good and the user active
    pub user: Option<User>,
    /// The cookie names no session, or one that Django would flush
    pub is_dead: bool,
}

impl Caller {
    const ANONYMOUS: Caller = Caller {
        user: None,
        is_dead: false,
    };
    const DEAD: Caller = Caller {
        user: None,
        is_dead: true,
    };
}

/// The value of the session cookie, if the request has one.
pub fn cookie(state: &State, req: &HttpRequest) -> Option<String> {
    let header = joined(req.headers(), header::COOKIE)?;
    cookies::cookie(&header, &state.settings.session_cookie.name)
}

/// Whether Django would look a session of this key up at all.
pub fn is_plausible(key: &str) -> bool {
    key.chars().count() >= SHORTEST_KEY
}

/// The caller by session cookie; two queries at the most, on one connection.
///
/// # Errors
/// The database's.
pub async fn authenticate(state: &State, req: &HttpRequest) -> Result<Caller, DbError> {
    let Some(key) = cookie(state, req) else {
        return Ok(Caller::ANONYMOUS);
    };
    if !is_plausible(&key) {
        return Ok(Caller::DEAD);
    }
    let (settings, complaints) = (Arc::clone(&state.settings), Arc::clone(&state.complaints));
    let now = state.clock.now_plus(0);
    state
        .db
        .run(deadline(req), move |connection, table| {
            let Some(data) = SessionRow::find(connection, &key, now)? else {
                return Ok(Caller::DEAD);
            };
            let session = match SessionData::decode(&data, &settings.secret_keys) {
                Ok(session) => session,
                Err(reason) => {
                    complaints.warn(
                        &key,
                        &format!("a session's data can't be decoded: {reason:?}"),
                    );
                    return Ok(Caller::ANONYMOUS);
                }
            };
            let Some(user_id) = session.user_id(table.key_type()) else {
                if session.get(USER_ID_NAME).is_some_and(|json| json != "null") {
                    complaints.warn(
                        &key,
                        "a session's _auth_user_id is no key of the user table",
                    );
                }
                return Ok(Caller::ANONYMOUS);
            };
            let backend = session.get_str(BACKEND_NAME);
            let known = |backend: &String| settings.authentication_backends.contains(backend);
            let Some(backend) = backend.filter(known) else {
                return Ok(Caller::ANONYMOUS);
            };
            // `ModelBackend.get_user`: an inactive user is no user, and the hash is not looked at.
            let admitted = |user: &User| user.is_active || admits_inactive(&backend);
            let user = table.find_by_id(connection, &user_id)?;
            let Some(user) = user.filter(admitted) else {
                return Ok(Caller::ANONYMOUS);
            };
            Ok(
                match verify_session_auth_hash(&session, &user.password, &settings.secret_keys) {
                    AuthHash::Wrong => Caller::DEAD,
                    // `SessionAuthentication.authenticate` asks for an active user once more.
                    AuthHash::Current | AuthHash::Fallback => Caller {
                        user: Some(user).filter(|user| user.is_active),
                        is_dead: false,
                    },
                },
            )
        })
        .await
}
