//! The dates of a SQLite column (`django.utils.dateparse.parse_datetime`): the text that Django stores, and ISO 8601.
//! Leaves out what only Python reads: week dates, months and days of one digit, digits of other scripts.

use super::DateTime;
use jiff::civil::Date;
use jiff::fmt::temporal::Pieces;

/// `parse_datetime(text)`: `Ok(None)` if the text is not a date.
///
/// # Errors
/// The text has the form that Django stores and names no date: the text of Python's `ValueError`.
pub fn parse_datetime(text: &str) -> Result<Option<DateTime>, &'static str> {
    match stored_fields(text) {
        Some(fields) => datetime(fields).map(Some),
        None => Ok(iso_8601(text)),
    }
}

/// Year to microsecond of `2020-01-02 03:04:05`, with or without six digits of microseconds. Not yet checked.
fn stored_fields(text: &str) -> Option<[i32; 7]> {
    const SHAPE: &[u8; 26] = b"0000-00-00 00:00:00.000000";
    if !matches!(text.len(), 19 | 26) {
        return None;
    }
    let (mut fields, mut field) = ([0; 7], 0);
    for (byte, shape) in text.bytes().zip(SHAPE) {
        match (shape, byte) {
            (b'0', b'0'..=b'9') => fields[field] = fields[field] * 10 + i32::from(byte - b'0'),
            (separator, byte) if *separator == byte => field += 1,
            _ => return None,
        }
    }
    Some(fields)
}

/// `datetime(...)`, with Python's checks in their order.
fn datetime(fields: [i32; 7]) -> Result<DateTime, &'static str> {
    let [year, month, day, hour, minute, second, microsecond] = fields;
    // Each fits: they have two or four digits.
    let [month_8, day_8, hour_8, minute_8, second_8] =
        [month, day, hour, minute, second].map(|field| field as i8);
    let first = Date::new(year as i16, month_8, 1);
    let days = first.map_or(31, |first| first.days_in_month().into());
    for (value, range, message) in [
        (year, 1..=9999, "year 0 is out of range"),
        (month, 1..=12, "month must be in 1..12"),
        (day, 1..=days, "day is out of range for month"),
        (hour, 0..=23, "hour must be in 0..23"),
        (minute, 0..=59, "minute must be in 0..59"),
        (second, 0..=59, "second must be in 0..59"),
    ] {
        if !range.contains(&value) {
            return Err(message);
        }
    }
    let date = jiff::civil::date(year as i16, month_8, day_8);
    Ok(DateTime {
        civil: date.at(hour_8, minute_8, second_8, microsecond * 1000),
        offset_seconds: None,
    })
}

/// A date alone, or a date and time with `T` or a blank between them, with or without seconds, a fraction of them, and an
/// offset.
fn iso_8601(text: &str) -> Option<DateTime> {
    let pieces = Pieces::parse(text).ok()?;
    let offset_seconds = pieces.to_numeric_offset().map(|offset| offset.seconds());
    let has_good_offset = offset_seconds.is_none_or(|offset| offset.abs() < 86_400);
    let has_good_year = (1..=9999).contains(&pieces.date().year());
    if !has_good_offset || !has_good_year || pieces.time_zone_annotation().is_some() {
        return None;
    }
    Some(DateTime {
        civil: pieces.date().to_datetime(pieces.time().unwrap_or_default()),
        offset_seconds,
    })
}
