//! Dates as Python prints and reads them: `datetime.isoformat()`, `str(datetime)`, `django.utils.http.http_date`, and
//! `django.utils.dateparse.parse_datetime` (Django 5.2 and 6.1 on Python 3.11). The calendar is the proleptic Gregorian.
//! Leaves out time zones other than fixed offsets, `fold`, and the fraction of a second in an offset.

mod iso_format;
mod parse;

pub use parse::{parse_datetime, place_of_stored_text};

use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// Python's `datetime.datetime`: naive without an offset. Whoever builds one vouches for a valid date within the years 1
/// to 9999.
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

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (year 0 is 1 BC).
pub fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    // Years that begin in March put the leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The year (0 is 1 BC), month and day that lie `days` after 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    // Both fit: a month is 1 to 12, a day 1 to 31.
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8;
    let month = ((shifted_month + 2) % 12 + 1) as u8;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A number that grows with a date and time: month, day, hour, minute and second are the middle argument.
pub fn place(year: u32, middle: [u32; 5], microsecond: u32) -> i64 {
    let seconds = middle
        .into_iter()
        .zip([13, 32, 24, 60, 60])
        .fold(i64::from(year), |number, (field, range)| {
            number * range + i64::from(field)
        });
    seconds * 1_000_000 + i64::from(microsecond)
}

/// The number of days of a month, 0 for a month there is not.
fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

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

    /// The instant `microseconds` after 1970, in UTC (offset 0); an error outside the years 1 to 9999.
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

    /// The naive date and time `microseconds` after 1970, for a comparison with stored ones: at the earliest in the year
    /// 0, at the latest [`DateTime::MAX`].
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

    /// The year (0 is 1 BC), and the naive date and time, which hold for the years 0 to 9999.
    fn in_any_year(microseconds: i64) -> (i64, Self) {
        let seconds = microseconds.div_euclid(1_000_000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        // Each fits: an i64 of microseconds spans 600,000 years, and the remainders are bounded by their divisors.
        let datetime = Self {
            year: year as i32,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            microsecond: microseconds.rem_euclid(1_000_000) as u32,
            offset_seconds: None,
        };
        (year, datetime)
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

/// `django.utils.http.http_date(epoch_seconds)`: `Thu, 01 Jan 1970 00:00:00 GMT`. Years beyond 1 to 9999, where Python
/// raises, are clamped.
pub fn http_date(unix_seconds: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    let seconds = unix_seconds.clamp(FIRST, LAST);
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    // Both indices are in range: a remainder by 7, and a month of 1 to 12.
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let month = MONTHS[usize::from(month) - 1];
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
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
    fn every_day_of_datetime_survives_the_round_trip() {
        for days in days_from_civil(-1, 1, 1)..=days_from_civil(10_000, 1, 1) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=days_in_month(year, month)).contains(&day));
        }
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
        let year_of = |days: i64| {
            DateTime::from_unix_microseconds(days * 86_400_000_000)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            year_of(days_from_civil(10_000, 1, 1)),
            "year 10000 is out of range"
        );
        // 44 BC is the year -43 of astronomers.
        assert_eq!(
            year_of(days_from_civil(-43, 3, 15)),
            "year -44 is out of range"
        );
        assert_eq!(
            year_of(days_from_civil(0, 12, 31)),
            "year -1 is out of range"
        );
        assert!(
            DateTime::from_unix_microseconds(days_from_civil(1, 1, 1) * 86_400_000_000).is_ok()
        );
        assert!(
            DateTime::from_unix_microseconds(i64::MIN).is_err()
                && DateTime::from_unix_microseconds(i64::MAX).is_err()
        );
    }

    #[test]
    fn an_http_date_has_the_weekday() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(http_date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_eq!(http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
