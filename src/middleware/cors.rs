//! Cross-origin resource sharing (the Fetch standard) for the origins in `SIDECAR_CORS_ORIGINS`. Django has none. Without that list
//! every header and answer is Django's.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::response::vary_on;
use crate::state::State;

/// The listed origin whose page sends this request.
fn listed<'a>(state: &'a State, req: &HttpRequest) -> Option<&'a str> {
    let mut origins = req.headers().get_all(header::ORIGIN);
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return None;
    };
    let mut listed = state.cors_origins.iter().map(String::as_str);
    listed.find(|listed| listed.as_bytes() == origin.as_bytes())
}

/// The answer to a preflight request from a page of a listed origin.
pub(super) fn preflight(state: &State, req: &HttpRequest) -> Option<HttpResponse> {
    let is_preflight = req.method() == Method::OPTIONS
        && req
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    listed(state, req).filter(|_| is_preflight)?;
    let mut answer = HttpResponse::NoContent();
    answer
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "accept, authorization, content-type, if-none-match, x-csrftoken",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
    Some(answer.finish())
}

/// Lets a page of a listed origin read the answer.
pub(super) fn allow(state: &State, response: &mut ServiceResponse<BoxBody>) {
    if state.cors_origins.is_empty() {
        return;
    }
    let origin = listed(state, response.request()).map(HeaderValue::from_str);
    let headers = response.headers_mut();
    vary_on(headers, "Origin");
    if let Some(Ok(origin)) = origin {
        let fixed = HeaderValue::from_static;
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, fixed("true"));
        let exposed = fixed("ETag, Retry-After");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}
