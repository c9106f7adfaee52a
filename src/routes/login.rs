//! Login and logout, served with `SIDECAR_LOGIN=on`: as JSON at `/api/login/` and `/api/logout/` for programs, and as the
//! forms of the page for browsers. Stricter than Django: from the same site only.

use actix_web::http::Method;
use actix_web::http::header::{self, CONTENT_TYPE, LOCATION, SET_COOKIE};
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::StreamExt as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::auth::csrf;
use crate::auth::login::{log_in, log_out};
use crate::client_connection::activity::BodyFraming;
use crate::django::negotiation::{Format, Renderer};
use crate::django::renderers::write_json_string;
use crate::django::request::Query;
use crate::django::sessions::UserId;
use crate::error::{Error, ErrorKind, LoginRefusal};
use crate::request::{BODY_TIMEOUT, BodyRead, wsgi_header};
use crate::state::State;

/// The largest body that login reads, in bytes.
const LARGEST_BODY: usize = 16 * 1024;

/// The renderer of the forms' answers.
const PAGE: Renderer = Renderer::PAGE;

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: Zeroizing<String>,
}

/// `POST /api/login/`: logs in and answers the user and the session cookie as JSON.
pub async fn login(
    req: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Error> {
    let renderer = Renderer::default();
    let body = posted(&state, &req, payload, "application/json", renderer).await?;
    let Credentials { username, password } =
        serde_json::from_slice(&body).map_err(|_| refuse(LoginRefusal::Malformed, renderer))?;
    let (user, set_cookie) = log_in(&state, &req, username, password, renderer).await?;

    let mut json = br#"{"success":true,"user":{"id":"#.to_vec();
    match &user.id {
        UserId::Integer(id) => json.extend_from_slice(id.to_string().as_bytes()),
        id @ UserId::Uuid(_) => write_json_string(&mut json, &id.to_string()),
    }
    json.extend_from_slice(b",\"username\":");
    write_json_string(&mut json, &user.username);
    json.extend_from_slice(format!(",\"is_staff\":{}}}}}", user.is_staff).as_bytes());
    Ok(HttpResponse::Ok()
        .insert_header((SET_COOKIE, set_cookie))
        .content_type("application/json")
        .body(json))
}

/// `POST /api/logout/`: deletes the session and the cookie.
pub async fn logout(
    req: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Error> {
    let renderer = Renderer::default();
    require_same_site_post(&state, &req, renderer)?;
    // Logout needs no body, and many clients name a type without one. A body of a type that a form can send may come from
    // another site's page.
    if req.headers().contains_key(CONTENT_TYPE)
        && !is_of_type(&req, "application/json")
        && !has_empty_body(&req, payload).await
    {
        return Err(refuse(LoginRefusal::UnsupportedMediaType, renderer));
    }
    log_out(&state, &req, renderer).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"success":true}"#))
}

/// The page's login form: redirects to the page, with a session.
pub async fn login_form(
    req: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Error> {
    let body = posted(&state, &req, payload, FORM, PAGE).await?;
    let malformed = || refuse(LoginRefusal::MalformedForm, PAGE);
    let body = std::str::from_utf8(&body).map_err(|_| malformed())?;
    let form = Query::parse(body).ok_or_else(malformed)?;
    let (Some(username), Some(password)) = (form.last("username"), form.last("password")) else {
        return Err(malformed());
    };
    let password = Zeroizing::new(password);
    let (_, set_cookie) = log_in(&state, &req, username, password, PAGE).await?;
    Ok(to_the_page()
        .insert_header((SET_COOKIE, set_cookie))
        .finish())
}

/// The page's logout form: redirects to the page, without a session.
pub async fn logout_form(req: HttpRequest, state: Data<State>) -> Result<HttpResponse, Error> {
    require_same_site_post(&state, &req, PAGE)?;
    log_out(&state, &req, PAGE).await?;
    Ok(to_the_page().finish())
}

/// The media type of a browser's form.
const FORM: &str = "application/x-www-form-urlencoded";

/// 303 to the page, one path segment above the form.
fn to_the_page() -> HttpResponseBuilder {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((LOCATION, "../"));
    answer
}

/// The body of a request, which must be a `POST` from the same site and of this media type.
async fn posted(
    state: &State,
    req: &HttpRequest,
    payload: Payload,
    media_type: &str,
    renderer: Renderer,
) -> Result<Bytes, Error> {
    require_same_site_post(state, req, renderer)?;
    let refused = |refusal| Err(refuse(refusal, renderer));
    if !is_of_type(req, media_type) {
        return refused(match renderer.format {
            Format::Html => LoginRefusal::MalformedForm,
            _ => LoginRefusal::UnsupportedMediaType,
        });
    }
    match timeout(BODY_TIMEOUT, payload.to_bytes_limited(LARGEST_BODY)).await {
        Ok(Ok(Ok(body))) => {
            req.extensions_mut().insert(BodyRead);
            Ok(body)
        }
        Ok(Ok(Err(_))) => refused(LoginRefusal::Malformed),
        Ok(Err(_)) => refused(LoginRefusal::TooLarge),
        Err(_) => refused(LoginRefusal::BodyTimeout),
    }
}

/// Whether the body is empty. One whose first byte does not come in time is not.
async fn has_empty_body(req: &HttpRequest, mut payload: Payload) -> bool {
    match BodyFraming::of(req.headers()) {
        BodyFraming::None => true,
        BodyFraming::Length => false,
        BodyFraming::Chunked => matches!(timeout(BODY_TIMEOUT, payload.next()).await, Ok(None)),
    }
}

fn is_of_type(req: &HttpRequest, media_type: &str) -> bool {
    req.content_type().eq_ignore_ascii_case(media_type)
}

/// Refuses other methods than `POST`, and pages of other sites that `SIDECAR_CORS_ORIGINS` does not list. Another site's page
/// can send a form, so a form must prove its origin; it can't send JSON unless CORS allows it.
fn require_same_site_post(
    state: &State,
    req: &HttpRequest,
    renderer: Renderer,
) -> Result<(), Error> {
    if req.method() != Method::POST {
        return Err(refuse(LoginRefusal::MethodNotAllowed, renderer));
    }
    let host = wsgi_header(req.headers(), header::HOST).unwrap_or_default();
    let origin = wsgi_header(req.headers(), header::ORIGIN);
    let is_listed = |origin: &Vec<u8>| {
        let listed = &mut state.cors_origins.iter();
        listed.any(|listed| listed.as_bytes() == origin)
    };
    if origin.as_ref().is_some_and(is_listed) {
        return Ok(());
    }
    let is_own = |origin: &[u8]| {
        let is_downgraded = csrf::is_secure(state, req) && origin.starts_with(b"http://");
        is_origin_of(origin, &host) && !is_downgraded
    };
    let site = wsgi_header(req.headers(), "sec-fetch-site");
    let is_form = renderer.format == Format::Html;
    let is_from_here = match (origin.as_deref(), site.as_deref()) {
        (Some(origin), None | Some(b"same-origin" | b"none")) => is_own(origin),
        (None, Some(b"same-origin")) => true,
        (None, Some(b"none")) => !is_form,
        (_, Some(_)) => false,
        // An old browser sends no `Origin`; Django's CsrfViewMiddleware takes `Referer` then, too.
        (None, None) => {
            let referer = wsgi_header(req.headers(), header::REFERER);
            !is_form || referer.is_some_and(|referer| is_own(origin_of(&referer)))
        }
    };
    match is_from_here {
        true => Ok(()),
        false => Err(refuse(LoginRefusal::ForeignOrigin, renderer)),
    }
}

/// The scheme, host and port of a URL.
fn origin_of(url: &[u8]) -> &[u8] {
    let mut slashes = url.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let third = slashes.nth(2).map(|(place, _)| place);
    &url[..third.unwrap_or(url.len())]
}

/// Whether `Origin` names the requested host. The scheme is not compared, because the proxy in front ends TLS. So `Host` may
/// have the default port of either scheme, and `Origin` the one of its own scheme.
fn is_origin_of(origin: &[u8], host: &[u8]) -> bool {
    let schemes = [(&b"https://"[..], &b":443"[..]), (b"http://", b":80")];
    let origin = schemes.iter().find_map(|(scheme, port)| {
        let origin = origin.strip_prefix(*scheme)?;
        Some(origin.strip_suffix(*port).unwrap_or(origin))
    });
    let bare_host = schemes
        .iter()
        .find_map(|(_, port)| host.strip_suffix(*port));
    let host = bare_host.unwrap_or(host);
    origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

fn refuse(refusal: LoginRefusal, renderer: Renderer) -> Error {
    Error::rendered(ErrorKind::Login(refusal), renderer)
}
