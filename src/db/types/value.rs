//! What a database returns, converted as Django's backend converts it (`DatabaseOperations.get_db_converters` of each
//! backend, and the drivers' own conversions beneath it).

use diesel::backend::Backend;

use crate::django::dates::DateTime;
use crate::django::sessions::UserId;

/// 2000-01-01 in Unix microseconds: PostgreSQL counts from there.
#[cfg(feature = "postgres")]
pub(crate) const UNIX_MICROSECONDS_OF_2000: i64 = 946_684_800_000_000;

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

/// Of what a driver could not read.
impl From<Box<dyn std::error::Error + Send + Sync>> for ValueError {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> ValueError {
        ValueError::Unreadable(error.to_string())
    }
}

pub(super) fn unreadable<T>(text: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError::Unreadable(text.into()))
}

/// The value of a boolean column in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boolean {
    /// `True` or `False`
    Bool(bool),
    /// A tinyint of MySQL other than 0 and 1 stays a number.
    #[cfg_attr(
        not(feature = "mysql"),
        expect(dead_code, reason = "only MySQL reads it")
    )]
    Number(i64),
}

/// Reads the columns of a database that Django supports.
pub(crate) trait DjangoBackend: Backend {
    /// A primary key: an integer, or a UUID in whatever type the backend has for it.
    fn id(value: Self::RawValue<'_>) -> Result<UserId, ValueError>;
    /// A text, handed to `read`.
    fn text<R>(value: Self::RawValue<'_>, read: impl FnOnce(&str) -> R) -> Result<R, ValueError>;
    /// A boolean.
    fn boolean(value: Self::RawValue<'_>) -> Result<Boolean, ValueError>;
    /// A date and time, naive where the column has no zone.
    fn datetime(value: Self::RawValue<'_>) -> Result<RankedDate, ValueError>;
}

/// A date and time, and a number by which dates sort as the database sorts them.
pub(crate) type RankedDate = (DateTime, i64);

/// The result of `COUNT`, which is read like an integer key.
pub(crate) fn count_of(id: UserId) -> Result<i64, ValueError> {
    let count = match id {
        UserId::Integer(count) => i64::try_from(count).ok(),
        UserId::Uuid(_) => None,
    };
    count.map_or_else(|| unreadable("a count that is no number"), Ok)
}

/// A text of MySQL or PostgreSQL, handed to `read`.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) fn utf8<R>(bytes: &[u8], read: impl FnOnce(&str) -> R) -> Result<R, ValueError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(read(text)),
        Err(_) => unreadable("invalid UTF-8"),
    }
}

/// A UUID in 32 hexadecimal digits, with or without hyphens.
pub(super) fn uuid(text: &str) -> Result<UserId, ValueError> {
    match uuid::Uuid::try_parse(text) {
        Ok(id) => Ok(UserId::Uuid(id.into_bytes())),
        Err(_) => unreadable("badly formed hexadecimal UUID string"),
    }
}
