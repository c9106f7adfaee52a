//! Values that go into a query: an instant as Django's `DateTimeField` stores it in each database.
//!
//! PostgreSQL has instants (`timestamptz`); SQLite and MySQL hold naive text and `datetime(6)`, in UTC with `USE_TZ` and
//! in `TIME_ZONE` without (`django.db.backends.*.operations.adapt_datetimefield_value`).

use diesel::query_builder::QueryId;
use diesel::serialize::{Output, Result, ToSql};
use diesel::sql_types::SqlType;

use crate::django::dates::DateTime;

/// The SQL type of a Django `DateTimeField`; `schema.rs` takes it in place of Diesel's own of this name.
#[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
#[cfg_attr(
    feature = "postgres",
    diesel(postgres_type(oid = 1184, array_oid = 1185))
)]
#[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Text")))]
#[cfg_attr(feature = "mysql", diesel(mysql_type(name = "DateTime")))]
pub struct Timestamp;

// `table!` expects arithmetic of any column type of this name.
impl diesel::sql_types::ops::Add for Timestamp {
    type Rhs = diesel::sql_types::Interval;
    type Output = Timestamp;
}

impl diesel::sql_types::ops::Sub for Timestamp {
    type Rhs = diesel::sql_types::Interval;
    type Output = Timestamp;
}

/// A point in time, with the naive date and time that Django would store for it where the database has no zones.
#[derive(Debug, Clone, Copy, diesel::expression::AsExpression)]
#[diesel(sql_type = Timestamp)]
pub struct Instant {
    pub(super) unix_microseconds: i64,
    pub(super) stored: DateTime,
}

/// Tells the time as Django's settings want it stored.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: jiff::tz::TimeZone,
}

impl Clock {
    /// `USE_TZ` and `TIME_ZONE`.
    ///
    /// # Errors
    /// The zone is unknown.
    pub fn new(use_tz: bool, time_zone: &str) -> std::result::Result<Clock, jiff::Error> {
        let zone = match use_tz {
            true => jiff::tz::TimeZone::UTC,
            false => jiff::tz::TimeZone::get(time_zone)?,
        };
        Ok(Clock { zone })
    }

    /// The instant of a date and time, naive ones in the zone of the settings; `None` where there is none.
    pub fn at(&self, datetime: &DateTime) -> Option<Instant> {
        let small = |number: u8| i8::try_from(number).ok();
        let civil = jiff::civil::DateTime::new(
            i16::try_from(datetime.year).ok()?,
            small(datetime.month)?,
            small(datetime.day)?,
            small(datetime.hour)?,
            small(datetime.minute)?,
            small(datetime.second)?,
            i32::try_from(datetime.microsecond).ok()? * 1000,
        );
        let civil = civil.ok()?;
        let zone = match datetime.offset_seconds {
            Some(seconds) => jiff::tz::Offset::from_seconds(seconds).ok()?.to_time_zone(),
            None => self.zone.clone(),
        };
        let zoned = zone.to_ambiguous_zoned(civil).compatible().ok()?;
        Some(self.instant(zoned.timestamp()))
    }

    /// Now plus `seconds` (`django.utils.timezone.now`).
    pub fn now_plus(&self, seconds: i64) -> Instant {
        let now = jiff::Timestamp::now();
        let then = now
            .checked_add(jiff::SignedDuration::from_secs(seconds))
            .unwrap_or(jiff::Timestamp::MAX);
        self.instant(then)
    }

    fn instant(&self, then: jiff::Timestamp) -> Instant {
        let civil = self.zone.to_datetime(then);
        Instant {
            unix_microseconds: then.as_microsecond(),
            stored: DateTime {
                year: i32::from(civil.year()),
                // Calendar fields are never negative.
                month: civil.month().unsigned_abs(),
                day: civil.day().unsigned_abs(),
                hour: civil.hour().unsigned_abs(),
                minute: civil.minute().unsigned_abs(),
                second: civil.second().unsigned_abs(),
                microsecond: civil.subsec_nanosecond().unsigned_abs() / 1000,
                offset_seconds: None,
            },
        }
    }
}

impl Instant {
    /// Whole seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        self.unix_microseconds.div_euclid(1_000_000)
    }
}

#[cfg(feature = "postgres")]
impl ToSql<Timestamp, diesel::pg::Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::pg::Pg>) -> Result {
        let since_2000 = self.unix_microseconds - super::values::UNIX_MICROSECONDS_OF_2000;
        std::io::Write::write_all(out, &since_2000.to_be_bytes())?;
        Ok(diesel::serialize::IsNull::No)
    }
}

#[cfg(feature = "sqlite")]
impl ToSql<Timestamp, diesel::sqlite::Sqlite> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::sqlite::Sqlite>) -> Result {
        out.set_value(self.stored.to_string());
        Ok(diesel::serialize::IsNull::No)
    }
}

#[cfg(feature = "mysql")]
impl ToSql<Timestamp, diesel::mysql::Mysql> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::mysql::Mysql>) -> Result {
        use diesel::mysql::data_types::{MysqlTime, MysqlTimestampType};
        let stored = &self.stored;
        let time = MysqlTime::new(
            stored.year.unsigned_abs(),
            stored.month.into(),
            stored.day.into(),
            stored.hour.into(),
            stored.minute.into(),
            stored.second.into(),
            stored.microsecond.into(),
            false,
            MysqlTimestampType::MYSQL_TIMESTAMP_DATETIME,
            0,
        );
        // The bytes are copied into `out` at once.
        ToSql::<diesel::sql_types::Datetime, diesel::mysql::Mysql>::to_sql(
            &time,
            &mut out.reborrow(),
        )
    }
}
