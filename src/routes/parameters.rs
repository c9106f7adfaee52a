//! The parameters of export-users that are the sidecar's own: which users, and how CSV is written. Without them the answer
//! is Django's.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::auth::{AdminUser, deadline};
use crate::db::{Connection, DbError, Instant, KeyPage, Selection, UserTable};
use crate::django::dates::parse_datetime;
use crate::django::negotiation::Download;
use crate::django::request::Query;
use crate::django::sessions::{KeyType, UserId};
use crate::error::{Error, Kind};
use crate::export::{Csv, Layout};
use crate::server::State;
use crate::telemetry::trace::Trace;

/// The most users of a page, and how many it has where nobody says.
const MOST_USERS: u32 = 10_000;
const USUAL_USERS: u32 = 1_000;

/// Which users the request wants.
///
/// # Errors
/// 400 with a sentence for a value that is wrong; an outage, while the type of the users' keys is not known.
pub(super) async fn selection(
    admin: &AdminUser,
    state: &State,
    req: &HttpRequest,
) -> Result<Selection, Error> {
    let wrong = |sentence: &str| bad_request(admin, sentence);
    let joined_after = match admin.query.last("joined_after") {
        None => None,
        Some(text) => Some(date(&text, state).ok_or_else(|| {
            wrong("joined_after must be a date or a date and time, such as 2026-11-26 or 2026-11-26T14:00:00Z.")
        })?),
    };
    let limit = match admin.query.last("limit") {
        None => None,
        Some(text) => {
            let limit = whole_number(&text).filter(|limit| (1..=MOST_USERS).contains(limit));
            Some(limit.ok_or_else(|| {
                wrong(&format!(
                    "limit must be a whole number from 1 to {MOST_USERS}."
                ))
            })?)
        }
    };
    let after = match admin.query.last("after_id") {
        None => None,
        Some(text) => {
            let key_type = |_: &mut Connection, table: &UserTable| Ok(table.key_type());
            let key_type = state.db.run(deadline(req), key_type);
            let key_type: Result<KeyType, DbError> = Trace::of(req).in_database(key_type).await;
            let key_type = key_type.map_err(|error| Error::unavailable(&error, admin.renderer))?;
            let id = UserId::parse(&text).filter(|id| id.key_type() == key_type);
            Some(id.ok_or_else(|| wrong("after_id must be the id of a user, as in an export."))?)
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

/// Digits and nothing else.
fn whole_number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// A date and time as an export has it, or a date. The `+` before an offset is a blank where nobody has escaped it.
fn date(text: &str, state: &State) -> Option<Instant> {
    let (start, end) = text.split_at_checked(text.len().saturating_sub(6))?;
    let lost_plus = end.strip_prefix(' ').filter(|_| start.contains(':'));
    let text = match lost_plus {
        Some(offset) if offset.contains(':') => format!("{start}+{offset}"),
        _ => text.to_owned(),
    };
    let datetime = parse_datetime(&text).ok().flatten()?;
    state.clock.at(&datetime)
}
