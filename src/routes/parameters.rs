//! The parameters of export-users that are the sidecar's own: which users, and how CSV is written. Without them the answer
//! is Django's.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::auth::AdminUser;
use crate::db::{Connection, DbError, KeyPage, Selection, UserTable};
use crate::django::negotiation::Download;
use crate::django::request::Query;
use crate::django::sessions::KeyType;
use crate::error::{Error, Kind};
use crate::export::parameters::{USUAL_USERS, after_id, joined_after, limit};
use crate::export::{Csv, Layout};
use crate::request::deadline;
use crate::state::State;
use crate::telemetry::trace::Trace;

/// Which users the request wants.
///
/// # Errors
/// 400 with a sentence for a value that is wrong; an outage, while the type of the users' keys is not known.
pub(super) async fn selection(
    admin: &AdminUser,
    state: &State,
    req: &HttpRequest,
) -> Result<Selection, Error> {
    let wrong = |sentence: String| bad_request(admin, &sentence);
    let text = |name| admin.query.last(name);
    let joined_after = text("joined_after").map(|text| joined_after(&text, &state.clock));
    let joined_after = joined_after.transpose().map_err(wrong)?;
    let limit = text("limit").map(|text| limit(&text));
    let limit = limit.transpose().map_err(wrong)?;
    let after = match text("after_id") {
        None => None,
        Some(text) => {
            let key_type = |_: &mut Connection, table: &UserTable| Ok(table.key_type());
            let key_type = state.db.run(deadline(req), key_type);
            let key_type: Result<KeyType, DbError> = Trace::of(req).time_database(key_type).await;
            let key_type = key_type.map_err(|error| Error::unavailable(&error, admin.renderer))?;
            Some(after_id(&text, key_type).map_err(wrong)?)
        }
    };
    let page = (after.is_some() || limit.is_some()).then(|| KeyPage {
        after,
        limit: limit.unwrap_or(USUAL_USERS),
    });
    Ok(Selection { joined_after, page })
}

/// As what the users are written.
///
/// # Errors
/// 400 with a sentence for a value that is wrong.
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

/// `Link` to the page behind the one whose last user has this key, with all other parameters as they are.
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
    Error::rendered(Kind::ParseError(sentence.to_owned()), admin.renderer)
}
