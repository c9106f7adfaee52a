//! What Django's default middleware does around every view: `SecurityMiddleware`, the response half of
//! `SessionMiddleware`, `CommonMiddleware` (host check, missing slash) and `XFrameOptionsMiddleware` (Django 5.2).
//!
//! It also turns the raw path into Django's `path_info`: a known path reaches the router in its plain spelling, whatever its
//! percent-encoding. Health checks pass through unchanged.

use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse, ResponseError};

use crate::auth::session::{self, SessionAccess};
use crate::client_connection::activity::{Activity, BodyFraming, Sending};
use crate::django::cookies;
use crate::django::request::{append_slash_location, host_is_allowed, path_info};
use crate::django::settings::Settings;
use crate::error::{Error, ErrorKind};
use crate::request::{BodyRead, wsgi_header};
use crate::response::{Compressed, vary_on};
use crate::route::Route;
use crate::routes::{Paths, page};
use crate::state::{ServerAddress, State};
use crate::telemetry::trace::Trace;

pub mod access_log;
mod cors;

/// `SecurityMiddleware.process_response` with Django's defaults.
const SECURITY_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
];

/// The result of resolving a path.
enum Resolved {
    /// A handler serves this path
    Handler(String, Route),
    /// Only the path with a slash is known: this one
    MissingSlash(String),
    /// No handler
    NotFound,
}

/// The outermost middleware: refuses a request whose head was too large. Like malformed requests, which Actix refuses, it is
/// neither logged nor counted.
pub async fn limit_head(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let activity = req.conn_data::<Rc<Activity>>();
    if activity.is_some_and(|activity| activity.is_head_too_large()) {
        return Ok(req.into_response(Error::new(ErrorKind::HeadTooLargePage).error_response()));
    }
    Ok(next.call(req).await?.map_into_boxed_body())
}

