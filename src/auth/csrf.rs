//! `SessionAuthentication.enforce_csrf`: a session's unsafe request must come from the site's own pages.

use actix_web::HttpRequest;

use crate::django::cookies;
use crate::django::csrf::{CsrfRequest, check};
use crate::django::negotiation::Renderer;
use crate::error::{Error, ErrorKind};
use crate::request::{is_from_proxy, wsgi_header};
use crate::state::State;

/// Django's `CSRF_COOKIE_NAME`
const COOKIE_NAME: &str = "csrftoken";

/// Checks the CSRF token of a session's request. Django would also take it from a POST's form; no body is read here.
pub fn enforce(state: &State, req: &HttpRequest, renderer: Renderer) -> Result<(), Error> {
    let header_of = |name: &str| wsgi_header(req.headers(), name);
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
        origin: origin.as_deref(),
        referer: referer.as_deref(),
        csrf_cookie: csrf_cookie.as_deref(),
        csrf_header: csrf_header.as_deref(),
    };
    check(&request).map_err(|reason| Error::rendered(ErrorKind::CsrfFailed(reason), renderer))
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
            wsgi_header(req.headers(), *name).is_some_and(|sent| sent == value.as_bytes())
        })
}
