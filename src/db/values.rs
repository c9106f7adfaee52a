//! What a database returns, converted as Django's backend converts it (`DatabaseOperations.get_db_converters` of each
//! backend, and the drivers' own conversions beneath it).

use diesel::backend::Backend;

use crate::django::dates::DateTime;
use crate::django::sessions::UserId;

/// 2000-01-01 in Unix microseconds: PostgreSQL counts from there.
#[cfg(feature = "postgres")]
pub(super) const UNIX_MICROSECONDS_OF_2000: i64 = 946_684_800_000_000;

/// Why a stored value can't be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueError {
    /// Django fails while it reads the value, inside the view's `try`; the text is Python's `str(e)`.
    Unreadable(String),
    /// Django reads it and fails when it renders the JSON, outside the view's `try`.
    Unrenderable,
}

impl std::fmt::Display for ValueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueError::Unreadable(text) => f.write_str(text),
            ValueError::Unrenderable => f.write_str("a value is not JSON serializable"),
        }
    }
}

impl std::error::Error for ValueError {}

fn unreadable<T>(text: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError::Unreadable(text.into()))
}

/// What a boolean column holds, as Python sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boolean {
    /// `True` or `False`
    Bool(bool),
    /// MySQL's tinyint other than 0 and 1 stays a number.
    #[cfg_attr(
        not(feature = "mysql"),
        expect(dead_code, reason = "only MySQL reads it")
    )]
    Number(i64),
}

impl Boolean {
    /// Python's truth value.
    pub(super) fn is_true(self) -> bool {
        match self {
            Boolean::Bool(value) => value,
            Boolean::Number(number) => number != 0,
        }
    }
}

/// A database that Django supports, as a reader of its columns.
pub(super) trait DjangoBackend: Backend {
    /// Whether Django takes a date and time without a zone for one in UTC when `USE_TZ` is on
    /// (`convert_datetimefield_value` calls `make_aware`); its PostgreSQL backend has no such converter.
    const MAKES_AWARE: bool = true;