/// What Django's middleware does, around every handler.
pub async fn django(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let body = BodyFraming::of(req.headers());
    let activity = req.conn_data::<Rc<Activity>>();
    // No timeout of the connection runs while the request is answered.
    let in_progress = activity.map(|activity| activity.begin(body));
    let state = req.app_data::<Data<State>>().cloned();
    let paths = req.app_data::<Data<Paths>>().cloned();
    // `server/http.rs` adds both.
    let (Some(state), Some(paths)) = (state, paths) else {
        return Ok(req.into_response(Error::server_error_page().error_response()));
    };
    let trace = Trace::of(req.request());
    let settings = state.settings();
    let path = path_info(req.uri().path());
    let resolved = resolve(&paths, &settings, path);
    if let Resolved::Handler(_, route) = resolved {
        trace.set_route(route);
        if !route.reads_body() {
            // Actix drops the rest of the body.
            drop(req.take_payload());
        }
        if route.is_for_operators() {
            let mut response = next.call(req).await?.map_into_boxed_body();
            close_behind_unread_body(&mut response, body);
            return Ok(response);
        }
    }

    let mut frame_options = true;
    let mut response = if !is_host_allowed(&settings, &req) {
        frame_options = false;
        req.into_response(Error::bad_request_page().error_response())
    } else {
        match resolved {
            Resolved::Handler(..)
                if let Some(preflight) = cors::preflight(&state, req.request()) =>
            {
                req.into_response(preflight)
            }
            Resolved::Handler(path, _) => {
                rewrite(&mut req, &path);
                page::for_people(&state, next.call(req).await?.map_into_boxed_body())
            }
            Resolved::MissingSlash(_) if settings.debug && is_with_body(req.method()) => {
                // `CommonMiddleware` raises: a redirect would lose the form's data.
                req.into_response(Error::server_error_page().error_response())
            }
            Resolved::MissingSlash(path) => {
                frame_options = false;
                let location = append_slash_location(&path, req.uri().query());
                req.into_response(redirect(&location))
            }
            Resolved::NotFound => req.into_response(Error::not_found_page().error_response()),
        }
    };

    end_dead_session(&state, &mut response);
    cors::allow(&state, &mut response);
    let is_compressed = response.response().extensions().contains::<Compressed>();
    if is_compressed {
        vary_on(response.headers_mut(), "Accept-Encoding");
    }
    let headers = response.headers_mut();
    if frame_options {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    close_behind_unread_body(&mut response, body);
    // Django writes `Content-Type`, not `content-type`; some clients compare bytes.
    response
        .response_mut()
        .head_mut()
        .set_camel_case_headers(true);
    Ok(response.map_body(|_, body| Sending::new(body, in_progress).boxed()))
}

/// Closes the connection after a request whose body was not read, so that nothing waits for the rest. A chunked body
/// always closes it, and so does an upgrade that reached Actix (`client_connection/request_framing.rs` removes most).
fn close_behind_unread_body(response: &mut ServiceResponse<BoxBody>, body: BodyFraming) {
    let request = response.request();
    let is_read = match body {
        BodyFraming::None => true,
        BodyFraming::Length => request.extensions().contains::<BodyRead>(),
        BodyFraming::Chunked => false,
    };
    let is_upgrade = request.head().connection_type() == ConnectionType::Upgrade;
    if !is_read || is_upgrade {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
}

/// `HttpRequest.get_host` against `ALLOWED_HOSTS`.
fn is_host_allowed(settings: &Settings, req: &ServiceRequest) -> bool {
    let host = wsgi_header(req.headers(), header::HOST);
    let server = req
        .app_data::<ServerAddress>()
        .map_or_else(String::new, |ServerAddress(bound)| bound.to_string());
    host_is_allowed(
        host.as_deref(),
        &server,
        &settings.allowed_hosts,
        settings.debug,
    )
}

/// Django's URL resolver, and `CommonMiddleware.should_redirect_with_slash`.
fn resolve(paths: &Paths, settings: &Settings, path: String) -> Resolved {
    if let Some(route) = paths.find(&path) {
        return Resolved::Handler(path, route);
    }
    let with_slash = format!("{path}/");
    match settings.append_slash && paths.find(&with_slash).is_some() {
        true => Resolved::MissingSlash(with_slash),
        false => Resolved::NotFound,
    }
}

fn is_with_body(method: &Method) -> bool {
    matches!(
        *method,
        Method::DELETE | Method::POST | Method::PUT | Method::PATCH
    )
}

/// Replaces the request's path by the plain spelling of a known path.
fn rewrite(req: &mut ServiceRequest, path: &str) {
    let path_and_query = match req.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // This can't fail: a known path is plain ASCII, and the query was part of a URI before.
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        req.match_info_mut().get_mut().update(&uri);
        req.head_mut().uri = uri;
    }
}

fn redirect(location: &str) -> HttpResponse {
    HttpResponse::MovedPermanently()
        .insert_header((header::LOCATION, location))
        .content_type("text/html; charset=utf-8")
        .body("")
}

/// `SessionMiddleware.process_response`: adds `Cookie` to `Vary` once the session was read, and deletes a cookie that names no
/// session.
fn end_dead_session(state: &State, response: &mut ServiceResponse<BoxBody>) {
    let request = response.request();
    let access = request
        .extensions()
        .get::<SessionAccess>()
        .map(|access| access.is_dead);
    // Django deletes a cookie whose key no session can have, even where the session is not read.
    let is_dead = access.unwrap_or_else(|| {
        session::cookie(state, request).is_some_and(|key| !session::is_plausible(&key))
    });
    if access.is_none() && !is_dead {
        return;
    }
    let headers = response.headers_mut();
    vary_on(headers, "Cookie");
    if is_dead {
        let settings = state.settings();
        let cookie = &settings.session_cookie;
        let deletion = cookies::delete_cookie(&cookie.name, &cookie.attributes());
        if let Ok(value) = HeaderValue::from_str(&deletion) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}
