//! Dates as Python prints them: `datetime.isoformat()`, `str(datetime)` and `django.utils.http.http_date` (Django 5.2 and
//! 6.1). Leaves out time zones other than fixed offsets, `fold`, and the fraction of a second in an offset.

pub mod parse;

use jiff::civil;
use std::fmt;
use std::time::{Duration, SystemTime};

/// Python's `datetime.datetime`: naive without an offset. Code that builds one makes sure that the date exists, in the years
/// 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// 1 to 9999
    pub year: i32,
    /// 1 to 12
    pub month: u8,
    /// 1 to 31
    pub day: u8,
    /// 0 to 23
    pub hour: u8,
    /// 0 to 59
    pub minute: u8,
    /// 0 to 59
    pub second: u8,
    /// 0 to 999,999
    pub microsecond: u32,
    /// Seconds east of UTC, within a day; `None` for a naive datetime.
    pub offset_seconds: Option<i32>,
}

/// A year that `datetime` cannot hold; prints the text of Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YearOutOfRange {
    /// As PostgreSQL and psycopg2 count: there is no year 0, 1 BC is -1.
    pub year: i64,
}

impl fmt::Display for YearOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "year {} is out of range", self.year)
    }
}

impl std::error::Error for YearOutOfRange {}

impl DateTime {
    /// `datetime.min`; naive
    pub const MIN: Self = Self {
        year: 1,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        microsecond: 0,
        offset_seconds: None,
    };
    /// `datetime.max`; naive
    pub const MAX: Self = Self {
        year: 9999,
        month: 12,
        day: 31,
        hour: 23,
        minute: 59,
        second: 59,
        microsecond: 999_999,
        offset_seconds: None,
    };

    /// The UTC date and time `microseconds` after 1970; an error outside the years 1 to 9999.
    pub fn from_unix_microseconds(microseconds: i64) -> Result<Self, YearOutOfRange> {
        let (year, datetime) = Self::in_any_year(microseconds);
        if !(1..=9999).contains(&year) {
            return Err(YearOutOfRange {
                year: if year < 1 { year - 1 } else { year },
            });
        }
        Ok(Self {
            offset_seconds: Some(0),
            ..datetime
        })
    }

    /// The naive date and time `microseconds` after 1970, to compare with stored ones: [`DateTime::MAX`] stands for every
    /// later one, the first moment of the year 0 for every earlier one.
    pub fn nearest_stored(microseconds: i64) -> Self {
        match Self::in_any_year(microseconds) {
            (10_000.., _) => Self::MAX,
            (0.., datetime) => datetime,
            _ => Self {
                year: 0,
                ..Self::MIN
            },
        }
    }

    /// A number that grows with the fields from the year to the microsecond, as a database compares them: the offset does not
    /// count.
    pub fn rank(&self) -> i64 {
        let fields = [self.month, self.day, self.hour, self.minute, self.second];
        let seconds = fields
            .into_iter()
            .zip([13, 32, 24, 60, 60])
            .fold(i64::from(self.year), |number, (field, range)| {
                number * range + i64::from(field)
            });
        seconds * 1_000_000 + i64::from(self.microsecond)
    }

    /// The year (0 is 1 BC), and the naive date and time, which is right for the years 0 to 9999.
    fn in_any_year(microseconds: i64) -> (i64, Self) {
        // The calendar repeats after 400 years, so that jiff's range is enough.
        const MICROSECONDS_OF_400_YEARS: i64 = 146_097 * 86_400 * 1_000_000;
        let repetitions = microseconds.div_euclid(MICROSECONDS_OF_400_YEARS);
        let within = microseconds.rem_euclid(MICROSECONDS_OF_400_YEARS);
        // Between 1970 and 2370.
        let within = jiff::Timestamp::from_microsecond(within).unwrap_or_default();
        let civil = jiff::tz::Offset::UTC.to_datetime(within);
        let year = i64::from(civil.year()) + 400 * repetitions;
        // An i64 of microseconds spans 600,000 years.
        let datetime = Self {
            year: year as i32,
            ..Self::from_civil(civil, None)
        };
        (year, datetime)
    }

    /// With the fraction of the second cut off behind the microseconds.
    fn from_civil(civil: civil::DateTime, offset_seconds: Option<i32>) -> Self {
        // Each fits: jiff keeps a month, day, hour, minute and second positive and below 60.
        Self {
            year: civil.year().into(),
            month: civil.month() as u8,
            day: civil.day() as u8,
            hour: civil.hour() as u8,
            minute: civil.minute() as u8,
            second: civil.second() as u8,
            microsecond: civil.subsec_nanosecond() as u32 / 1000,
            offset_seconds,
        }
    }

    /// Appends `datetime.isoformat()`: `2020-01-01T00:00:00+00:00`, six digits of microseconds unless they are zero, the
    /// offset with seconds if it has any.
    pub fn isoformat(&self, out: &mut Vec<u8>) {
        self.write(b'T', out);
    }

