//! Who is calling, and may they: the [`AdminUser`] extractor does what `APIView.initial` does before a view runs.
//!
//! Content negotiation, DRF's authenticators in the configured order, CSRF for a session, then `IsAuthenticated` and
//! `IsAdminUser`, then the method. Nothing is cached: every request reads the session and the user anew.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::{self, AsHeaderName};
use actix_web::http::{Method, header::HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use zeroize::Zeroizing;

use crate::db::{self, DbError, User};
use crate::django::authentication::{Basic, parse_basic};
use crate::django::negotiation::{Renderer, negotiate};
use crate::django::request::Query;
use crate::django::settings::Authenticator;
use crate::error::{BASIC_CHALLENGE, Error, Kind};
use crate::server::State;

pub mod client_address;
pub mod csrf;
pub mod passwords;
pub mod session;
pub mod throttle;

use client_address::client_address;
use session::SessionAccess;

/// How long a request's body may take.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A caller that `IsAuthenticated` and `IsAdminUser` admit, with a method that the views know (GET or OPTIONS).
///
/// Having one as a handler's argument *is* the handler's access rule.
pub struct AdminUser {
    /// The caller's name
    pub username: String,
    /// How the caller wants the answer
    pub renderer: Renderer,
}

impl FromRequest for AdminUser {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<AdminUser, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let payload = payload.take();
        Box::pin(async move { admit(&req, payload).await })
    }
}

/// `APIView.initial`, then the method check of `APIView.dispatch` (DRF 3.18).
async fn admit(req: &HttpRequest, payload: Payload) -> Result<AdminUser, Error> {
    // Routing has found this handler, so the state is there: `server.rs` adds both together.
    let Some(state) = req.app_data::<web::Data<State>>() else {
        return Err(Error::new(Kind::ServerErrorPage));
    };
    let query = Query::parse(req.query_string()).map_err(|_| Error::new(Kind::BadRequestPage))?;
    let accept = joined(req.headers(), header::ACCEPT);
    let renderer = negotiate(accept.as_deref(), query.last("format").as_deref())?;

    let challenge = match state.settings.rest_authentication.first() {
        Some(Authenticator::Basic) => Some(BASIC_CHALLENGE),
        _ => None,
    };
    let fail = |kind| Err(Error::rendered(kind, renderer).with_challenge(challenge));
    let user = match authenticate(state, req, payload, renderer).await? {
        Identity::User(user) => user,
        Identity::Anonymous => return fail(Kind::NotAuthenticated),
        Identity::Refused(detail) => return fail(Kind::AuthenticationFailed(detail)),
    };
    if !user.is_staff {
        return fail(Kind::PermissionDenied);
    }
    if !matches!(*req.method(), Method::GET | Method::OPTIONS) {
        return fail(Kind::MethodNotAllowed(req.method().to_string()));
    }
    Ok(AdminUser {
        username: user.username,
        renderer,
    })
}

/// What the authenticators make of a request.
enum Identity {
    User(User),
    /// None of them recognised anything (`AnonymousUser`)
    Anonymous,
    /// `AuthenticationFailed` with its detail
    Refused(&'static str),
}

/// Tries the authenticators in order (`Request._authenticate`).
async fn authenticate(
    state: &State,
    req: &HttpRequest,
    payload: Payload,
    renderer: Renderer,
) -> Result<Identity, Error> {
    let outage = |error: DbError| Error::unavailable(&error, renderer);
    let mut payload = Some(payload);
    for authenticator in &state.settings.rest_authentication {
        match authenticator {
            Authenticator::Session => {
                // The answer depends on the cookie, even if the answer is that nobody could tell.
                req.extensions_mut()
                    .insert(SessionAccess { is_dead: false });
                let caller = session::authenticate(state, req).await.map_err(outage)?;
                req.extensions_mut().insert(SessionAccess {
                    is_dead: caller.why.is_dead(),
                });
                if let Some(user) = caller.user {
                    csrf::enforce(req, payload.take(), renderer).await?;
                    return Ok(Identity::User(user));
                }
            }
            Authenticator::Basic => {
                let Some(header) = joined(req.headers(), header::AUTHORIZATION) else {
                    continue;
                };
                match parse_basic(&Zeroizing::new(header)) {
                    Basic::NotBasic => {}
                    Basic::Malformed(detail) => return Ok(Identity::Refused(detail)),
                    Basic::Credentials { username, password } => {
                        let user = passwords::authenticate(state, req, username, password)
                            .await
                            .map_err(|why| Error::unchecked(why, renderer))?;
                        return Ok(match user {
                            Some(user) if user.is_active => Identity::User(user),
                            Some(_) => Identity::Refused("User inactive or deleted."),
                            None => Identity::Refused("Invalid username/password."),
                        });
                    }
                }
            }
        }
    }
    Ok(Identity::Anonymous)
}

/// Whose request it is; `None`: whoever calls through a unix socket.
pub fn client(state: &State, req: &HttpRequest) -> Option<IpAddr> {
    let peer = req.peer_addr().map(|peer| peer.ip());
    let forwarded_for = joined(req.headers(), header::X_FORWARDED_FOR);
    client_address(peer, forwarded_for.as_deref(), &state.trusted_proxies)
}

/// Until when a request may wait for the database.
struct Deadline(Instant);

/// Until when this request may wait for the database, from its first question on.
pub fn deadline(req: &HttpRequest) -> Instant {
    let mut extensions = req.extensions_mut();
    if let Some(Deadline(deadline)) = extensions.get() {
        return *deadline;
    }
    let deadline = db::deadline();
    extensions.insert(Deadline(deadline));
    deadline
}

/// The time that it waited for something else does not count.
pub fn postpone_deadline(req: &HttpRequest, waited: Duration) {
    let later = deadline(req) + waited;
    req.extensions_mut().insert(Deadline(later));
}

/// A header's value as a WSGI server hands it to Django: several lines joined with commas.
pub fn joined(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name);
    let mut value = lines.next()?.as_bytes().to_vec();
    for line in lines {
        value.push(b',');
        value.extend_from_slice(line.as_bytes());
    }
    Some(value)
}
