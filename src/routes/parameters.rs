//! The parameters of export-users that Django does not have: which users, and how CSV is written. Without them the answer is
//! Django's.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::auth::AdminUser;
use crate::db::views::exportable_users::Selection;
use crate::django::negotiation::Download;
use crate::django::request::Query;
use crate::error::{Error, ErrorKind};
use crate::export::parameters::{ParameterError, Parameters};
use crate::export::{Csv, Layout};
use crate::request::deadline;
use crate::state::State;
use crate::telemetry::trace::Trace;

/// Which users are exported.
///
/// # Errors
/// 400 with a sentence for a wrong value; 503 while the database can't tell the type of the users' keys.
pub(super) async fn selection(
    admin: &AdminUser,
    state: &State,
    req: &HttpRequest,
) -> Result<Selection, Error> {
    let parameters = Parameters {
        joined_after: admin.query.last("joined_after"),
        after_id: admin.query.last("after_id"),
        limit: admin.query.last("limit"),
    };
    let selection = parameters.parse(&state.db, &state.clock, deadline(req));
    let selection = Trace::of(req).time_database(selection).await;
    selection.map_err(|error| match error {
        ParameterError::Wrong(sentence) => bad_request(admin, &sentence),
        ParameterError::Database(error) => Error::unavailable(&error, admin.renderer),
    })
}

/// The format of the export.
pub(super) fn layout(admin: &AdminUser) -> Result<Layout, Error> {
    match admin.download {
        None => Ok(Layout::Json(admin.renderer)),
        Some(Download::Ndjson) => Ok(Layout::Ndjson),
        Some(Download::Csv) => {
            let bom = match admin.query.last("bom").as_deref() {
                None | Some("0") => false,
                Some("1") => true,
                Some(_) => return Err(bad_request(admin, "bom must be 0 or 1.")),
            };
            let keeps_formulas = match admin.query.last("formulas").as_deref() {
                None => false,
                Some("keep") => true,
                Some(_) => {
                    return Err(bad_request(admin, "formulas must be keep, or left out."));
                }
            };
            Ok(Layout::Csv(Csv {
                bom,
                keeps_formulas,
            }))
        }
    }
}

/// The value of `Link` to the page after the user with this key, with all other parameters as they are.
pub(super) fn next_page(query: &Query, after: Option<&str>) -> Option<HeaderValue> {
    let after = after?;
    let mut link = String::from("<?");
    for (name, value) in query.iter().filter(|(name, _)| *name != "after_id") {
        for (text, end) in [(name, '='), (value, '&')] {
            link.extend(utf8_percent_encode(text, NON_ALPHANUMERIC));
            link.push(end);
        }
    }
    link.push_str("after_id=");
    link.extend(utf8_percent_encode(after, NON_ALPHANUMERIC));
    link.push_str(">; rel=\"next\"");
    HeaderValue::from_str(&link).ok()
}

fn bad_request(admin: &AdminUser, sentence: &str) -> Error {
    Error::rendered(ErrorKind::ParseError(sentence.to_owned()), admin.renderer)
}
