//! Dates as Python reads and prints them; the corpus test compares many more.

use watchtower_sidecar::django::dates::parse::parse_datetime;
use watchtower_sidecar::django::dates::{DateTime, http_date};

fn isoformat(datetime: &DateTime) -> String {
    let mut out = Vec::new();
    datetime.isoformat(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn isoformat_prints_microseconds_and_offset_seconds_only_if_there_are_any() {
    for (unix_microseconds, offset_seconds, text) in [
        (1_577_836_800_000_000, Some(0), "2020-01-01T00:00:00+00:00"),
        (
            1_577_836_800_000_070,
            Some(0),
            "2020-01-01T00:00:00.000070+00:00",
        ),
        (
            1_577_836_800_000_000,
            Some(3208),
            "2020-01-01T00:00:00+00:53:28",
        ),
        (
            1_577_836_800_000_000,
            Some(-12_600),
            "2020-01-01T00:00:00-03:30",
        ),
        (1_577_836_800_000_000, None, "2020-01-01T00:00:00"),
        (
            -62_135_596_800_000_000,
            Some(0),
            "0001-01-01T00:00:00+00:00",
        ),
    ] {
        let civil = DateTime::from_unix_microseconds(unix_microseconds)
            .unwrap()
            .civil;
        let datetime = DateTime {
            civil,
            offset_seconds,
        };
        assert_eq!(isoformat(&datetime), text);
        assert_eq!(datetime.to_string(), text.replace('T', " "));
        assert_eq!(datetime.unix_microseconds(), unix_microseconds);
    }
    assert_eq!(isoformat(&DateTime::MIN), "0001-01-01T00:00:00");
    assert_eq!(isoformat(&DateTime::MAX), "9999-12-31T23:59:59.999999");
}

#[test]
fn a_year_outside_datetime_is_named_as_psycopg2_names_it() {
    const YEAR: i64 = 31_556_952_000_000;
    const LAST: i64 = 253_402_300_799_999_999;
    for (microseconds, text) in [
        (LAST + 1, "year 10000 is out of range"),
        (LAST + 1 + 284_000 * YEAR, "year 294000 is out of range"),
        // 44 BC is the year -43 of astronomers.
        (-63_517_824_000_000_000, "year -44 is out of range"),
        (-62_135_596_800_000_001, "year -1 is out of range"),
    ] {
        let error = DateTime::from_unix_microseconds(microseconds).unwrap_err();
        assert_eq!(error, text);
    }
    let last = DateTime::from_unix_microseconds(LAST).unwrap();
    assert_eq!(last.civil, DateTime::MAX.civil);
}

#[test]
fn a_time_to_compare_with_is_the_nearest_that_can_be_stored() {
    for (microseconds, nearest) in [
        (i64::MAX, "9999-12-31T23:59:59.999999"),
        (-62_135_596_800_000_001, "0000-12-31T23:59:59.999999"),
        (i64::MIN, "0000-01-01T00:00:00"),
    ] {
        assert_eq!(isoformat(&DateTime::nearest_stored(microseconds)), nearest);
    }
}

#[test]
fn an_http_date_has_the_weekday() {
    assert_eq!(http_date(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
    assert_eq!(http_date(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn stored_texts_sort_as_sqlite_sorts_them() {
    let sorted = [
        "0001-01-01 00:00:00",
        "2019-12-31 23:59:59.999999",
        "2020-01-01 00:00:00",
        "2020-01-01 00:00:00.000001",
        "2020-02-01 00:00:00",
        "9999-12-31 23:59:59.999999",
    ];
    let number = |text: &&str| parse_datetime(text).unwrap().unwrap().unix_microseconds();
    assert!(sorted.is_sorted() && sorted.iter().map(number).is_sorted());
}

#[test]
fn a_stored_text_and_iso_8601_are_read_and_no_such_date_is_told_from_no_date() {
    for (text, read) in [
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
        ("2020-02-30 00:00:00", "day is out of range for month"),
        ("2020-13-32 00:00:00", "month must be in 1..12"),
        ("0000-01-01 00:00:00", "year 0 is out of range"),
        ("2020-01-01 24:00:00", "hour must be in 0..23"),
        ("2020-02-30", "None"),
        ("2020-W53-7", "None"),
        ("2020-01-02 03:04[Europe/Berlin]", "None"),
        ("2020-01-02 03:04+25:00", "None"),
        ("infinity", "None"),
    ] {
        let found = match parse_datetime(text) {
            Ok(Some(datetime)) => isoformat(&datetime),
            Ok(None) => "None".to_owned(),
            Err(error) => error.to_owned(),
        };
        assert_eq!(found, read, "{text}");
    }
}
