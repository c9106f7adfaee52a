//! Which users, as text says it: the parameters of export-users and of the command `export`. Each error is a sentence that
//! names the parameter as the URL does.

use std::borrow::Cow;

use jiff::fmt::temporal::Pieces;

use crate::db::types::stored_time::{Clock, StoredTime};
use crate::django::sessions::{KeyType, UserId};

/// The most users of a page.
pub const MOST_USERS: u32 = 10_000;

/// The users of a page where nobody says how many.
pub const USUAL_USERS: u32 = 1_000;

/// A date, or a date and time, by ISO 8601 and RFC 3339: years 0001 to 9999, up to nine digits of a second's fraction
/// (stored values have six), and an offset of less than a day. Without an offset it is in the zone of the settings.
///
/// # Errors
/// The text is neither.
pub fn joined_after(text: &str, clock: &Clock) -> Result<StoredTime, String> {
    let text = with_plus(text);
    let pieces = Pieces::parse(text.as_bytes()).ok().filter(|pieces| {
        let offset = pieces.to_numeric_offset();
        (1..=9999).contains(&pieces.date().year())
            && offset.is_none_or(|offset| offset.seconds().abs() < 86_400)
            && !text.contains('[')
    });
    let pieces = pieces.ok_or(
        "joined_after must be a date or a date and time, such as 2026-11-26 or 2026-11-26T14:00:00Z.",
    )?;
    let time = pieces.time().unwrap_or_default();
    Ok(clock.at(pieces.date().to_datetime(time), pieces.to_numeric_offset()))
}

/// The text with the `+` of its offset, which a query that does not escape it turns into a blank: the last blank behind
/// a `T` or another blank.
fn with_plus(text: &str) -> Cow<'_, str> {
    match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't', ' ']) => format!("{time}+{offset}").into(),
        _ => text.into(),
    }
}

/// How many users a page has.
///
/// # Errors
/// The text is no whole number from 1 to [`MOST_USERS`].
pub fn limit(text: &str) -> Result<u32, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = is_plain.then(|| text.parse().ok()).flatten();
    limit
        .filter(|limit| (1..=MOST_USERS).contains(limit))
        .ok_or_else(|| format!("limit must be a whole number from 1 to {MOST_USERS}."))
}

/// The key behind which a page begins.
///
/// # Errors
/// The text is no key of this type.
pub fn after_id(text: &str, key_type: KeyType) -> Result<UserId, String> {
    let id = UserId::parse(text).filter(|id| id.key_type() == key_type);
    id.ok_or_else(|| "after_id must be the id of a user, as in an export.".into())
}
