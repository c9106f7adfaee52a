//! Authenticates and authorizes the caller: the [`AdminUser`] extractor does what `APIView.initial` does before a view runs.
//!
//! Content negotiation, DRF's authenticators in the configured order, CSRF for a session, then `IsAuthenticated` and
//! `IsAdminUser`, then the method. Nothing is cached: every request reads its session and its user.

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use crate::db::models::users::User;
use crate::django::authentication::{Basic, parse_basic};
use crate::django::negotiation::{Download, Renderer, negotiate, negotiate_download};
use crate::django::request::Query;
use crate::django::settings::{AuthenticatorKind, Settings};
use crate::error::{Error, ErrorKind};
use crate::passwords::check::Admitted;
use crate::request::wsgi_header;
use crate::route::Route;
use crate::state::State;
use crate::telemetry::trace::Trace;

mod authorization;
mod credentials;
pub mod csrf;
mod left_to_django;
pub mod login;
pub mod session;
mod token;

use authorization::{INACTIVE, authorization, refusal};
use session::{SessionAccess, SessionOutcome};

/// A caller that `IsAuthenticated` and `IsAdminUser` admit, with a method that the views know (GET or OPTIONS).
///
/// Having one as a handler's argument *is* the handler's access rule.
pub struct AdminUser {
    /// The caller's name
    pub username: String,
    /// The negotiated renderer
    pub renderer: Renderer,
    /// A download (CSV or NDJSON) in place of what the renderer writes
    pub download: Option<Download>,
    /// The request's parameters
    pub query: Query,
}

impl FromRequest for AdminUser {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<AdminUser, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { admit(&req).await })
    }
}

/// `APIView.initial`, then the method check of `APIView.dispatch` (DRF 3.18).
async fn admit(req: &HttpRequest) -> Result<AdminUser, Error> {
    // `server/http.rs` adds the state together with the handlers.
    let Some(state) = req.app_data::<web::Data<State>>() else {
        return Err(ErrorKind::ServerErrorPage.into());
    };
    let query = Query::parse(req.query_string()).ok_or(ErrorKind::BadRequestPage)?;
    let accept = wsgi_header(req.headers(), header::ACCEPT);
    let trace = Trace::of(req);
    let is_page = trace.route() == Some(Route::Overview);
    let format = query.last("format");
    let is_export = trace.route() == Some(Route::ExportUsers) && *req.method() == Method::GET;
    let download = is_export.then(|| negotiate_download(accept.as_deref(), format.as_deref()));
    let download = download.flatten();
    let renderer = match (is_page, download) {
        (true, _) => Renderer::PAGE,
        // Errors of a download are JSON.
        (false, Some(_)) => Renderer::default(),
        (false, None) => negotiate(accept.as_deref(), format.as_deref())?,
    };

    let settings = state.settings();
    // Only a refusal needs it.
    let challenge = || settings.authenticators.first()?.challenge.clone();
    let fail = |kind| Error::rendered(kind, renderer).with_challenge(challenge());
    let authenticated = authenticate(state, &settings, req, &query, renderer).await;
    let caller = authenticated.map_err(|error| error.with_challenge(challenge()))?;
    let Some((user, authenticator)) = caller else {
        state.metrics.authenticated("none", "anonymous");
        return Err(fail(ErrorKind::NotAuthenticated));
    };
    trace.set_user(&user.id);
    let name = CallerName(user.username.clone());
    req.extensions_mut().insert(name);
    if !user.is_staff {
        state.metrics.authenticated(authenticator, "not_staff");
        return Err(fail(ErrorKind::PermissionDenied));
    }
    state.metrics.authenticated(authenticator, "admitted");
    if !is_page && !matches!(*req.method(), Method::GET | Method::OPTIONS) {
        let method = req.method().to_string();
        return Err(fail(ErrorKind::MethodNotAllowed(method)));
    }
    Ok(AdminUser {
        username: user.username,
        renderer,
        download,
        query,
    })
}

/// The user name of the caller, staff or not: in the request's extensions, for the page.
pub struct CallerName(pub String);

/// Tries the authenticators in order (`Request._authenticate`), and counts refusals in the metrics. Returns the user and the
/// authenticator that recognised it; `None` for `AnonymousUser`.
async fn authenticate(
    state: &State,
    settings: &Settings,
    req: &HttpRequest,
    query: &Query,
    renderer: Renderer,
) -> Result<Option<(User, &'static str)>, Error> {
    for authenticator in &settings.authenticators {
        let (user, name) = match &authenticator.kind {
            AuthenticatorKind::Session { csrf } => {
                (by_session(state, req, renderer, *csrf).await?, "session")
            }
            AuthenticatorKind::Basic => (by_basic(state, req, renderer).await?, "basic"),
            AuthenticatorKind::Token(model) => {
                let user = token::authenticate(state, req, renderer, model).await?;
                (user, "token")
            }
            AuthenticatorKind::Django(other) if left_to_django::carries(req, query, other) => {
                left_to_django::warn(state, other);
                return Ok(None);
            }
            AuthenticatorKind::Django(_) => continue,
        };
        if let Some(user) = user {
            return Ok(Some((user, name)));
        }
    }
    Ok(None)
}

async fn by_session(
    state: &State,
    req: &HttpRequest,
    renderer: Renderer,
    enforces_csrf: bool,
) -> Result<Option<User>, Error> {
    let count = |outcome| state.metrics.authenticated("session", outcome);
    // The answer varies with the cookie, even if the database is unavailable.
    SessionAccess { is_dead: false }.note(req);
    let caller = session::authenticate(state, req).await.map_err(|error| {
        count("unavailable");
        Error::unavailable(&error, renderer)
    })?;
    let is_dead = caller.outcome.is_dead();
    SessionAccess { is_dead }.note(req);
    if caller.user.is_some() && enforces_csrf {
        csrf::enforce(state, req, renderer).inspect_err(|_| count("csrf"))?;
    }
    if caller.user.is_none() && caller.outcome != SessionOutcome::NoCookie {
        count(caller.outcome.label());
    }
    Ok(caller.user)
}

async fn by_basic(
    state: &State,
    req: &HttpRequest,
    renderer: Renderer,
) -> Result<Option<User>, Error> {
    let refuse = |outcome, detail| Err(refusal(state, "basic", outcome, detail, renderer));
    let Some(header) = authorization(req) else {
        return Ok(None);
    };
    let (username, password) = match parse_basic(&header) {
        Basic::NotBasic => return Ok(None),
        Basic::Malformed(detail) => return refuse("malformed", detail),
        Basic::Credentials { username, password } => (username, password),
    };
    match credentials::admit(state, req, username, password).await {
        Ok(Some(Admitted { user, .. })) if user.is_active => Ok(Some(user)),
        Ok(Some(Admitted { user, .. })) => {
            Trace::of(req).audit_refused_password(Some(&user.id), "inactive");
            refuse("refused", INACTIVE)
        }
        Ok(None) => refuse("refused", "Invalid username/password."),
        Err(error) => {
            state.metrics.authenticated("basic", error.label());
            Err(error.into_error(renderer))
        }
    }
}
