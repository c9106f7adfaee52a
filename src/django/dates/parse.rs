//! `django.utils.dateparse.parse_datetime` (Django 5.2, 6.1): first `datetime.fromisoformat`, then Django's own regular
//! expression, which tells "not a date" (`None`) from "no such date" (`ValueError`).
//! Leaves out `parse_date` and `parse_time`.

use super::super::request::is_blank;
use super::iso_format::from_iso_format;
use super::{DateTime, days_in_month, place};

/// `parse_datetime(text)`: `Ok(None)` if the text is not well formed; an error, the text of Python's `ValueError`, if it
/// is but names no date (`day is out of range for month`).
pub fn parse_datetime(text: &str) -> Result<Option<DateTime>, String> {
    match from_iso_format(text.as_bytes()) {
        Some(datetime) => Ok(Some(datetime)),
        None => match_regex(text).map(Fields::into_datetime).transpose(),
    }
}

/// Where a text stands among others as texts compare, if it is written as Django stores a time
/// (`2020-01-02 03:04:05`, and six digits of microseconds unless they are zero): there the order of the texts is that of
/// the times. `None` for any other text.
pub fn place_of_stored_text(text: &str) -> Option<i64> {
    const SHAPE: &[u8; 26] = b"0000-00-00 00:00:00.000000";
    let bytes = text.as_bytes();
    if !matches!(bytes.len(), 19 | 26) {
        return None;
    }
    let mut numbers = [0u32; 7];
    let mut number = 0;
    for (byte, shape) in bytes.iter().zip(SHAPE) {
        match (shape, byte) {
            (b'0', b'0'..=b'9') => numbers[number] = numbers[number] * 10 + u32::from(byte - b'0'),
            (separator, byte) if separator == byte => number += 1,
            _ => return None,
        }
    }
    let [year, month, day, hour, minute, second, microsecond] = numbers;
    (bytes.len() == 19 || microsecond > 0)
        .then(|| place(year, [month, day, hour, minute, second], microsecond))
}

/// The arguments of `datetime()`, not yet checked.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) year: u32,
    pub(super) month: u32,
    pub(super) day: u32,
    /// Hour, minute, second, microsecond
    pub(super) time: [u32; 4],
    pub(super) offset_seconds: Option<i32>,
}

impl Fields {
    /// `datetime(...)` with its checks in their order, after those of the offset.
    pub(super) fn into_datetime(self) -> Result<DateTime, String> {
        let Self {
            year,
            month,
            day,
            time: [hour, minute, second, microsecond],
            offset_seconds,
        } = self;
        if let Some(offset) = offset_seconds.filter(|offset| offset.abs() >= 86_400) {
            return Err(format!(
                "offset must be a timedelta strictly between -timedelta(hours=24) and timedelta(hours=24), not {}.",
                timedelta_repr(offset)
            ));
        }
        if !(1..=9999).contains(&year) {
            return Err(format!("year {year} is out of range"));
        }
        if !(1..=12).contains(&month) {
            return Err("month must be in 1..12".to_owned());
        }
        if day < 1 || day > u32::from(days_in_month(year.into(), month as u8)) {
            return Err("day is out of range for month".to_owned());
        }
        for (value, limit, message) in [
            (hour, 24, "hour must be in 0..23"),
            (minute, 60, "minute must be in 0..59"),
            (second, 60, "second must be in 0..59"),
            (microsecond, 1_000_000, "microsecond must be in 0..999999"),
        ] {
            if value >= limit {
                return Err(message.to_owned());
            }
        }
        // All fit: they have just been checked.
        Ok(DateTime {
            year: year as i32,
            month: month as u8,
            day: day as u8,
            hour: hour as u8,
            minute: minute as u8,
            second: second as u8,
            microsecond,
            offset_seconds,
        })
    }
}

/// `repr(timedelta(seconds=offset))`.
fn timedelta_repr(offset: i32) -> String {
    let (days, seconds) = (offset.div_euclid(86_400), offset.rem_euclid(86_400));
    match (days, seconds) {
        (_, 0) => format!("datetime.timedelta(days={days})"),
        (0, _) => format!("datetime.timedelta(seconds={seconds})"),
        _ => format!("datetime.timedelta(days={days}, seconds={seconds})"),
    }
}

