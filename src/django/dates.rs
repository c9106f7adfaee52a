//! Dates as Python prints them: `datetime.isoformat()`, `str(datetime)` and `django.utils.http.http_date` (Django 5.2 and
//! 6.1). Leaves out time zones other than fixed offsets, `fold`, and the fraction of a second in an offset.

pub mod parse;

use jiff::civil;
use std::fmt;
use std::time::{Duration, SystemTime};

/// Python's `datetime.datetime`: naive without an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// The date and time. The years of `datetime` are 1 to 9999; what is below a microsecond does not count.
    pub civil: civil::DateTime,
    /// Seconds east of UTC, within a day; `None` for a naive datetime.
    pub offset_seconds: Option<i32>,
}

impl DateTime {
    /// `datetime.min`; naive
    pub const MIN: Self = Self {
        civil: civil::date(1, 1, 1).at(0, 0, 0, 0),
        offset_seconds: None,
    };
    /// `datetime.max`; naive
    pub const MAX: Self = Self {
        civil: civil::date(9999, 12, 31).at(23, 59, 59, 999_999_000),
        offset_seconds: None,
    };

    /// The UTC date and time `microseconds` after 1970.
    ///
    /// # Errors
    /// The text of Python's `ValueError` outside the years 1 to 9999. PostgreSQL and psycopg2 count no year 0: 1 BC is -1.
    pub fn from_unix_microseconds(microseconds: i64) -> Result<Self, String> {
        match in_any_year(microseconds) {
            (1..=9999, civil) => Ok(Self {
                civil,
                offset_seconds: Some(0),
            }),
            (year, _) => {
                let year = if year < 1 { year - 1 } else { year };
                Err(format!("year {year} is out of range"))
            }
        }
    }

    /// The naive date and time `microseconds` after 1970, to compare with stored ones: [`DateTime::MAX`] stands for every
    /// later one, the first moment of the year 0 for every earlier one.
    pub fn nearest_stored(microseconds: i64) -> Self {
        let civil = match in_any_year(microseconds) {
            (10_000.., _) => return Self::MAX,
            (0.., civil) => civil,
            _ => civil::date(0, 1, 1).at(0, 0, 0, 0),
        };
        Self {
            civil,
            offset_seconds: None,
        }
    }

    /// The microseconds from 1970 to this date and time, its offset left aside: dates sort by it as a database sorts them.
    pub fn unix_microseconds(&self) -> i64 {
        let since_1970 = self.civil.duration_since(civil::DateTime::from(EPOCH));
        since_1970.as_secs() * 1_000_000 + i64::from(since_1970.subsec_micros())
    }

    /// Appends `datetime.isoformat()`: `2020-01-01T00:00:00+00:00`, six digits of microseconds unless they are zero, the
    /// offset with seconds if it has any.
    pub fn isoformat(&self, out: &mut Vec<u8>) {
        self.write(b'T', out);
    }

    /// `isoformat(sep)`. Written by hand: an export calls it once a row.
    fn write(&self, separator: u8, out: &mut Vec<u8>) {
        let civil = self.civil;
        // Neither is negative. A year has four digits.
        let year = civil.year().unsigned_abs().into();
        let microsecond = civil.subsec_nanosecond().unsigned_abs() / 1000;
        let [month, day] = [civil.month(), civil.day()].map(|field| field.unsigned_abs().into());
        let time = [civil.hour(), civil.minute(), civil.second()];
        let [hour, minute, second] = time.map(|field| field.unsigned_abs().into());
        let fields = [year / 100, year, month, day, hour, minute, second];
        let [century, year, month, day, hour, minute, second] = fields.map(two_digits);
        out.extend_from_slice(&[
            century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0],
            day[1], separator, hour[0], hour[1], b':', minute[0], minute[1], b':', second[0],
            second[1],
        ]);
        if microsecond != 0 {
            out.push(b'.');
            out.extend_from_slice(&two_digits(microsecond / 10_000));
            out.extend_from_slice(&two_digits(microsecond / 100));
            out.extend_from_slice(&two_digits(microsecond));
        }
        if let Some(offset) = self.offset_seconds {
            let seconds = offset.unsigned_abs();
            out.push(if offset < 0 { b'-' } else { b'+' });
            out.extend_from_slice(&two_digits(seconds / 3600));
            out.push(b':');
            out.extend_from_slice(&two_digits(seconds / 60 % 60));
            if seconds % 60 != 0 {
                out.push(b':');
                out.extend_from_slice(&two_digits(seconds % 60));
            }
        }
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

const EPOCH: civil::Date = civil::date(1970, 1, 1);

/// The year `microseconds` after 1970 (0 is 1 BC), and the naive date and time, which is right for the years 0 to 9999.
fn in_any_year(microseconds: i64) -> (i64, civil::DateTime) {
    // The calendar repeats after 400 years, so that jiff's range is enough.
    const MICROSECONDS_OF_400_YEARS: i64 = 146_097 * 86_400 * 1_000_000;
    let repetitions = microseconds.div_euclid(MICROSECONDS_OF_400_YEARS);
    let within = microseconds.rem_euclid(MICROSECONDS_OF_400_YEARS);
    // Between 1970 and 2370.
    let within = jiff::Timestamp::from_microsecond(within).unwrap_or_default();
    let civil = jiff::tz::Offset::UTC.to_datetime(within);
    let year = i64::from(civil.year()) + 400 * repetitions;
    let date = civil::Date::new(year as i16, civil.month(), civil.day());
    (year, date.unwrap_or(EPOCH).to_datetime(civil.time()))
}

/// The last two decimal digits of a number.
fn two_digits(number: u32) -> [u8; 2] {
    [number / 10 % 10, number % 10].map(|digit| b'0' + digit as u8)
}

/// `django.utils.http.http_date(epoch_seconds)`: `Thu, 01 Jan 1970 00:00:00 GMT`. A time before 1970 or after 9999 is the
/// nearest within.
pub fn http_date(unix_seconds: i64) -> String {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(unix_seconds).unwrap_or(0).min(LAST);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
