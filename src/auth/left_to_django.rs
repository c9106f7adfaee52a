//! Requests with credentials that only Django's authenticators read. A proxy leaves them to Django; one that comes here is
//! refused, even if it also carries credentials that a later authenticator would take, and the log says why.

use actix_web::HttpRequest;
use actix_web::http::header;
use log::Level;

use crate::django::cookies::cookie;
use crate::django::request::Query;
use crate::django::settings::OtherCredentials;
use crate::request::wsgi_header;
use crate::state::State;

/// Warns that the proxy should have left this request to Django.
pub(super) fn warn(state: &State, other: &OtherCredentials) {
    let message = format!(
        "a request with credentials for {} came here and was refused: the proxy must leave such requests to Django \
         (deploy/README.md, \"The proxy\")",
        other.class
    );
    let log = &state.rate_limited_log;
    log.every_minute(Level::Warn, module_path!(), &message);
}

/// Whether the request carries credentials that this authenticator reads. Empty ones count as none, as in most classes and in
/// nginx's variables.
pub(super) fn carries(req: &HttpRequest, query: &Query, other: &OtherCredentials) -> bool {
    let authorization = wsgi_header(req.headers(), header::AUTHORIZATION).unwrap_or_default();
    let mut words = authorization.split(u8::is_ascii_whitespace);
    let scheme = words.find(|word| !word.is_empty());
    let is_scheme = |known: &String| {
        scheme.is_some_and(|scheme| known == "*" || scheme.eq_ignore_ascii_case(known.as_bytes()))
    };
    let cookies = wsgi_header(req.headers(), header::COOKIE).unwrap_or_default();
    other.schemes.iter().any(is_scheme)
        || other
            .headers
            .iter()
            .filter_map(|name| req.headers().get(name))
            .any(|value| !value.is_empty())
        || other
            .cookies
            .iter()
            .filter_map(|name| cookie(&cookies, name))
            .any(|value| !value.is_empty())
        || other
            .parameters
            .iter()
            .filter_map(|name| query.last(name))
            .any(|value| !value.is_empty())
}
