//! A point in time as Django's `DateTimeField` stores it in each database, and the clock that makes them.
//!
//! SQLite gets naive text and MySQL a `datetime(6)`, in UTC with `USE_TZ` and in `TIME_ZONE` without
//! (`django.db.backends.*.operations.adapt_datetimefield_value`). PostgreSQL gets what Django's driver makes of a Python
//! `datetime`: `timestamptz` of an aware one, `timestamp` of a naive one. Where the column has the other of the two types,
//! PostgreSQL converts by the session's `TimeZone`, which is Django's.

use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::{Output, Result, ToSql};
use diesel::sql_types::SqlType;

use crate::django::dates::DateTime;

/// The SQL type of a Django `DateTimeField`. `schema.rs` imports it in place of Diesel's type of the same name.
#[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
#[cfg_attr(
    feature = "postgres",
    diesel(postgres_type(oid = 1184, array_oid = 1185))
)]
#[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Text")))]
#[cfg_attr(feature = "mysql", diesel(mysql_type(name = "DateTime")))]
pub struct Timestamp;

// `table!` expects these operators of any column type of this name.
impl diesel::sql_types::ops::Add for Timestamp {
    type Rhs = diesel::sql_types::Interval;
    type Output = Timestamp;
}

impl diesel::sql_types::ops::Sub for Timestamp {
    type Rhs = diesel::sql_types::Interval;
    type Output = Timestamp;
}

/// A point in time, and the naive date and time that Django stores for it in a database without time zones.
#[derive(Debug, Clone, Copy, diesel::expression::ValidGrouping)]
pub struct StoredTime {
    pub(crate) unix_microseconds: i64,
    /// Naive. The year is 0 for a time before the first that Django can store. A time after the last that Django can store
    /// is that last one. So a comparison with stored values has the right result.
    pub(crate) stored: DateTime,
    /// Whether Django has an aware `datetime` for it
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "only PostgreSQL has two types")
    )]
    pub(crate) is_aware: bool,
}

/// The clock, and the settings that decide how Django stores a time.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: jiff::tz::TimeZone,
    use_tz: bool,
}

impl Clock {
    /// A clock for `USE_TZ` and `TIME_ZONE`.
    pub fn new(use_tz: bool, time_zone: &jiff::tz::TimeZone) -> Clock {
        let zone = match use_tz {
            true => jiff::tz::TimeZone::UTC,
            false => time_zone.clone(),
        };
        Clock { zone, use_tz }
    }

    /// The time of a date and time at an offset; without an offset, in the zone of the settings. If the zone has that time
    /// twice, the first one counts. If it skips that time, the offset before the gap counts (`fold=0`).
    pub fn at(&self, civil: jiff::civil::DateTime, offset: Option<jiff::tz::Offset>) -> StoredTime {
        use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};
        let has_offset = offset.is_some();
        let offset =
            offset.unwrap_or_else(|| match self.zone.to_ambiguous_timestamp(civil).offset() {
                Unambiguous { offset } => offset,
                Gap { before, .. } | Fold { before, .. } => before,
            });
        // `jiff::Timestamp` can't hold the last day of the year 9999.
        let since_1970 = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
        let local = since_1970.as_secs() * 1_000_000 + i64::from(since_1970.subsec_micros());
        let is_aware = self.use_tz || has_offset;
        StoredTime {
            is_aware,
            ..self.stored(local - i64::from(offset.seconds()) * 1_000_000)
        }
    }

    /// Now plus `seconds` (`django.utils.timezone.now`).
    pub fn now_plus(&self, seconds: i64) -> StoredTime {
        let now = jiff::Timestamp::now().as_microsecond();
        let then = now.saturating_add(seconds.saturating_mul(1_000_000));
        self.stored(then.min(jiff::Timestamp::MAX.as_microsecond()))
    }

    fn stored(&self, unix_microseconds: i64) -> StoredTime {
        let nearest = unix_microseconds.div_euclid(1_000_000).clamp(
            jiff::Timestamp::MIN.as_second(),
            jiff::Timestamp::MAX.as_second(),
        );
        // The number was clamped to the range of a timestamp.
        let offset = jiff::Timestamp::from_second(nearest)
            .map_or(0, |timestamp| self.zone.to_offset(timestamp).seconds());
        let local = unix_microseconds.saturating_add(i64::from(offset) * 1_000_000);
        StoredTime {
            unix_microseconds,
            is_aware: self.use_tz,
            stored: DateTime::nearest_stored(local),
        }
    }
}

