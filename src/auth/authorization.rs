//! What Basic and tokens share: the header `Authorization`, and the refusal of wrong credentials.

use actix_web::HttpRequest;
use actix_web::http::header;
use zeroize::Zeroizing;

use crate::django::negotiation::Renderer;
use crate::error::{Error, ErrorKind};
use crate::request::wsgi_header;
use crate::state::State;

/// The header `Authorization`, whose copy is overwritten when it is dropped.
pub(super) fn authorization(req: &HttpRequest) -> Option<Zeroizing<Vec<u8>>> {
    wsgi_header(req.headers(), header::AUTHORIZATION).map(Zeroizing::new)
}

/// The right credentials of a user who is not active, for Basic and for tokens.
pub(super) const INACTIVE: &str = "User inactive or deleted.";

/// The refusal of wrong credentials (`AuthenticationFailed`), counted in the metrics.
pub(super) fn refusal(
    state: &State,
    authenticator: &'static str,
    outcome: &'static str,
    detail: &'static str,
    renderer: Renderer,
) -> Error {
    state.metrics.authenticated(authenticator, outcome);
    Error::rendered(ErrorKind::AuthenticationFailed(detail), renderer)
}
