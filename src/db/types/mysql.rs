//! Values that MySQL and MariaDB return.

use diesel::deserialize::FromSql;
use diesel::mysql::data_types::MysqlTime;
use diesel::mysql::{Mysql, MysqlType, MysqlValue};
use diesel::sql_types::{BigInt, Datetime, Unsigned};

use super::value::{Boolean, DjangoBackend, RankedDate, ValueError, unreadable, utf8, uuid};
use crate::django::dates::DateTime;
use crate::django::sessions::UserId;

fn integer(value: MysqlValue<'_>) -> Result<i64, ValueError> {
    Ok(<i64 as FromSql<BigInt, Mysql>>::from_sql(value)?)
}

impl DjangoBackend for Mysql {
    fn id(value: MysqlValue<'_>) -> Result<UserId, ValueError> {
        match value.value_type() {
            MysqlType::String | MysqlType::Blob => Self::text(value, uuid)?,
            MysqlType::UnsignedLongLong => {
                let id = <u64 as FromSql<Unsigned<BigInt>, Mysql>>::from_sql(value)?;
                Ok(UserId::Integer(id.into()))
            }
            _ => integer(value).map(|id| UserId::Integer(id.into())),
        }
    }

    fn text<R>(value: MysqlValue<'_>, read: impl FnOnce(&str) -> R) -> Result<R, ValueError> {
        utf8(value.as_bytes(), read)
    }

    /// `DatabaseOperations.convert_booleanfield_value`: `if value in {0, 1}: value = bool(value)`.
    fn boolean(value: MysqlValue<'_>) -> Result<Boolean, ValueError> {
        Ok(match integer(value)? {
            0 => Boolean::Bool(false),
            1 => Boolean::Bool(true),
            number => Boolean::Number(number),
        })
    }

    fn datetime(value: MysqlValue<'_>) -> Result<RankedDate, ValueError> {
        let time = <MysqlTime as FromSql<Datetime, Mysql>>::from_sql(value)?;
        // MySQL's calendar fields are small: a year of four digits, a month of two, ...
        let middle = [time.month, time.day, time.hour, time.minute, time.second];
        let [month, day, hour, minute, second] = middle.map(|field| field as i8);
        let nanosecond = time.second_part as i32 * 1000;
        let civil = jiff::civil::DateTime::new(
            time.year as i16,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
        );
        let (1.., Ok(civil)) = (time.year, civil) else {
            // The drivers give Python None for a zero date, and for a day that its month has not.
            return unreadable("'NoneType' object has no attribute 'isoformat'");
        };
        let datetime = DateTime {
            civil,
            offset_seconds: None,
        };
        Ok((datetime, datetime.unix_microseconds()))
    }
}
