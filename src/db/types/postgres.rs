//! Values that PostgreSQL returns.

use diesel::pg::{Pg, PgValue};

use super::value::{
    Boolean, DjangoBackend, RankedDate, UNIX_MICROSECONDS_OF_2000, ValueError, unreadable, utf8,
    uuid,
};
use crate::django::dates::DateTime;
use crate::django::sessions::UserId;

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
        utf8(value.as_bytes(), read)
    }

    fn boolean(value: PgValue<'_>) -> Result<Boolean, ValueError> {
        Ok(Boolean::Bool(value.as_bytes() != [0]))
    }

    fn datetime(value: PgValue<'_>) -> Result<RankedDate, ValueError> {
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
                DateTime::from_unix_microseconds(unix).map_err(ValueError::Unreadable)?
            }
        };
        datetime.offset_seconds = aware.then_some(0);
        Ok((datetime, stored))
    }
}
