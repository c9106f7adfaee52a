//! The dates of a SQLite column (`django.utils.dateparse.parse_datetime`): the text that Django stores, and ISO 8601.
//! Leaves out what only Python reads: week dates, months and days of one digit, digits of other scripts.

use super::DateTime;
use jiff::civil::Date;
use jiff::fmt::temporal::Pieces;

/// `parse_datetime(text)`: `Ok(None)` if the text is not a date. A text in the form that Django stores which names no date
/// is an error, the text of Python's `ValueError` (`day is out of range for month`).
pub fn parse_datetime(text: &str) -> Result<Option<DateTime>, String> {
    match Fields::of_stored_text(text) {
        Some(fields) => fields.into_datetime().map(Some),
        None => Ok(iso_8601(text)),
    }
}

/// The arguments of `datetime()`, year to microsecond, not yet checked.
struct Fields([u32; 7]);

impl Fields {
    /// `2020-01-02 03:04:05`, with or without six digits of microseconds.
    fn of_stored_text(text: &str) -> Option<Fields> {
        const SHAPE: &[u8; 26] = b"0000-00-00 00:00:00.000000";
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 19 | 26) {
            return None;
        }
        let (mut numbers, mut number) = ([0u32; 7], 0);
        for (byte, shape) in bytes.iter().zip(SHAPE) {
            match (shape, byte) {
                (b'0', b'0'..=b'9') => {
                    numbers[number] = numbers[number] * 10 + u32::from(byte - b'0');
                }
                (separator, byte) if separator == byte => number += 1,
                _ => return None,
            }
        }
        Some(Fields(numbers))
    }

    /// `datetime(...)`, with Python's checks in their order.
    fn into_datetime(self) -> Result<DateTime, String> {
        let Fields([year, month, day, hour, minute, second, microsecond]) = self;
        if year < 1 {
            return Err(format!("year {year} is out of range"));
        }
        // Each fits: they have two or four digits.
        let (signed_year, signed_month) = (year as i16, month as i8);
        let Ok(first) = Date::new(signed_year, signed_month, 1) else {
            return Err("month must be in 1..12".to_owned());
        };
        if !(1..=first.days_in_month() as u32).contains(&day) {
            return Err("day is out of range for month".to_owned());
        }
        for (value, limit, message) in [
            (hour, 24, "hour must be in 0..23"),
            (minute, 60, "minute must be in 0..59"),
            (second, 60, "second must be in 0..59"),
        ] {
            if value >= limit {
                return Err(message.to_owned());
            }
        }
        Ok(DateTime {
            year: year as i32,
            month: month as u8,
            day: day as u8,
            hour: hour as u8,
            minute: minute as u8,
            second: second as u8,
            microsecond,
            offset_seconds: None,
        })
    }
}

/// A date alone, or a date and time with `T` or a blank between them, with or without seconds, a fraction of them, and an
/// offset.
fn iso_8601(text: &str) -> Option<DateTime> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset().map(|offset| offset.seconds());
    let has_good_offset = offset.is_none_or(|offset| offset.abs() < 86_400);
    let has_good_year = (1..=9999).contains(&pieces.date().year());
    if !has_good_offset || !has_good_year || pieces.time_zone_annotation().is_some() {
        return None;
    }
    let civil = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    Some(DateTime::from_civil(civil, offset))
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
    fn stored_texts_rank_as_sqlite_sorts_them() {
        let sorted = [
            "0001-01-01 00:00:00",
            "2019-12-31 23:59:59.999999",
            "2020-01-01 00:00:00",
            "2020-01-01 00:00:00.000001",
            "2020-02-01 00:00:00",
            "9999-12-31 23:59:59.999999",
        ];
        let rank = |text: &&str| parse_datetime(text).unwrap().unwrap().rank();
        assert!(sorted.is_sorted() && sorted.iter().map(rank).is_sorted());
    }

    #[test]
    fn djangos_text_and_iso_8601_are_read() {
        for (text, printed) in [
            ("2020-01-02", "2020-01-02T00:00:00"),
            ("2020-01-02 03:04:05.000006", "2020-01-02T03:04:05.000006"),
            ("2020-01-02 03:04", "2020-01-02T03:04:00"),
            ("2020-01-02T03:04:05.5", "2020-01-02T03:04:05.500000"),
            (
                "2020-01-02 03:04:05.123456789",
                "2020-01-02T03:04:05.123456",
            ),
            ("2020-01-02 03:04:05Z", "2020-01-02T03:04:05+00:00"),
            ("2020-01-02 03:04:05+0200", "2020-01-02T03:04:05+02:00"),
            ("1850-06-01 12:00:00-09:30", "1850-06-01T12:00:00-09:30"),
        ] {
            assert_eq!(isoformat(text), printed, "{text}");
        }
    }

    #[test]
    fn no_such_date_is_told_from_no_date() {
        for (text, printed) in [
            ("2020-02-30 00:00:00", "day is out of range for month"),
            ("2020-13-01 00:00:00", "month must be in 1..12"),
            ("0000-01-01 00:00:00", "year 0 is out of range"),
            ("2020-01-01 24:00:00", "hour must be in 0..23"),
            ("2020-02-30", "None"),
            ("2020-W53-7", "None"),
            ("2020-01-02 03:04[Europe/Berlin]", "None"),
            ("2020-01-02 03:04+25:00", "None"),
            ("infinity", "None"),
        ] {
            assert_eq!(isoformat(text), printed, "{text}");
        }
    }
}