/// Django's `datetime_re`, anchored at the start, its `$` also before a final newline. `\d` and `\s` are Unicode's.
fn match_regex(text: &str) -> Option<Fields> {
    // Backtracking decides nothing: each `\d{1,2}` is followed by something that is not a digit.
    let mut reader = Reader { rest: text };
    let year = reader.number(4, 4)?;
    reader.one_of("-")?;
    let month = reader.number(1, 2)?;
    reader.one_of("-")?;
    let day = reader.number(1, 2)?;
    reader.one_of("T ")?;
    let hour = reader.number(1, 2)?;
    reader.one_of(":")?;
    let minute = reader.number(1, 2)?;
    let mut fields = Fields {
        year,
        month,
        day,
        time: [hour, minute, 0, 0],
        offset_seconds: None,
    };
    if reader.one_of(":").is_some() {
        fields.time[2] = reader.number(1, 2)?;
        if reader.one_of(".,").is_some() {
            let before = reader.digit_count();
            let fraction = reader.number(1, 6)?;
            fields.time[3] = fraction * 10u32.pow(6 - before.min(6));
            for _ in 0..6 {
                if reader.number(1, 1).is_none() {
                    break;
                }
            }
        }
    }
    let at_end = |rest: &str| rest.is_empty() || rest == "\n";
    let blanks_before = reader.rest;
    reader.rest = reader.rest.trim_start_matches(is_blank);
    if reader.one_of("Z").is_some() {
        fields.offset_seconds = Some(0);
    } else if let Some(sign) = reader.one_of("+-") {
        let hours = reader.number(2, 2)? as i32;
        let mut minutes = 0;
        if !at_end(reader.rest) {
            let _ = reader.one_of(":");
            minutes = reader.number(2, 2)? as i32;
        }
        let magnitude = (hours * 60 + minutes) * 60;
        fields.offset_seconds = Some(if sign == '-' { -magnitude } else { magnitude });
    } else if at_end(blanks_before) {
        return Some(fields);
    }
    at_end(reader.rest).then_some(fields)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn digit_count(&self) -> u32 {
        self.rest
            .chars()
            .take_while(|&c| decimal_digit(c).is_some())
            .take(6)
            .map(|_| 1)
            .sum()
    }

    /// `\d{least,most}` and `int()` of it.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let (mut number, mut count) = (0, 0);
        while let Some(digit) = self
            .rest
            .chars()
            .next()
            .filter(|_| count < most)
            .and_then(decimal_digit)
        {
            number = number * 10 + digit;
            count += 1;
            let mut characters = self.rest.chars();
            characters.next();
            self.rest = characters.as_str();
        }
        (count >= least).then_some(number)
    }

    fn one_of(&mut self, characters: &str) -> Option<char> {
        let first = self
            .rest
            .chars()
            .next()
            .filter(|&c| characters.contains(c))?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }
}

/// The value of a decimal digit of any script (`unicodedata.decimal`, Unicode 14 as in Python 3.11).
fn decimal_digit(c: char) -> Option<u32> {
    const ZEROS: [u32; 66] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
        0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
        0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
        0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
        0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
        0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
    ];
    let code = u32::from(c);
    if code < 0x80 {
        return c.to_digit(10);
    }
    let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last()?;
    (code - zero < 10).then_some(code - zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isoformat(text: &str) -> String {
        let mut out = Vec::new();
        match parse_datetime(text) {
            Ok(Some(datetime)) => datetime.isoformat(&mut out),
            Ok(None) => return "None".to_owned(),
            Err(error) => return error,
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn stored_texts_have_the_places_that_sqlite_gives_them() {
        let sorted = [
            "0001-01-01 00:00:00",
            "2019-12-31 23:59:59.999999",
            "2020-01-01 00:00:00",
            "2020-01-01 00:00:00.000001",
            "2020-01-01 00:00:01",
            "2020-02-01 00:00:00",
            "9999-12-31 23:59:59.999999",
        ];
        let places: Vec<i64> = sorted
            .iter()
            .map(|text| place_of_stored_text(text).unwrap())
            .collect();
        assert!(sorted.is_sorted() && places.is_sorted_by(|a, b| a < b));
        for other in [
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-01-01 00:00:00.000000",
            "2020-01-01 00:00:00.5",
            "2020-01-01 00:00:00+00:00",
            "2020-01-01 00:00:0\u{664}",
            "2020-01-01 00:00:00,000001",
        ] {
            assert_eq!(place_of_stored_text(other), None, "{other}");
        }
    }

    #[test]
    fn the_texts_of_a_sqlite_column_are_read() {
        assert_eq!(isoformat("2020-01-02"), "2020-01-02T00:00:00");
        assert_eq!(isoformat("2020-01-02 03:04"), "2020-01-02T03:04:00");
        assert_eq!(
            isoformat("2020-01-02T03:04:05.5"),
            "2020-01-02T03:04:05.500000"
        );
        assert_eq!(
            isoformat("2020-01-02 03:04:05.123456789"),
            "2020-01-02T03:04:05.123456"
        );
        assert_eq!(
            isoformat("2020-01-02 03:04:05Z"),
            "2020-01-02T03:04:05+00:00"
        );
        assert_eq!(
            isoformat("2020-01-02 03:04:05+0200"),
            "2020-01-02T03:04:05+02:00"
        );
        assert_eq!(isoformat("2020-1-2 3:4"), "2020-01-02T03:04:00");
        assert_eq!(isoformat("20200102T030405"), "2020-01-02T03:04:05");
        assert_eq!(isoformat("2020-W53-7"), "2021-01-03T00:00:00");
    }

    #[test]
    fn what_is_no_date_is_told_from_no_such_date() {
        assert_eq!(
            isoformat("2020-02-30 00:00:00"),
            "day is out of range for month"
        );
        assert_eq!(isoformat("2020-02-30"), "None");
        assert_eq!(isoformat("2020-13-01 00:00"), "month must be in 1..12");
        assert_eq!(isoformat("0000-01-01 00:00"), "year 0 is out of range");
        assert_eq!(isoformat("2020-01-01 24:00"), "hour must be in 0..23");
        assert_eq!(isoformat("infinity"), "None");
        assert_eq!(
            isoformat("2020-01-01 00:00 -99:00"),
            "offset must be a timedelta strictly between \
            -timedelta(hours=24) and timedelta(hours=24), not datetime.timedelta(days=-5, seconds=75600)."
        );
    }

    #[test]
    fn digits_of_any_script_are_digits() {
        assert_eq!(isoformat("٢٠٢٠-٠١-٠٢ ٣:٤"), "2020-01-02T03:04:00");
    }
}
