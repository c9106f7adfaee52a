//! DRF's `TokenAuthentication` (`rest_framework.authentication`, DRF 3.18): one indexed query for each request.

use actix_web::HttpRequest;
use actix_web::http::header;
use zeroize::Zeroizing;

use crate::db::connection::Connection;
use crate::db::models::user_table::UserTable;
use crate::db::models::users::User;
use crate::django::authentication::{Token, parse_token};
use crate::django::negotiation::Renderer;
use crate::django::settings::TokenModel;
use crate::error::{Error, ErrorKind};
use crate::request::{deadline, wsgi_header};
use crate::state::State;
use crate::telemetry::trace::Trace;

/// The user of the token in `Authorization`; `None` without one of this model's keyword.
pub(super) async fn authenticate(
    state: &State,
    req: &HttpRequest,
    renderer: Renderer,
    model: &TokenModel,
) -> Result<Option<User>, Error> {
    let refuse = |outcome, detail| {
        state.metrics.authenticated("token", outcome);
        let kind = ErrorKind::AuthenticationFailed(detail);
        Err(Error::rendered(kind, renderer))
    };
    let Some(header) = wsgi_header(req.headers(), header::AUTHORIZATION) else {
        return Ok(None);
    };
    let key = match parse_token(&Zeroizing::new(header), &model.keyword) {
        Token::OtherScheme => return Ok(None),
        Token::Malformed(detail) => return refuse("malformed", detail),
        Token::Key(key) => key,
    };
    let model = model.clone();
    let find = move |connection: &mut Connection, table: &UserTable| {
        table.find_by_token(connection, &model, &key)
    };
    let trace = Trace::of(req);
    let found = trace.time_database(state.db.run(deadline(req), find));
    let found = found.await.map_err(|error| {
        state.metrics.authenticated("token", "unavailable");
        Error::unavailable(&error, renderer)
    })?;
    match found {
        None => refuse("refused", "Invalid token."),
        Some(user) if !user.is_active => refuse("refused", "User inactive or deleted."),
        Some(user) => Ok(Some(user)),
    }
}
