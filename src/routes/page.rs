//! The HTML page at the mount and, for `text/html`, at the two views: an overview for staff; for other callers the reason of
//! the refusal and a way to log in.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use askama::Template;
use futures_util::future::join;
use log::Level;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::view_error::stats_error;
use crate::auth::{AdminUser, CallerName};
use crate::db::error::{DbError, ExportError};
use crate::db::views::users_page::{Cursor, UserSearch};
use crate::django::negotiation::Renderer;
use crate::django::request::Query;
use crate::django::sessions::UserId;
use crate::error::{Error, ErrorKind, LoginRefusal};
use crate::page::{
    CONTENT_SECURITY_POLICY, Chart, Frame, Login, Options, Overview, Refusal, Users,
};
use crate::request::deadline;
use crate::response;
use crate::route::Route;
use crate::state::State;
use crate::telemetry::trace::Trace;
use crate::telemetry::truncated;

/// How many users a page shows.
const USERS_ON_PAGE: usize = 20;

/// `GET {mount}/`
pub async fn overview(
    admin: AdminUser,
    state: Data<State>,
    req: HttpRequest,
) -> Result<HttpResponse, Error> {
    show(&admin, &state, &req).await
}

/// Any other method at `{mount}/`.
pub async fn method_not_allowed(req: HttpRequest) -> Result<HttpResponse, Error> {
    let method = req.method().to_string();
    Err(Error::rendered(
        ErrorKind::MethodNotAllowed(method),
        Renderer::PAGE,
    ))
}

/// The overview: the figures, the chart, and the page of users that the query string selects.
pub(super) async fn show(
    admin: &AdminUser,
    state: &State,
    req: &HttpRequest,
) -> Result<HttpResponse, Error> {
    let user_search = user_search(req)?;
    let is_first = matches!(user_search.cursor, Cursor::First);
    let search = user_search.text.clone().unwrap_or_default();
    let until = deadline(req);
    let queries = join(
        state.db.users_by_month(until),
        state.db.user_page(until, user_search),
    );
    let (trace, log) = (Trace::of(req), &state.rate_limited_log);
    let (by_month, user_page) = trace.time_database(queries).await;
    let by_month = by_month.map_err(|error| stats_error(log, &error, admin.renderer))?;
    if let (Some(Route::ExportStats), Some(details)) = (trace.route(), &by_month.stats_error) {
        let error = ExportError::View(details.clone());
        return Err(stats_error(log, &error, admin.renderer));
    }
    let root = root(req);
    let users = match user_page {
        Ok(user_page) => {
            // The answer to HEAD shows no users.
            if req.method() == Method::GET {
                trace.audit_page(&admin.username, user_page.rows.len(), !search.is_empty());
            }
            Users::new(&user_page, &search, root, is_first)
        }
        Err(ExportError::Database(error @ DbError::Unavailable(_))) => {
            return Err(Error::unavailable(&error, admin.renderer));
        }
        Err(error) => {
            let details = error.to_string();
            let message = format!("the page can't show users: {}", truncated(&details));
            log.every_minute(Level::Error, module_path!(), message);
            Users::Unreadable(
                "These users can't be shown: the database holds something that Django's export would fail \
                          on, too. The log has the reason.",
            )
        }
    };
    let overview = Overview {
        frame: frame(state, req),
        stats: by_month.stats,
        chart: Chart::new(&by_month),
        now: now(),
        search,
        users,
    };
    page(StatusCode::OK, &overview)
}

/// The page for `OPTIONS`.
pub(super) fn options(state: &State, req: &HttpRequest, json: &str) -> Result<HttpResponse, Error> {
    let indented = Renderer {
        indent: Some(2),
        ..Renderer::PAGE
    };
    let json = response::rendered(indented, json.as_bytes());
    let options = Options {
        frame: frame(state, req),
        json: String::from_utf8_lossy(&json).into_owned(),
    };
    page(StatusCode::OK, &options)
}

