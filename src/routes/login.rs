//! Login and logout (`django.contrib.auth.login` and `logout`, Django 5.2), served with `SIDECAR_LOGIN=on`.
//!
//! Stricter than Django: JSON from the same site only, and always a new session key.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::auth::passwords::{self, Unchecked};
use crate::auth::session::{self, SessionAccess};
use crate::auth::{BODY_TIMEOUT, csrf, deadline, joined};
use crate::db::{
    Clock, Connection, DbError, Instant, SessionRow, User, UserTable, new_session_key,
};
use crate::django::backends::authenticating;
use crate::django::cookies;
use crate::django::negotiation::Renderer;
use crate::django::renderers::write_json_string;
use crate::django::sessions::{
    AUTH_HASH_NAME, AuthHash, BACKEND_NAME, SessionData, USER_ID_NAME, UserId, session_auth_hash,
    verify_session_auth_hash,
};
use crate::django::settings::Settings;
use crate::error::{Error, Kind, LoginRefusal, whole_seconds};
use crate::server::State;
use crate::telemetry::trace::Trace;

/// The largest body login reads, in bytes.
const LARGEST_BODY: usize = 16 * 1024;

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: Zeroizing<String>,
}

/// `POST /api/login/`: a session that Django accepts, for a name and password that Django accepts.
pub async fn login(
    req: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Error> {
    require_same_site_post(&state, &req)?;
    if !is_json(&req) {
        return Err(refuse(LoginRefusal::UnsupportedMediaType));
    }
    let body = match timeout(BODY_TIMEOUT, payload.to_bytes_limited(LARGEST_BODY)).await {
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(_))) => return Err(refuse(LoginRefusal::Malformed)),
        Ok(Err(_)) => return Err(refuse(LoginRefusal::TooLarge)),
        Err(_) => return Err(refuse(LoginRefusal::BodyTimeout)),
    };
    let credentials: Credentials =
        serde_json::from_slice(&body).map_err(|_| refuse(LoginRefusal::Malformed))?;

    let outage = |error: DbError| Error::unavailable(&error, Renderer::default());
    let Credentials { username, password } = credentials;
    let checked = passwords::authenticate(&state, &req, username, password).await;
    let user = checked.map_err(|why| {
        state.metrics.authenticated("login", why.label());
        match why {
            Unchecked::Throttled(wait) => refuse(LoginRefusal::Throttled(whole_seconds(wait))),
            other => Error::unchecked(other, Renderer::default()),
        }
    })?;
    let Some(user) = user else {
        state.metrics.authenticated("login", "refused");
        return Err(refuse(LoginRefusal::InvalidCredentials));
    };
    let trace = Trace::of(&req);
    trace.is_of(&user.id);
    state.metrics.authenticated("login", "admitted");

    let mut json = br#"{"success":true,"user":{"id":"#.to_vec();
    match &user.id {
        UserId::Integer(id) => json.extend_from_slice(id.to_string().as_bytes()),
        id @ UserId::Uuid(_) => write_json_string(&mut json, &id.to_string()),
    }
    json.extend_from_slice(b",\"username\":");
    write_json_string(&mut json, &user.username);
    json.extend_from_slice(format!(",\"is_staff\":{}}}}}", user.is_staff).as_bytes());

    let key = new_session_key().map_err(|error| outage(DbError::Unavailable(error.to_string())))?;
    let now = state.clock.now_plus(0);
    let settings = state.settings();
    let change = NewSession {
        user,
        key: key.clone(),
        old_key: session::cookie(&state, &req).filter(|key| session::is_plausible(key)),
        now,
        clock: state.clock.clone(),
        settings: Arc::clone(&settings),
    };
    let written = state.db.write(deadline(&req), move |connection, table| {
        change.write(connection, table)
    });
    let max_age_seconds = trace.in_database(written).await.map_err(outage)?;

    req.extensions_mut()
        .insert(SessionAccess { is_dead: false });
    let cookie = &settings.session_cookie;
    let set = cookies::set_cookie(
        &cookie.name,
        &key,
        max_age_seconds,
        now.unix_seconds(),
        &cookie.attributes(),
    );
    Ok(HttpResponse::Ok()
        .insert_header((header::SET_COOKIE, set))
        .content_type("application/json")
        .body(json))
}

