//! Parses which users are exported, from the parameters of export-users or the options of the command `export`. Each error is
//! a sentence that names the parameter as the URL does.

use std::borrow::Cow;
use std::time::Instant;

use jiff::fmt::temporal::Pieces;

use crate::db::Db;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::{Clock, StoredTime};
use crate::db::views::exportable_users::{KeyPage, Selection};
use crate::django::sessions::{KeyType, UserId};

/// The largest `limit`.
const MOST_USERS: u32 = 10_000;

/// The number of users on a page without `limit`.
const DEFAULT_USERS: u32 = 1_000;

/// The parameters as texts.
pub struct Parameters {
    /// A date, or a date and time
    pub joined_after: Option<String>,
    /// The key after which a page begins
    pub after_id: Option<String>,
    /// The number of users on a page
    pub limit: Option<String>,
}

/// Why parsing failed.
pub enum ParameterError {
    /// A parameter is wrong, with a sentence
    Wrong(String),
    /// The database did not tell the type of the users' keys
    Database(DbError),
}

impl From<String> for ParameterError {
    fn from(sentence: String) -> ParameterError {
        ParameterError::Wrong(sentence)
    }
}

impl Parameters {
    /// Parses them. The database is asked only where `after_id` is given, for the type of the users' keys.
    pub async fn parse(
        self,
        db: &Db,
        clock: &Clock,
        deadline: Instant,
    ) -> Result<Selection, ParameterError> {
        let joined_after = self.joined_after.map(|text| joined_after(&text, clock));
        let joined_after = joined_after.transpose()?;
        let limit = self.limit.map(|text| limit(&text)).transpose()?;
        let after = match self.after_id {
            None => None,
            Some(text) => {
                let key_type = |_: &mut Connection, table: &UserTable| Ok(table.key_type());
                let key_type = db.run(deadline, key_type).await;
                Some(after_id(
                    &text,
                    key_type.map_err(ParameterError::Database)?,
                )?)
            }
        };
        let page = (after.is_some() || limit.is_some()).then(|| KeyPage {
            after,
            limit: limit.unwrap_or(DEFAULT_USERS),
        });
        Ok(Selection { joined_after, page })
    }
}

/// A date, or a date and time, by ISO 8601 and RFC 3339: years 0001 to 9999, up to nine digits of a second's fraction (stored
/// values have six), and an offset of less than a day. Without an offset it is in the time zone of the settings.
fn joined_after(text: &str, clock: &Clock) -> Result<StoredTime, String> {
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

/// Restores the `+` of an offset, which becomes a blank in a query that does not escape it: the last blank after a `T` or
/// another blank.
fn with_plus(text: &str) -> Cow<'_, str> {
    match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't', ' ']) => format!("{time}+{offset}").into(),
        _ => text.into(),
    }
}

fn limit(text: &str) -> Result<u32, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = is_plain.then(|| text.parse().ok()).flatten();
    limit
        .filter(|limit| (1..=MOST_USERS).contains(limit))
        .ok_or_else(|| format!("limit must be a whole number from 1 to {MOST_USERS}."))
}

fn after_id(text: &str, key_type: KeyType) -> Result<UserId, String> {
    let id = UserId::parse(text).filter(|id| id.key_type() == key_type);
    id.ok_or_else(|| "after_id must be the id of a user, as in an export.".into())
}