impl StoredTime {
    /// Whole seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        self.unix_microseconds.div_euclid(1_000_000)
    }
}

impl diesel::Expression for StoredTime {
    type SqlType = Timestamp;
}

impl<QS> diesel::expression::AppearsOnTable<QS> for StoredTime {}

impl<QS> diesel::SelectableExpression<QS> for StoredTime {}

// The type of the parameter is known at run time.
impl QueryId for StoredTime {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

#[cfg(feature = "postgres")]
impl QueryFragment<diesel::pg::Pg> for StoredTime {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> diesel::QueryResult<()> {
        match self.is_aware {
            true => out.push_bind_param::<diesel::sql_types::Timestamptz, _>(self),
            false => out.push_bind_param::<diesel::sql_types::Timestamp, _>(self),
        }
    }
}

#[cfg(feature = "sqlite")]
impl QueryFragment<diesel::sqlite::Sqlite> for StoredTime {
    fn walk_ast<'b>(
        &'b self,
        mut out: AstPass<'_, 'b, diesel::sqlite::Sqlite>,
    ) -> diesel::QueryResult<()> {
        out.push_bind_param::<Timestamp, _>(self)
    }
}

#[cfg(feature = "mysql")]
impl QueryFragment<diesel::mysql::Mysql> for StoredTime {
    fn walk_ast<'b>(
        &'b self,
        mut out: AstPass<'_, 'b, diesel::mysql::Mysql>,
    ) -> diesel::QueryResult<()> {
        out.push_bind_param::<Timestamp, _>(self)
    }
}

#[cfg(feature = "postgres")]
impl ToSql<diesel::sql_types::Timestamptz, diesel::pg::Pg> for StoredTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::pg::Pg>) -> Result {
        write_postgres(self.unix_microseconds, out)
    }
}

#[cfg(feature = "postgres")]
impl ToSql<diesel::sql_types::Timestamp, diesel::pg::Pg> for StoredTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::pg::Pg>) -> Result {
        write_postgres(self.stored.unix_microseconds(), out)
    }
}

#[cfg(feature = "postgres")]
fn write_postgres(since_1970: i64, out: &mut Output<'_, '_, diesel::pg::Pg>) -> Result {
    let since_2000 = since_1970 - super::value::UNIX_MICROSECONDS_OF_2000;
    std::io::Write::write_all(out, &since_2000.to_be_bytes())?;
    Ok(diesel::serialize::IsNull::No)
}

#[cfg(feature = "sqlite")]
impl ToSql<Timestamp, diesel::sqlite::Sqlite> for StoredTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::sqlite::Sqlite>) -> Result {
        out.set_value(self.stored.to_string());
        Ok(diesel::serialize::IsNull::No)
    }
}

#[cfg(feature = "mysql")]
impl ToSql<Timestamp, diesel::mysql::Mysql> for StoredTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::mysql::Mysql>) -> Result {
        use diesel::mysql::data_types::{MysqlTime, MysqlTimestampType};
        let stored = self.stored.civil;
        let fields = [
            stored.month(),
            stored.day(),
            stored.hour(),
            stored.minute(),
            stored.second(),
        ];
        let [month, day, hour, minute, second] = fields.map(|field| field.unsigned_abs().into());
        let microsecond = stored.subsec_nanosecond().unsigned_abs() / 1000;
        let time = MysqlTime::new(
            stored.year().unsigned_abs().into(),
            month,
            day,
            hour,
            minute,
            second,
            microsecond.into(),
            false,
            MysqlTimestampType::MYSQL_TIMESTAMP_DATETIME,
            0,
        );
        // This copies the bytes into `out`.
        ToSql::<diesel::sql_types::Datetime, diesel::mysql::Mysql>::to_sql(
            &time,
            &mut out.reborrow(),
        )
    }
}
