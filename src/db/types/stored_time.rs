//! A point in time as Django's `DateTimeField` stores it in each database, and the clock that makes them.

use crate::config::Backend;
use crate::django::dates::DateTime;

/// A point in time, and the naive date and time that Django stores for it in a database without time zones.
#[derive(Debug, Clone, Copy)]
pub struct StoredTime {
    unix_microseconds: i64,
    /// Naive. The year is 0 for a time before the first that Django can store. A time after the last that Django can store
    /// is that last one. So a comparison with stored values has the right result.
    stored: DateTime,
    /// Whether Django has an aware `datetime` for it
    is_aware: bool,
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

    /// Its text as a parameter, and the SQL type of that text.
    ///
    /// SQLite gets naive text and MySQL a `datetime(6)`, in UTC with `USE_TZ` and in `TIME_ZONE` without
    /// (`django.db.backends.*.operations.adapt_datetimefield_value`). PostgreSQL gets what Django's driver makes of a Python
    /// `datetime`: `timestamptz` of an aware one, `timestamp` of a naive one. Where the column has the other of the two
    /// types, PostgreSQL converts by the session's `TimeZone`, which is Django's.
    pub(crate) fn parameter(&self, backend: Backend) -> (String, &'static str) {
        match backend {
            Backend::Sqlite => (self.stored.to_string(), "text"),
            Backend::Mysql => (self.stored.to_string(), "datetime(6)"),
            Backend::Postgres => {
                let (time, offset, type_name) = match self.is_aware {
                    true => {
                        let utc = DateTime::nearest_stored(self.unix_microseconds);
                        (utc, "+00", "timestamptz")
                    }
                    false => (self.stored, "", "timestamp"),
                };
                let text = match time.civil.year() {
                    // PostgreSQL has no year 0.
                    0 => "-infinity".to_owned(),
                    _ => format!("{time}{offset}"),
                };
                (text, type_name)
            }
        }
    }
}