/// `POST /api/logout/`: the row and the cookie go, whoever holds them.
pub async fn logout(req: HttpRequest, state: Data<State>) -> Result<HttpResponse, Error> {
    require_same_site_post(&state, &req)?;
    // It needs no body; one of the types that a form can send gives another site's page away.
    if req.headers().contains_key(header::CONTENT_TYPE) && !is_json(&req) {
        return Err(refuse(LoginRefusal::UnsupportedMediaType));
    }
    let key = session::cookie(&state, &req);
    let has_cookie = key.is_some();
    let now = state.clock.now_plus(0);
    if let Some(key) = key.filter(|key| session::is_plausible(key)) {
        let deleted = state.db.write(deadline(&req), move |connection, _| {
            // `flush()` of a session that has expired finds nothing to delete.
            connection.transaction(
                |connection| match SessionRow::find(connection, &key, now)? {
                    Some(_) => SessionRow::delete(connection, &key),
                    None => Ok(()),
                },
            )
        });
        let deleted = Trace::of(&req).in_database(deleted).await;
        deleted.map_err(|error: DbError| Error::unavailable(&error, Renderer::default()))?;
    }
    req.extensions_mut().insert(SessionAccess {
        is_dead: has_cookie,
    });
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"success":true}"#))
}

/// The rows of one login: the old session's goes, the new one's comes, `last_login` is set; all or nothing.
struct NewSession {
    user: User,
    key: String,
    old_key: Option<String>,
    now: Instant,
    clock: Clock,
    settings: Arc<Settings>,
}

impl NewSession {
    /// Writes the rows; the new cookie's `Max-Age`, or none for one that ends with the browser.
    fn write(
        &self,
        connection: &mut Connection,
        table: &UserTable,
    ) -> Result<Option<i64>, DbError> {
        let keys = &self.settings.secret_keys;
        connection.transaction(|connection| {
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
        })
    }

    /// `login()`'s rule: an anonymous session's data is kept, and that of the same user with the same password.
    fn may_keep(&self, old: &SessionData, table: &UserTable) -> bool {
        old.get(USER_ID_NAME).is_none()
            || (old.user_id(table.key_type()).as_ref() == Some(&self.user.id)
                && verify_session_auth_hash(old, &self.user.password, &self.settings.secret_keys)
                    == AuthHash::Current)
    }

    /// How long the row lives, and the cookie's `Max-Age` (`get_expiry_age`, `get_expire_at_browser_close`): a session may
    /// bring a lifetime of its own in seconds, where 0 is the browser's.
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
        // Who got here was admitted by one of them.
        authenticating(&self.settings.authentication_backends, self.user.is_active)
            .unwrap_or_default()
    }
}

fn is_json(req: &HttpRequest) -> bool {
    req.content_type().eq_ignore_ascii_case("application/json")
}

/// `POST` only, and not from a page of another site that is not listed.
fn require_same_site_post(state: &State, req: &HttpRequest) -> Result<(), Error> {
    if req.method() != Method::POST {
        return Err(refuse(LoginRefusal::MethodNotAllowed));
    }
    let host = joined(req.headers(), header::HOST).unwrap_or_default();
    let origin = joined(req.headers(), header::ORIGIN);
    let is_listed = |origin: &Vec<u8>| {
        let listed = &mut state.cors_origins.iter();
        listed.any(|listed| listed.as_bytes() == origin)
    };
    if origin.as_ref().is_some_and(is_listed) {
        return Ok(());
    }
    let is_same_site = origin.is_none_or(|origin| {
        let is_downgraded = csrf::is_secure(req) && origin.starts_with(b"http://");
        is_origin_of(&origin, &host) && !is_downgraded
    });
    let site = joined(req.headers(), "sec-fetch-site");
    let is_fetched_here =
        site.is_none_or(|site| matches!(site.as_slice(), b"same-origin" | b"none"));
    match is_same_site && is_fetched_here {
        true => Ok(()),
        false => Err(refuse(LoginRefusal::ForeignOrigin)),
    }
}

/// Whether `Origin` names the host that was asked. Not the scheme: the proxy in front ends TLS. So a default port may stand
/// on either side, or not.
fn is_origin_of(origin: &[u8], host: &[u8]) -> bool {
    let without_port = |host: &[u8]| {
        let bare = [&b":443"[..], b":80"]
            .iter()
            .find_map(|port| host.strip_suffix(*port));
        bare.unwrap_or(host).to_ascii_lowercase()
    };
    let origin = origin
        .strip_prefix(b"https://")
        .or_else(|| origin.strip_prefix(b"http://"));
    origin.is_some_and(|origin| without_port(origin) == without_port(host))
}

fn refuse(refusal: LoginRefusal) -> Error {
    Error::new(Kind::Login(refusal))
}
