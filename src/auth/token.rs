//! DRF's `TokenAuthentication` (`rest_framework.authentication`, DRF 3.18): one indexed query for each request.

use actix_web::HttpRequest;

use super::authorization::{INACTIVE, authorization, refusal};
use crate::db::connection::Connection;
use crate::db::models::user_table::UserTable;
use crate::db::models::users::User;
use crate::django::authentication::{Token, parse_token};
use crate::django::negotiation::Renderer;
use crate::django::settings::TokenModel;
use crate::error::Error;
use crate::request::deadline;
use crate::state::State;
use crate::telemetry::trace::Trace;

/// The user of the token in `Authorization`; `None` without one of this model's keyword.
pub(super) async fn authenticate(
    state: &State,
    req: &HttpRequest,
    renderer: Renderer,
    model: &TokenModel,
) -> Result<Option<User>, Error> {
    let refuse = |outcome, detail| Err(refusal(state, "token", outcome, detail, renderer));
    let Some(header) = authorization(req) else {
        return Ok(None);
    };
    let key = match parse_token(&header, &model.keyword) {
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
        Some(user) if !user.is_active => refuse("refused", INACTIVE),
        Some(user) => Ok(Some(user)),
    }
}
