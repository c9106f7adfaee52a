//! `SessionAuthentication.enforce_csrf`: a session's unsafe request must come from the site's own pages.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::rt::time::timeout;
use futures_util::StreamExt as _;

use crate::auth::{BODY_TIMEOUT, is_from_proxy, joined};
use crate::django::cookies;
use crate::django::csrf::{
    CsrfRequest, CsrfSettings, DATA_UPLOAD_MAX_MEMORY_SIZE, PostBody, check_origin_and_cookie,
};
use crate::django::negotiation::Renderer;
use crate::error::{Error, Kind};
use crate::server::{ServerAddress, State};

/// Django's `CSRF_COOKIE_NAME`
const COOKIE_NAME: &str = "csrftoken";

/// Passes, or fails as the request of a session without a good csrf token does. Only a POST's body is read, and only
/// once its cookie is good.
///
/// # Errors
/// 403 with the reason; 400 or 415 for a body that DRF can't parse, 408 for one that does not come.
pub async fn enforce(
    state: &State,
    req: &HttpRequest,
    payload: Option<Payload>,
    renderer: Renderer,
) -> Result<(), Error> {
    let header_of = |name: &str| joined(req.headers(), name);
    let host = header_of("host").unwrap_or_default();
    let (origin, referer, csrf_header) = (
        header_of("origin"),
        header_of("referer"),
        header_of("x-csrftoken"),
    );
    let csrf_cookie =
        header_of("cookie").and_then(|cookies| cookies::cookie(&cookies, COOKIE_NAME));
    let request = CsrfRequest {
        method: req.method().as_str(),
        is_secure: is_secure(state, req),
        host: &String::from_utf8_lossy(&host),
        server_port: req
            .app_data::<ServerAddress>()
            .map_or(80, |ServerAddress(bound)| bound.port()),
        origin: origin.as_deref(),
        referer: referer.as_deref(),
        csrf_cookie: csrf_cookie.as_deref(),
        csrf_header: csrf_header.as_deref(),
    };
    let failed = |reason| Error::rendered(Kind::CsrfFailed(reason), renderer);
    let Some(pending) =
        check_origin_and_cookie(&request, &CsrfSettings::default()).map_err(failed)?
    else {
        return Ok(());
    };
    let form_value = match pending.reads_form() {
        false => None,
        true => match PostBody::read(
            header_of("content-type").as_deref(),
            &timeout(BODY_TIMEOUT, body(req, payload))
                .await
                .map_err(|_| Error::rendered(Kind::BodyTimeout, renderer))?,
        ) {
            PostBody::Form(value) => value,
            PostBody::ParseError(detail) => {
                return Err(Error::rendered(Kind::ParseError(detail), renderer));
            }
            PostBody::UnsupportedMediaType(detail) => {
                return Err(Error::rendered(
                    Kind::UnsupportedMediaType(detail),
                    renderer,
                ));
            }
            PostBody::BadRequest => return Err(Error::new(Kind::BadRequestPage)),
        },
    };
    pending
        .check_csrf_token(form_value.as_deref())
        .map_err(failed)
}

/// `wsgi.url_scheme` as gunicorn sets it, with its default `secure_scheme_headers`: a trusted proxy says that it ended TLS.
/// `SIDECAR_TRUSTED_PROXIES` stands for gunicorn's `forwarded_allow_ips`, and has the same default.
pub fn is_secure(state: &State, req: &HttpRequest) -> bool {
    const SECURE_SCHEME_HEADERS: [(&str, &str); 3] = [
        ("x-forwarded-protocol", "ssl"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-ssl", "on"),
    ];
    is_from_proxy(state, req)
        && SECURE_SCHEME_HEADERS.iter().any(|(name, value)| {
            joined(req.headers(), *name).is_some_and(|sent| sent == value.as_bytes())
        })
}

/// The body, as far as its parsers look at it. As under WSGI, a body without a length is no body.
async fn body(req: &HttpRequest, payload: Option<Payload>) -> Vec<u8> {
    let Some(mut payload) = payload.filter(|_| req.headers().contains_key(header::CONTENT_LENGTH))
    else {
        return Vec::new();
    };
    let mut body = Vec::new();
    while body.len() <= DATA_UPLOAD_MAX_MEMORY_SIZE
        && let Some(Ok(chunk)) = payload.next().await
    {
        body.extend_from_slice(&chunk);
    }
    body
}
