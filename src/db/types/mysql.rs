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
        if time.year == 0 || time.month == 0 || time.day == 0 {
            // The drivers give Python None for a zero date.
            return unreadable("'NoneType' object has no attribute 'isoformat'");
        }
        // MySQL's calendar fields are small: a year of four digits, a month of two, ...
        let microsecond = time.second_part as u32;
        let middle = [time.month, time.day, time.hour, time.minute, time.second];
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
        let rank = datetime.rank();
        Ok((datetime, rank))
    }
}
