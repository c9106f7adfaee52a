//! Which users, as text says it: the parameters of export-users and of the command `export`. Each error is a sentence that
//! names the parameter as the URL does.

use crate::db::{Clock, Instant};
use crate::django::dates::parse_datetime;
use crate::django::sessions::{KeyType, UserId};

/// The most users of a page.
pub const MOST_USERS: u32 = 10_000;

/// The users of a page where nobody says how many.
pub const USUAL_USERS: u32 = 1_000;

/// A date and time as an export has it, or a date; without an offset it is in the zone of the settings. The `+` before an
/// offset is a blank in a query where nobody has escaped it.
///
/// # Errors
/// The text is neither.
pub fn joined_after(text: &str, clock: &Clock) -> Result<Instant, String> {
    let sign = text.len().saturating_sub("+00:00".len());
    let has_lost_plus = text
        .get(sign..)
        .is_some_and(|end| end.starts_with(' ') && end.contains(':') && text[..sign].contains(':'));
    let text = match has_lost_plus {
        true => format!("{}+{}", &text[..sign], &text[sign + 1..]),
        false => text.to_owned(),
    };
    let datetime = parse_datetime(&text).ok().flatten();
    let instant = datetime.and_then(|datetime| clock.at(&datetime));
    instant.ok_or_else(|| {
        "joined_after must be a date or a date and time, such as 2026-11-26 or 2026-11-26T14:00:00Z.".into()
    })
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