    /// A primary key: an integer, or a UUID in whatever type the backend has for it.
    fn id(value: Self::RawValue<'_>) -> Result<UserId, ValueError>;
    /// A text, handed to `read`.
    fn text<R>(value: Self::RawValue<'_>, read: impl FnOnce(&str) -> R) -> Result<R, ValueError>;
    /// A boolean.
    fn boolean(value: Self::RawValue<'_>) -> Result<Boolean, ValueError>;
    /// A date and time, naive where the column has no zone.
    fn datetime(value: Self::RawValue<'_>) -> Result<Placed, ValueError>;
}

/// A date and time, and its place among others: a number by which they sort as the database itself sorts them, `None` where
/// that can't be told.
pub(super) type Placed = (DateTime, Option<i64>);

/// A number that was read as an integer key is.
pub(super) fn count_of(id: UserId) -> Result<i64, ValueError> {
    let count = match id {
        UserId::Integer(count) => i64::try_from(count).ok(),
        UserId::Uuid(_) => None,
    };
    count.map_or_else(|| unreadable("a count that is no number"), Ok)
}

/// A UUID in 32 hexadecimal digits, with or without hyphens.
fn uuid(text: &str) -> Result<UserId, ValueError> {
    let mut digits = text
        .bytes()
        .filter(|b| *b != b'-')
        .map(|b| char::from(b).to_digit(16));
    let mut bytes = [0u8; 16];
    for byte in &mut bytes {
        match (digits.next().flatten(), digits.next().flatten()) {
            // Two hexadecimal digits are at most 255.
            (Some(high), Some(low)) => *byte = (high * 16 + low) as u8,
            _ => return unreadable("badly formed hexadecimal UUID string"),
        }
    }
    match digits.next() {
        None => Ok(UserId::Uuid(bytes)),
        Some(_) => unreadable("badly formed hexadecimal UUID string"),
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use diesel::pg::{Pg, PgValue};

    use super::*;

    const INT8: u32 = 20;
    const INT2: u32 = 21;
    const INT4: u32 = 23;
    const TIMESTAMP: u32 = 1114;
    const TIMESTAMPTZ: u32 = 1184;
    const UUID: u32 = 2950;

    fn integer<const N: usize>(value: PgValue<'_>) -> Result<[u8; N], ValueError> {
        value
            .as_bytes()
            .try_into()
            .or_else(|_| unreadable("an integer of unexpected width"))
    }

    impl DjangoBackend for Pg {
        const MAKES_AWARE: bool = false;

        fn id(value: PgValue<'_>) -> Result<UserId, ValueError> {
            match value.get_oid().get() {
                INT8 => Ok(UserId::Integer(i64::from_be_bytes(integer(value)?).into())),
                INT4 => Ok(UserId::Integer(i32::from_be_bytes(integer(value)?).into())),
                INT2 => Ok(UserId::Integer(i16::from_be_bytes(integer(value)?).into())),
                UUID => Ok(UserId::Uuid(integer(value)?)),
                _ => Self::text(value, uuid)?,
            }
        }

        fn text<R>(value: PgValue<'_>, read: impl FnOnce(&str) -> R) -> Result<R, ValueError> {
            match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => Ok(read(text)),
                Err(_) => unreadable("invalid UTF-8"),
            }
        }

        fn boolean(value: PgValue<'_>) -> Result<Boolean, ValueError> {
            Ok(Boolean::Bool(value.as_bytes() != [0]))
        }

        fn datetime(value: PgValue<'_>) -> Result<Placed, ValueError> {
            let aware = match value.get_oid().get() {
                TIMESTAMPTZ => true,
                TIMESTAMP => false,
                _ => return unreadable("a column that is no timestamp"),
            };
            let stored = i64::from_be_bytes(integer(value)?);
            let mut datetime = match stored {
                // psycopg2 turns the infinities into Python's extremes.
                i64::MAX => DateTime::MAX,
                i64::MIN => DateTime::MIN,
                since_2000 => {
                    let unix = since_2000.saturating_add(UNIX_MICROSECONDS_OF_2000);
                    DateTime::from_unix_microseconds(unix)
                        .map_err(|error| ValueError::Unreadable(error.to_string()))?
                }
            };
            datetime.offset_seconds = aware.then_some(0);
            Ok((datetime, Some(stored)))
        }
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

    use super::*;
    use crate::django::dates::{parse_datetime, rank_of_stored_text};

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

        /// SQLite compares the texts, so only texts as Django writes them sort as the times that they tell.
        fn datetime(mut value: SqliteValue<'_, '_, '_>) -> Result<Placed, ValueError> {
            let is_text = value.value_type() == Some(SqliteType::Text);
            let text = value.read_text();
            match parse_datetime(text) {
                Ok(Some(datetime)) => {
                    let place = rank_of_stored_text(text).filter(|_| is_text);
                    Ok((datetime, place))
                }
                Ok(None) => unreadable("'NoneType' object has no attribute 'isoformat'"),
                Err(text) => unreadable(text),
            }
        }
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use diesel::deserialize::FromSql;
    use diesel::mysql::data_types::MysqlTime;
    use diesel::mysql::{Mysql, MysqlType, MysqlValue};
    use diesel::sql_types::{BigInt, Datetime, Unsigned};

    use super::*;
    use crate::django::dates::rank;

    fn integer(value: MysqlValue<'_>) -> Result<i64, ValueError> {
        <i64 as FromSql<BigInt, Mysql>>::from_sql(value)
            .map_err(|error| ValueError::Unreadable(error.to_string()))
    }

    impl DjangoBackend for Mysql {
        fn id(value: MysqlValue<'_>) -> Result<UserId, ValueError> {
            match value.value_type() {
                MysqlType::String | MysqlType::Blob => Self::text(value, uuid)?,
                MysqlType::UnsignedLongLong => {
                    match <u64 as FromSql<Unsigned<BigInt>, Mysql>>::from_sql(value) {
                        Ok(id) => Ok(UserId::Integer(id.into())),
                        Err(error) => unreadable(error.to_string()),
                    }
                }
                _ => integer(value).map(|id| UserId::Integer(id.into())),
            }
        }

        fn text<R>(value: MysqlValue<'_>, read: impl FnOnce(&str) -> R) -> Result<R, ValueError> {
            match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => Ok(read(text)),
                Err(_) => unreadable("invalid UTF-8"),
            }
        }

        /// `DatabaseOperations.convert_booleanfield_value`: `if value in {0, 1}: value = bool(value)`.
        fn boolean(value: MysqlValue<'_>) -> Result<Boolean, ValueError> {
            Ok(match integer(value)? {
                0 => Boolean::Bool(false),
                1 => Boolean::Bool(true),
                number => Boolean::Number(number),
            })
        }

        fn datetime(value: MysqlValue<'_>) -> Result<Placed, ValueError> {
            let time = <MysqlTime as FromSql<Datetime, Mysql>>::from_sql(value)
                .map_err(|error| ValueError::Unreadable(error.to_string()))?;
            if time.year == 0 || time.month == 0 || time.day == 0 {
                // The drivers give Python None for a zero date.
                return unreadable("'NoneType' object has no attribute 'isoformat'");
            }
            // MySQL's calendar fields are small: a year of four digits, a month of two, ...
            let microsecond = time.second_part as u32;
            let middle = [time.month, time.day, time.hour, time.minute, time.second];
            let place = rank(time.year, middle, microsecond);
            let [month, day, hour, minute, second] = middle.map(|field| field as u8);
            let datetime = DateTime {
                year: time.year as i32,
                month,
                day,
                hour,
                minute,
                second,
                microsecond,
                offset_seconds: None,
            };
            Ok((datetime, Some(place)))
        }
    }
}
