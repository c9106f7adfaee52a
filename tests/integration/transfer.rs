//! Entity tags and compression.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::app::{App, KEY, insert_session};
use crate::client::Answer;
use crate::database::Database;

const EXPORT: &str = "/api/admin/export-users/";
const STATS: &str = "/api/admin/export-stats/";

/// A service over `database`, and an administrator's cookie.
fn app_and_cookie(database: &Database) -> (App, String) {
    let session = insert_session(database, "admin", "1", KEY);
    (App::over(database), format!("sessionid={session}"))
}

fn get(app: &App, cookie: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    app.get(target, &[headers, &[("Cookie", cookie)]].concat())
}

#[test]
fn who_names_the_entity_tag_gets_304_until_something_changes() {
    for database in Database::of_every_kind() {
        let (app, cookie) = app_and_cookie(&database);
        for target in [EXPORT, STATS] {
            let first = get(&app, &cookie, target, &[]);
            let tag = first.header("etag").unwrap();
            assert_eq!(get(&app, &cookie, target, &[]).header("etag"), Some(tag));
            for known in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
                let again = get(&app, &cookie, target, &[("If-None-Match", known)]);
                assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
                for header in ["etag", "vary", "cache-control", "x-frame-options"] {
                    assert_eq!(again.header(header), first.header(header), "{header}");
                }
                assert_eq!(again.header("content-type"), None);
            }
            let other = get(&app, &cookie, target, &[("If-None-Match", "\"x\"")]);
            assert_eq!((other.status, &other.body), (200, &first.body));
            let indented = ("Accept", "application/json; indent=2");
            assert_ne!(
                get(&app, &cookie, target, &[indented]).header("etag"),
                Some(tag)
            );
        }
        let tags = || {
            [EXPORT, STATS].map(|target| {
                get(&app, &cookie, target, &[])
                    .header("etag")
                    .map(str::to_owned)
            })
        };
        let before = tags();
        database.execute(
            "UPDATE auth_user SET is_tv_user = false, first_name = 'x' WHERE username = 'plain'",
        );
        let after = tags();
        assert!(before[0] != after[0] && before[1] != after[1]);
    }
}

#[test]
fn an_entity_tag_opens_nothing() {
    let database = Database::filled_sqlite();
    let (app, cookie) = app_and_cookie(&database);
    let tag = get(&app, &cookie, EXPORT, &[])
        .header("etag")
        .unwrap()
        .to_owned();
    for known in [tag.as_str(), "*"] {
        let refused = app.get(EXPORT, &[("If-None-Match", known)]);
        assert_eq!((refused.status, refused.header("etag")), (403, None));
    }
}

#[test]
fn large_bodies_are_compressed_as_the_client_asks() {
    let database = Database::filled_sqlite();
    database.insert_users(100..4_100, |id| format!("2021-01-01 00:00:{:02}", id % 60));
    let (app, cookie) = app_and_cookie(&database);
    let plain = get(&app, &cookie, EXPORT, &[]);
    assert_eq!(plain.header("vary"), Some("Accept, Cookie"));
    let tag = plain.header("etag").unwrap();
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip;q=0.5, zstd;q=0.8, br;q=0", "zstd"),
        ("deflate, gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("br;q=0.5, *;q=0.4", "br"),
        ("*", "zstd"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
    ] {
        let headers = [("Accept-Encoding", accepted)];
        let small = get(&app, &cookie, EXPORT, &headers);
        assert_eq!(small.header("content-encoding"), Some(coding));
        assert_eq!(
            small.header("vary"),
            Some("Accept, Cookie, Accept-Encoding")
        );
        assert_eq!(small.header("etag"), Some(format!("W/{tag}").as_str()));
        assert_eq!(small.header("content-length"), None);
        assert!(small.body.len() < plain.body.len() / 3, "{coding}");
        assert!(small.decompressed() == plain.body, "{coding}");

        let known = get(&app, &cookie, EXPORT, &[headers[0], ("If-None-Match", tag)]);
        assert_eq!(known.status, 304);
        for header in ["vary", "etag"] {
            assert_eq!(known.header(header), small.header(header));
        }
    }
    for accepted in [
        "identity",
        "gzip;q=0",
        "identity;q=1, gzip;q=0.5",
        "identity;q=0",
        "*;q=0",
        "compress",
        "",
    ] {
        let whole = get(&app, &cookie, EXPORT, &[("Accept-Encoding", accepted)]);
        assert_eq!(
            (whole.status, whole.header("content-encoding")),
            (200, None),
            "{accepted}"
        );
        assert_eq!(whole.header("vary"), Some("Accept, Cookie"));
        assert!(whole.body == plain.body);
    }
}

#[test]
fn whatever_is_no_large_export_is_sent_as_it_is() {
    let database = Database::filled_sqlite();
    let (app, cookie) = app_and_cookie(&database);
    for (cookie, target) in [
        (cookie.as_str(), "/api/admin/openapi.json"),
        (cookie.as_str(), "/api/admin/"),
        (cookie.as_str(), "/api/admin/export-users/?format=api"),
    ] {
        let answer = get(&app, cookie, target, &[("Accept-Encoding", "br")]);
        assert_eq!(
            (answer.status, answer.header("content-encoding")),
            (200, None)
        );
        assert!(answer.body.len() > 2000, "{target}");
        assert!(!answer.head().contains("Accept-Encoding"), "{target}");
        assert!(answer.header("content-length").is_some(), "{target}");
    }
    for (cookie, target) in [
        (cookie.as_str(), STATS),
        (cookie.as_str(), EXPORT),
        ("", EXPORT),
    ] {
        let answer = get(
            &app,
            cookie,
            target,
            &[("Accept-Encoding", "gzip, br, zstd")],
        );
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.header("vary"), Some("Accept, Cookie"));
        assert!(answer.header("content-length").is_some());
    }
}

#[test]
fn a_caller_of_http_1_0_gets_a_length_and_no_compression() {
    let database = Database::filled_sqlite();
    database.insert_users(100..5_100, |_| "2021-01-01 00:00:00".into());
    let (app, cookie) = app_and_cookie(&database);
    let mut stream = TcpStream::connect(&app.address).unwrap();
    write!(
        stream,
        "GET {EXPORT} HTTP/1.0\r\nHost: localhost\r\nCookie: {cookie}\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{head}"
    );
    assert!(body.ends_with(r#""message":"Successfully exported 5002 TV users"}"#));
}
