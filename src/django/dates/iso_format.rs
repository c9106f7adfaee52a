//! `datetime.fromisoformat` as CPython 3.11's C code (`Modules/_datetimemodule.c`) reads it, byte by byte, with what it
//! accepts by accident (`12:34:56:78`, `12:34:Z`).
//! Leaves out what only later Pythons accept (24:00) and drops the fraction of a second in an offset.

use super::parse::Fields;
use super::{DateTime, civil_from_days, days_from_civil};

/// The byte at a position; like C's strings, NUL behind the end.
fn at(text: &[u8], position: usize) -> u8 {
    text.get(position).copied().unwrap_or(0)
}

/// `parse_digits`
fn digits(text: &[u8], position: usize, count: usize) -> Option<u32> {
    let mut number = 0;
    for offset in 0..count {
        let digit = at(text, position + offset);
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(digit - b'0');
    }
    Some(number)
}

/// `datetime_fromisoformat`; `None` for every `ValueError`.
pub(super) fn from_iso_format(text: &[u8]) -> Option<DateTime> {
    if text.len() < 7 {
        return None;
    }
    let separator = find_separator(text)?;
    let (year, month, day) = iso_date(text, separator)?;
    let mut fields = Fields {
        year,
        month,
        day,
        ..Fields::default()
    };
    if text.len() > separator {
        // The separator may be any one character; bytes that are none at all cannot occur here.
        let width = match text[separator] {
            0xf0.. => 4,
            0xe0.. => 3,
            0x80.. => 2,
            _ => 1,
        };
        let rest = text.get(separator + width..)?;
        (fields.time, fields.offset_seconds) = iso_time(rest)?;
    }
    fields.into_datetime().ok()
}

/// `_find_isoformat_datetime_separator`
fn find_separator(text: &[u8]) -> Option<usize> {
    if text.len() == 7 {
        return Some(7);
    }
    if text[4] == b'-' {
        if text[5] != b'W' {
            return Some(10);
        }
        if at(text, 8) != b'-' {
            return Some(8);
        }
        return match text.len() {
            9 => None,
            // YYYY-Www-## could be either; Python takes the hyphen for the separator.
            11.. if text[10].is_ascii_digit() => Some(8),
            _ => Some(10),
        };
    }
    if text[4] != b'W' {
        return Some(8);
    }
    let end = 7 + text[7..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    Some(if end < 9 {
        end
    } else if end % 2 == 0 {
        7
    } else {
        8
    })
}

/// `parse_isoformat_date` over the first `length` bytes: a calendar date, or a week date turned into one.
fn iso_date(text: &[u8], length: usize) -> Option<(u32, u32, u32)> {
    let year = digits(text, 0, 4)?;
    let hyphens = usize::from(at(text, 4) == b'-');
    let mut position = 4 + hyphens;
    if at(text, position) == b'W' {
        let week = digits(text, position + 1, 2)?;
        position += 3;
        let mut weekday = 1;
        if position < length {
            if hyphens == 1 && at(text, position) != b'-' {
                return None;
            }
            weekday = digits(text, position + hyphens, 1)?;
        }
        return iso_week_date(year, week, weekday);
    }
    let month = digits(text, position, 2)?;
    position += 2;
    if hyphens == 1 && at(text, position) != b'-' {
        return None;
    }
    Some((year, month, digits(text, position + hyphens, 2)?))
}

/// `iso_to_ymd`
fn iso_week_date(year: u32, week: u32, weekday: u32) -> Option<(u32, u32, u32)> {
    if year < 1 || !(1..=53).contains(&week) || !(1..=7).contains(&weekday) {
        return None;
    }
    let first_monday = |year: i64| {
        // The week of 4 January is the first; 1970-01-01 was a Thursday.
        let fourth = days_from_civil(year, 1, 4);
        fourth - (fourth + 3).rem_euclid(7)
    };
    let monday = first_monday(year.into()) + 7 * i64::from(week - 1);
    if week == 53 && monday >= first_monday(i64::from(year) + 1) {
        return None;
    }
    let (year, month, day) = civil_from_days(monday + i64::from(weekday - 1));
    Some((u32::try_from(year).ok()?, month.into(), day.into()))
}

/// `parse_isoformat_time`: the clock and the offset.
fn iso_time(text: &[u8]) -> Option<([u32; 4], Option<i32>)> {
    // C's `do .. while` looks at one byte more than an empty text has.
    let zone = text
        .iter()
        .position(|byte| matches!(byte, b'+' | b'-' | b'Z'));
    let (time, all_read) = iso_clock(text, zone.unwrap_or(text.len()))?;
    let Some(zone) = zone else {
        return all_read.then_some((time, None));
    };
    if text[zone] == b'Z' {
        return (at(text, zone + 1) == 0).then_some((time, Some(0)));
    }
    let offset_text = &text[zone + 1..];
    let ([hours, minutes, seconds, _], all_read) = iso_clock(offset_text, offset_text.len())?;
    if !all_read {
        return None;
    }
    // At most 99:99:99.
    let magnitude = (hours * 3600 + minutes * 60 + seconds) as i32;
    Some((
        time,
        Some(if text[zone] == b'-' {
            -magnitude
        } else {
            magnitude
        }),
    ))
}

/// `parse_hh_mm_ss_ff` over the first `end` bytes, which may peek at the byte behind them; the flag is false if it left
/// something unread.
fn iso_clock(text: &[u8], end: usize) -> Option<([u32; 4], bool)> {
    let mut values = [0; 4];
    let mut position = 0;
    let mut colons = true;
    for (index, value) in values[..3].iter_mut().enumerate() {
        *value = digits(text, position, 2)?;
        let next = at(text, position + 2);
        position += 3;
        if index == 0 {
            colons = next == b':';
        }
        if position >= end {
            return Some((values, next == 0));
        }
        match next {
            b':' if colons => {}
            b'.' | b',' => break,
            _ if !colons => position -= 1,
            _ => return None,
        }
    }
    let read = (end - position).min(6);
    values[3] = digits(text, position, read)? * 10u32.pow(6 - read as u32);
    position += read;
    while at(text, position).is_ascii_digit() {
        position += 1;
    }
    Some((values, at(text, position) == 0))
}