/// Gives an error's answer the body of a page, if the client asked for `text/html`. Status and other headers stay.
pub fn for_people(state: &State, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let error = response.response().error();
    let error = error.and_then(|error| error.as_error::<Error>());
    let Some(error) = error.filter(|error| error.is_for_people()) else {
        return response;
    };
    let refusal = refusal(state, response.request(), error);
    let Ok(html) = refusal.render() else {
        return response;
    };
    let mut response = response.map_body(|_, _| html.boxed());
    let headers = response.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html);
    add_policy(headers);
    response
}

/// What the query string asks for.
fn user_search(req: &HttpRequest) -> Result<UserSearch, Error> {
    let query = Query::parse(req.query_string()).ok_or(ErrorKind::BadRequestPage)?;
    let key = |name| query.last(name).and_then(|text| UserId::parse(&text));
    let text = query.last("q").map(|text| text.trim().to_owned());
    Ok(UserSearch {
        text: text.filter(|text| !text.is_empty()),
        cursor: match (key("after"), key("before")) {
            (Some(id), _) => Cursor::After(id),
            (None, Some(id)) => Cursor::Before(id),
            (None, None) => Cursor::First,
        },
        limit: USERS_ON_PAGE,
    })
}

fn refusal(state: &State, req: &HttpRequest, error: &Error) -> Refusal {
    let (heading, advice, helps) = match &error.kind {
        ErrorKind::NotAuthenticated
        | ErrorKind::AuthenticationFailed(_)
        | ErrorKind::Login(
            LoginRefusal::InvalidCredentials
            | LoginRefusal::Throttled(_)
            | LoginRefusal::MalformedForm,
        ) => ("Please log in", None, true),
        ErrorKind::Login(_) => ("Please log in", None, false),
        ErrorKind::PermissionDenied => {
            let advice = "The export is for members of staff. Log in as one of them, or ask them to make you one.";
            ("Not for this account", Some(advice), true)
        }
        ErrorKind::Throttled(_) => ("Too many attempts", None, false),
        ErrorKind::Unavailable => {
            let advice = "Nothing is lost. Load this page again in a few seconds.";
            ("Not available just now", Some(advice), false)
        }
        ErrorKind::ExportFailed(_) | ErrorKind::StatsFailed | ErrorKind::ServerErrorPage => {
            ("The export fails", Some("The log has the reason."), false)
        }
        _ => ("That can't be done", None, false),
    };
    let login = match (helps, state.serves_login) {
        (false, _) => Login::Nothing,
        (true, true) => Login::Form,
        (true, false) => Login::Link(login_url(state, req)),
    };
    Refusal {
        frame: frame(state, req),
        heading,
        reason: error.sentence(),
        advice,
        login,
    }
}

/// The application's login page, with `next` to lead back here. Without a mount the proxy strips the path, so that the URL to
/// lead back to is unknown.
fn login_url(state: &State, req: &HttpRequest) -> String {
    let url = &state.login_url;
    if state.mount.is_empty() {
        return url.clone();
    }
    let here = req.uri().path_and_query().map_or("/", |here| here.as_str());
    let joint = if url.contains('?') { '&' } else { '?' };
    format!(
        "{url}{joint}next={}",
        utf8_percent_encode(here, NON_ALPHANUMERIC)
    )
}

fn frame(state: &State, req: &HttpRequest) -> Frame {
    let extensions = req.extensions();
    let caller = extensions.get::<CallerName>();
    Frame {
        root: root(req),
        caller: caller.map(|CallerName(name)| name.clone()),
        serves_login: state.serves_login,
    }
}

/// The relative URL of the mount. All pages but the overview are one level below it.
fn root(req: &HttpRequest) -> &'static str {
    match Trace::of(req).route() {
        Some(Route::Overview) => "./",
        _ => "../",
    }
}

/// The current time in seconds, by ISO 8601.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Error> {
    let html = template.render().map_err(|error| {
        log::error!("a page can't be rendered: {error}");
        Error::from(ErrorKind::ServerErrorPage)
    })?;
    let mut answer = response::api_head(status, Renderer::PAGE).body(html);
    add_policy(answer.headers_mut());
    Ok(answer)
}

fn add_policy(headers: &mut header::HeaderMap) {
    // It consists of constants and a digest, so this always succeeds.
    if let Ok(policy) = HeaderValue::from_str(&CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}
