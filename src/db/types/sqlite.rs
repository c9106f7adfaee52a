//! Values that SQLite returns.

use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use super::value::{Boolean, DjangoBackend, RankedDate, ValueError, unreadable, uuid};
use crate::django::dates::parse::parse_datetime;
use crate::django::sessions::UserId;

impl DjangoBackend for Sqlite {
    fn id(mut value: SqliteValue<'_, '_, '_>) -> Result<UserId, ValueError> {
        match value.value_type() {
            Some(SqliteType::Text) => uuid(value.read_text()),
            _ => Ok(UserId::Integer(value.read_long().into())),
        }
    }

    fn text<R>(
        mut value: SqliteValue<'_, '_, '_>,
        read: impl FnOnce(&str) -> R,
    ) -> Result<R, ValueError> {
        match value.value_type() {
            // DRF's encoder decodes bytes, and fails on what is not UTF-8.
            Some(SqliteType::Binary) => match std::str::from_utf8(value.read_blob()) {
                Ok(text) => Ok(read(text)),
                Err(_) => Err(ValueError::Unrenderable),
            },
            _ => {
                let text = value.read_text();
                if !text.contains('\u{fffd}') {
                    return Ok(read(text));
                }
                // `read_text` puts U+FFFD for what is not UTF-8, where Python's sqlite3 raises.
                match std::str::from_utf8(value.read_blob()) {
                    Ok(text) => Ok(read(text)),
                    Err(_) => unreadable("Could not decode to UTF-8 column"),
                }
            }
        }
    }

    /// `Database.register_converter("bool", b"1".__eq__)`: true is the text `1` and nothing else.
    fn boolean(mut value: SqliteValue<'_, '_, '_>) -> Result<Boolean, ValueError> {
        Ok(Boolean::Bool(match value.value_type() {
            Some(SqliteType::Long) => value.read_long() == 1,
            _ => value.read_text() == "1",
        }))
    }

    /// SQLite compares dates as texts. So the rank comes from the fields as the text has them, without the offset.
    fn datetime(mut value: SqliteValue<'_, '_, '_>) -> Result<RankedDate, ValueError> {
        match parse_datetime(value.read_text()) {
            Ok(Some(datetime)) => Ok((datetime, datetime.unix_microseconds())),
            Ok(None) => unreadable("'NoneType' object has no attribute 'isoformat'"),
            Err(text) => unreadable(text),
        }
    }
}
