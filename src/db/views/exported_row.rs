//! One row of the export: read from any database, kept without the text that all rows share, and written as JSON.
//!
//! Without that text a spool of many rows is half as long, and writing the spool is a good part of an export's work.

use std::borrow::Cow;

use diesel::row::Row;
use memchr::memchr;

use crate::config::Backend;
use crate::db::models::user_table::UserTable;
use crate::db::types::row::{FromRow, optional, required};
use crate::db::types::value::{Boolean, DjangoBackend, ValueError};
use crate::django::dates::DateTime;
use crate::django::renderers::write_json_string;
use crate::django::sessions::UserId;

/// The text before each value of a user's JSON: the keys of `user_data` in the customer's view.
const BEFORE_VALUES: [&[u8]; 7] = [
    b"{\"id\":",
    b",\"username\":",
    b",\"email\":",
    b",\"first_name\":",
    b",\"last_name\":",
    b",\"tv_service\":true,\"movie_service\":",
    b",\"is_active\":true,\"date_joined\":\"",
];
/// The text behind the last value.
const END: &[u8] = b"\"}";

/// ASCII's unit separator stands between two values. JSON escapes control characters, so it is in none of them.
const SEPARATOR: u8 = 0x1f;

/// How many bytes JSON adds to a row.
pub const JSON_ADDS: usize = {
    let (mut length, mut index) = (END.len(), 0);
    while index < BEFORE_VALUES.len() {
        length += BEFORE_VALUES[index].len();
        index += 1;
    }
    length - (BEFORE_VALUES.len() - 1)
};

/// Writes an exported row as JSON.
pub fn write_json(row: &[u8], out: &mut Vec<u8>) {
    out.reserve(row.len() + JSON_ADDS);
    let mut rest = row;
    for before in BEFORE_VALUES {
        let end = memchr(SEPARATOR, rest).unwrap_or(rest.len());
        out.extend_from_slice(before);
        out.extend_from_slice(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out.extend_from_slice(END);
}

/// One value of an exported row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'r> {
    /// NULL
    Null,
    /// A number, `true` or `false`, or a date: as JSON has it, a date without its quotes
    Bare(&'r str),
    /// Text, without JSON's quotes and escapes
    Text(Cow<'r, str>),
}

/// The values of an exported row: `id`, `username`, `email`, `first_name`, `last_name`, `movie_service`, `date_joined`.
pub fn values(row: &[u8]) -> [Value<'_>; 7] {
    let mut rest = row;
    std::array::from_fn(|_| {
        let end = memchr(SEPARATOR, rest).unwrap_or(rest.len());
        let value = value(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        value
    })
}

fn value(json: &[u8]) -> Value<'_> {
    // Every row is made of UTF-8.
    let json = std::str::from_utf8(json).unwrap_or_default();
    let inside = json
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    match inside {
        None if json == "null" => Value::Null,
        None => Value::Bare(json),
        Some(text) if memchr(b'\\', text.as_bytes()).is_none() => Value::Text(text.into()),
        Some(_) => Value::Text(
            serde_json::from_str::<String>(json)
                .unwrap_or_default()
                .into(),
        ),
    }
}

/// One exported user, with the columns of `UserTable::select_exportable`.
pub(super) struct ExportedRow {
    pub(super) id: UserId,
    /// A number by which the users sort by `date_joined`
    pub(super) rank: i64,
    /// The values as [`write_json`] reads them, up to the last one
    values: Vec<u8>,
    date_joined: DateTime,
}

impl ExportedRow {
    /// The values as [`write_json`] reads them. With `USE_TZ` Django takes a date without a time zone for one in UTC
    /// (`convert_datetimefield_value` calls `make_aware`); its PostgreSQL backend has no such converter.
    pub(super) fn into_bytes(mut self, table: &UserTable) -> Vec<u8> {
        let makes_aware = table.model.use_tz && table.backend != Backend::Postgres;
        if makes_aware && self.date_joined.offset_seconds.is_none() {
            self.date_joined.offset_seconds = Some(0);
        }
        self.date_joined.isoformat(&mut self.values);
        self.values
    }
}

impl FromRow for ExportedRow {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Self, ValueError> {
        let mut out = Vec::with_capacity(192);
        let id = required(row, 0, DB::id)?;
        match &id {
            UserId::Integer(id) => {
                out.extend_from_slice(itoa::Buffer::new().format(*id).as_bytes());
            }
            UserId::Uuid(_) => write_json_string(&mut out, &id.to_string()),
        }
        for index in 1..=4 {
            out.push(SEPARATOR);
            let written = optional(row, index, |value| {
                DB::text(value, |text| write_json_string(&mut out, text))
            })?;
            if written.is_none() {
                out.extend_from_slice(b"null");
            }
        }
        out.push(SEPARATOR);
        write_boolean(&mut out, optional(row, 6, DB::boolean)?);
        out.push(SEPARATOR);
        let Some((date_joined, rank)) = optional(row, 5, DB::datetime)? else {
            return Err(ValueError::Unreadable(
                "'NoneType' object has no attribute 'isoformat'".into(),
            ));
        };
        let own_rank = optional(row, 7, DB::datetime)?;
        Ok(ExportedRow {
            id,
            rank: own_rank.map_or(rank, |(_, rank)| rank),
            values: out,
            date_joined,
        })
    }
}

fn write_boolean(out: &mut Vec<u8>, value: Option<Boolean>) {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(Boolean::Bool(true)) => out.extend_from_slice(b"true"),
        Some(Boolean::Bool(false)) => out.extend_from_slice(b"false"),
        Some(Boolean::Number(number)) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes())
        }
    }
}