    /// `isoformat(sep)`. Written by hand: an export calls it once a row.
    fn write(&self, separator: u8, out: &mut Vec<u8>) {
        // Longest: 2020-01-01T00:00:00.000000+00:00:00
        let mut text = [0u8; 35];
        // A valid year has four digits; another one is cut rather than moving the rest.
        let year = self.year.unsigned_abs();
        text[..2].copy_from_slice(&two_digits(year / 100));
        text[2..4].copy_from_slice(&two_digits(year));
        text[4] = b'-';
        text[5..7].copy_from_slice(&two_digits(self.month.into()));
        text[7] = b'-';
        text[8..10].copy_from_slice(&two_digits(self.day.into()));
        text[10] = separator;
        text[11..13].copy_from_slice(&two_digits(self.hour.into()));
        text[13] = b':';
        text[14..16].copy_from_slice(&two_digits(self.minute.into()));
        text[16] = b':';
        text[17..19].copy_from_slice(&two_digits(self.second.into()));
        let mut end = 19;
        if self.microsecond != 0 {
            text[19] = b'.';
            text[20..22].copy_from_slice(&two_digits(self.microsecond / 10_000));
            text[22..24].copy_from_slice(&two_digits(self.microsecond / 100));
            text[24..26].copy_from_slice(&two_digits(self.microsecond));
            end = 26;
        }
        if let Some(offset) = self.offset_seconds {
            let seconds = offset.unsigned_abs();
            text[end] = if offset < 0 { b'-' } else { b'+' };
            text[end + 1..end + 3].copy_from_slice(&two_digits(seconds / 3600));
            text[end + 3] = b':';
            text[end + 4..end + 6].copy_from_slice(&two_digits(seconds / 60 % 60));
            end += 6;
            if seconds % 60 != 0 {
                text[end] = b':';
                text[end + 1..end + 3].copy_from_slice(&two_digits(seconds % 60));
                end += 3;
            }
        }
        out.extend_from_slice(&text[..end]);
    }
}

/// `str(datetime)`, which is `isoformat(" ")`: the text Django stores in SQLite and MySQL.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(35);
        self.write(b' ', &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

fn two_digits(number: u32) -> [u8; 2] {
    // Both fit: one decimal digit each.
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

/// `django.utils.http.http_date(epoch_seconds)`: `Thu, 01 Jan 1970 00:00:00 GMT`. A time before 1970 or after 9999 is the
/// nearest within.
pub fn http_date(unix_seconds: i64) -> String {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(unix_seconds).unwrap_or(0).min(LAST);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isoformat(datetime: &DateTime) -> String {
        let mut out = Vec::new();
        datetime.isoformat(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn isoformat_prints_microseconds_and_offset_seconds_only_if_there_are_any() {
        let datetime = DateTime::from_unix_microseconds(1_577_836_800_000_000).unwrap();
        assert_eq!(isoformat(&datetime), "2020-01-01T00:00:00+00:00");
        assert_eq!(
            isoformat(&DateTime {
                microsecond: 70,
                ..datetime
            }),
            "2020-01-01T00:00:00.000070+00:00"
        );
        assert_eq!(
            isoformat(&DateTime {
                offset_seconds: Some(3208),
                ..datetime
            }),
            "2020-01-01T00:00:00+00:53:28"
        );
        assert_eq!(
            isoformat(&DateTime {
                offset_seconds: Some(-12_600),
                ..datetime
            }),
            "2020-01-01T00:00:00-03:30"
        );
        assert_eq!(
            isoformat(&DateTime {
                offset_seconds: None,
                ..datetime
            }),
            "2020-01-01T00:00:00"
        );
        assert_eq!(datetime.to_string(), "2020-01-01 00:00:00+00:00");
        assert_eq!(isoformat(&DateTime::MIN), "0001-01-01T00:00:00");
        assert_eq!(isoformat(&DateTime::MAX), "9999-12-31T23:59:59.999999");
    }

    #[test]
    fn a_year_outside_datetime_is_named_as_psycopg2_names_it() {
        const YEAR: i64 = 31_556_952_000_000;
        for (microseconds, text) in [
            (253_402_300_800_000_000, "year 10000 is out of range"),
            (
                253_402_300_800_000_000 + 284_000 * YEAR,
                "year 294000 is out of range",
            ),
            // 44 BC is the year -43 of astronomers.
            (-63_517_824_000_000_000, "year -44 is out of range"),
            (-62_135_596_800_000_001, "year -1 is out of range"),
        ] {
            let error = DateTime::from_unix_microseconds(microseconds).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        let first = DateTime::from_unix_microseconds(-62_135_596_800_000_000).unwrap();
        assert_eq!(isoformat(&first), "0001-01-01T00:00:00+00:00");
    }

    #[test]
    fn an_http_date_has_the_weekday() {
        assert_eq!(http_date(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(http_date(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
