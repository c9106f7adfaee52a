//! Values that go into a query: an instant as Django's `DateTimeField` stores it in each database.
//!
//! SQLite and MySQL get naive text and `datetime(6)`, in UTC with `USE_TZ` and in `TIME_ZONE` without
//! (`django.db.backends.*.operations.adapt_datetimefield_value`). PostgreSQL gets what Django's driver makes of a Python
//! `datetime`: `timestamptz` of an aware one, `timestamp` of a naive one. Where the column has the other of the two types,
//! PostgreSQL converts by the session's `TimeZone`, which is Django's.

use diesel::query_builder::{AstPass, QueryFragment, QueryId};
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
#[derive(Debug, Clone, Copy, diesel::expression::ValidGrouping)]
pub struct Instant {
    pub(super) unix_microseconds: i64,
    /// Naive. The year is 0 for an instant before the first that Django can store, and the last that it can store stands
    /// for every later instant: a comparison with stored values then has the right result.
    pub(super) stored: DateTime,
    /// Whether Django would have an aware `datetime` of it
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "only PostgreSQL has a type for each")
    )]
    pub(super) is_aware: bool,
}

/// Tells the time as Django's settings want it stored.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: jiff::tz::TimeZone,
    use_tz: bool,
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
        Ok(Clock { zone, use_tz })
    }

    /// The instant of a date and time at an offset, or in the zone of the settings without one. A time that the zone
    /// has twice is the first of the two; one that it skips counts from the offset before the gap (`fold=0`).
    pub fn at(&self, civil: jiff::civil::DateTime, offset: Option<jiff::tz::Offset>) -> Instant {
        use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};
        let has_offset = offset.is_some();
        let offset =
            offset.unwrap_or_else(|| match self.zone.to_ambiguous_timestamp(civil).offset() {
                Unambiguous { offset } => offset,
                Gap { before, .. } | Fold { before, .. } => before,
            });
        // Not by way of `jiff::Timestamp`, which ends a day before the year 9999 does.
        let since_1970 = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
        let local = since_1970.as_secs() * 1_000_000 + i64::from(since_1970.subsec_micros());
        let is_aware = self.use_tz || has_offset;
        Instant {
            is_aware,
            ..self.instant(local - i64::from(offset.seconds()) * 1_000_000)
        }
    }

    /// Now plus `seconds` (`django.utils.timezone.now`).
    pub fn now_plus(&self, seconds: i64) -> Instant {
        let now = jiff::Timestamp::now().as_microsecond();
        let then = now.saturating_add(seconds.saturating_mul(1_000_000));
        self.instant(then.min(jiff::Timestamp::MAX.as_microsecond()))
    }

    fn instant(&self, unix_microseconds: i64) -> Instant {
        let nearest = unix_microseconds.div_euclid(1_000_000).clamp(
            jiff::Timestamp::MIN.as_second(),
            jiff::Timestamp::MAX.as_second(),
        );
        // Always within the range of a timestamp.
        let offset = jiff::Timestamp::from_second(nearest)
            .map_or(0, |timestamp| self.zone.to_offset(timestamp).seconds());
        let local = unix_microseconds.saturating_add(i64::from(offset) * 1_000_000);
        Instant {
            unix_microseconds,
            is_aware: self.use_tz,
            stored: DateTime::nearest_stored(local),
        }
    }
}

impl Instant {
    /// Whole seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        self.unix_microseconds.div_euclid(1_000_000)
    }
}

impl diesel::Expression for Instant {
    type SqlType = Timestamp;
}

impl<QS> diesel::expression::AppearsOnTable<QS> for Instant {}

impl<QS> diesel::SelectableExpression<QS> for Instant {}

// Which type is bound is known at run time.
impl QueryId for Instant {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

#[cfg(feature = "postgres")]
impl QueryFragment<diesel::pg::Pg> for Instant {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> diesel::QueryResult<()> {
        match self.is_aware {
            true => out.push_bind_param::<diesel::sql_types::Timestamptz, _>(self),
            false => out.push_bind_param::<diesel::sql_types::Timestamp, _>(self),
        }
    }
}

#[cfg(feature = "sqlite")]
impl QueryFragment<diesel::sqlite::Sqlite> for Instant {
    fn walk_ast<'b>(
        &'b self,
        mut out: AstPass<'_, 'b, diesel::sqlite::Sqlite>,
    ) -> diesel::QueryResult<()> {
        out.push_bind_param::<Timestamp, _>(self)
    }
}

#[cfg(feature = "mysql")]
impl QueryFragment<diesel::mysql::Mysql> for Instant {
    fn walk_ast<'b>(
        &'b self,
        mut out: AstPass<'_, 'b, diesel::mysql::Mysql>,
    ) -> diesel::QueryResult<()> {
        out.push_bind_param::<Timestamp, _>(self)
    }
}

#[cfg(feature = "postgres")]
impl ToSql<diesel::sql_types::Timestamptz, diesel::pg::Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::pg::Pg>) -> Result {
        write_postgres(self.unix_microseconds, out)
    }
}

#[cfg(feature = "postgres")]
impl ToSql<diesel::sql_types::Timestamp, diesel::pg::Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, diesel::pg::Pg>) -> Result {
        write_postgres(self.stored.unix_microseconds(), out)
    }
}

#[cfg(feature = "postgres")]
fn write_postgres(since_1970: i64, out: &mut Output<'_, '_, diesel::pg::Pg>) -> Result {
    let since_2000 = since_1970 - super::values::UNIX_MICROSECONDS_OF_2000;
    std::io::Write::write_all(out, &since_2000.to_be_bytes())?;
    Ok(diesel::serialize::IsNull::No)
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
