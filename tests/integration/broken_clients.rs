//! Malformed HTTP: each client gets one error or no answer, and smuggled bytes are never taken for a request.

use std::time::{Duration, Instant};

use crate::app::{App, KEY, insert_session};
use crate::client::{Wire, answers};
use crate::database::{Database, PASSWORD};

const STATS: &str = "/api/admin/export-stats/";

/// A request that would be answered, were it one.
const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What comes back for these bytes until the connection is closed: by the service, or by this side two seconds after the
/// last byte.
fn said(app: &App, bytes: &[u8]) -> Vec<u8> {
    let mut wire = Wire::to(&app.address);
    wire.say(bytes);
    wire.0
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut wire.0, &mut said);
    said
}

fn statuses(app: &App, bytes: impl AsRef<[u8]>) -> Vec<u16> {
    let answers = answers(&said(app, bytes.as_ref()));
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn no_request_hides_in_another() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let login = |headers: &str, body: &str| {
        let type_ = "Content-Type: application/json";
        format!(
            "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\n{type_}\r\n{headers}\r\n\r\n{body}{SMUGGLED}"
        )
    };
    let length = SMUGGLED.len();
    let cases = [
        login("Content-Length: 0\r\nContent-Length: 2", "{}"),
        login("Content-Length: 2\r\nContent-Length: 0", "{}"),
        login("Content-Length: 2, 0", "{}"),
        login("Content-Length: +2", "{}"),
        login("Content-Length: -2", "{}"),
        login("Content-Length: 0x2", "{}"),
        login("Content-Length: 2 2", "{}"),
        login("Content-Length: 99999999999999999999", "{}"),
        login("Content-Length: 18446744073709551618", "{}"),
        login("Content-Length:", "{}"),
        login("Content-Length : 2", "{}"),
        login(
            &format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
            "0\r\n\r\n",
        ),
        login(
            &format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
            "0\r\n\r\n",
        ),
        login("Content-Length: 2\r\nTransfer-Encoding: xchunked", "{}"),
        login("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        login("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        login("Transfer-Encoding: identity, chunked, chunked", "0\r\n\r\n"),
        login(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
            "0\r\n\r\n",
        ),
        login("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
        login("Transfer-Encoding : chunked", "0\r\n\r\n"),
        login("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        login("X: y\r\n Content-Length: 2", "{}"),
        login("Transfer-Encoding: chunked", "2 x\r\n{}\r\n0\r\n\r\n\r\nX"),
        login("Transfer-Encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n"),
        login("Transfer-Encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\n"),
        login(
            "Transfer-Encoding: chunked",
            "10000000000000002\r\n{}\r\n0\r\n\r\n",
        ),
        login("Transfer-Encoding: chunked", "2\r\n{}XX0\r\n\r\n"),
        login("Transfer-Encoding: chunked", "\r\n2\r\n{}\r\n0\r\n\r\n"),
        format!(
            "GET {STATS} HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
        ),
    ];
    for case in cases {
        let statuses = statuses(&app, &case);
        // 403, 401: a proxy in front would have cut it in the same place, and the connection is at its end all the same.
        assert!(statuses.len() <= 1, "{statuses:?} for {case}");
        assert!(
            statuses
                .iter()
                .all(|status| (400..=501).contains(status) && *status != 500),
            "{statuses:?} for {case}"
        );
    }
    // Chunks with extensions, and trailers, are HTTP.
    let body = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
    let chunk = format!("{:x};a=\"b\"\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(
        statuses(&app, login("Transfer-Encoding: chunked", &chunk)),
        [200, 200]
    );
}

#[test]
fn malformed_http_gets_an_error_or_nothing_and_the_service_goes_on() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let get = |head: &str| {
        format!("GET {STATS} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n").into_bytes()
    };
    let client_hello = [
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".as_slice(),
        &[0x5a; 189],
    ]
    .concat();
    let big = "x".repeat(64 * 1024);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("TLS", client_hello),
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into(),
        ),
        ("HTTP/0.9", format!("GET {STATS}\r\n\r\n").into()),
        ("HTTP/3.0", format!("GET {STATS} HTTP/3.0\r\n\r\n").into()),
        ("HTTP/1.10", format!("GET {STATS} HTTP/1.10\r\n\r\n").into()),
        ("no method", b" / HTTP/1.1\r\n\r\n".into()),
        ("a NUL", get("X: a\0b")),
        ("a CR alone", get("X: a\rb")),
        ("a name with a blank", get("X Y: z")),
        ("no colon", get("garbage")),
        ("no name", get(": x")),
        ("a folded header", get("X: y\r\n z")),
        ("a header of 64 KiB", get(&format!("X: {big}"))),
        ("a name of 64 KiB", get(&format!("{big}: x"))),
        (
            "a cookie of 200 KiB",
            get(&format!("Cookie: sessionid={big}{big}{big}")),
        ),
        ("200 headers", get(&"X: y\r\n".repeat(200))),
        (
            "a target of 64 KiB",
            format!("GET /{big} HTTP/1.1\r\nHost: localhost\r\n\r\n").into(),
        ),
        (
            "a target with a NUL",
            b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        (
            "a target with blanks",
            b"GET / / HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        (
            "CONNECT",
            b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n".into(),
        ),
        (
            "a method of 10,000 letters",
            format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "A".repeat(10_000)).into(),
        ),
        ("garbage", (0..=255).cycle().take(50_000).collect()),
    ];
    for (name, bytes) in &cases {
        let began = Instant::now();
        let statuses = statuses(&app, bytes);
        let fine =
            |status: &u16| (400..=505).contains(status) && ![500, 502, 503, 504].contains(status);
        assert!(
            statuses.len() <= 1 && statuses.iter().all(fine),
            "{name}: {statuses:?}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{name}: {:?}",
            began.elapsed()
        );
    }
    assert_eq!(app.export_as(&session).status, 200);
}

#[test]
fn headers_as_long_as_may_be_are_read_in_no_time() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::with(
        &database,
        &[("SIDECAR_CORS_ORIGINS", "https://good.example")],
    );
    let cookie = format!("sessionid={session}");
    for (name, piece) in [
        ("Accept", "a/b,"),
        ("Accept", "a/b;c=d;"),
        ("Accept", "application/json;a=\"\\\"\","),
        ("Accept-Encoding", "gzip;q=0.1,"),
        ("If-None-Match", "W/\"x\","),
        ("If-None-Match", "\""),
        ("Cookie", "a=b;"),
        ("Cookie", ";"),
        ("Cookie", "sessionid=\"\\101"),
        ("Authorization", "Basic "),
        ("Authorization", "a:"),
        ("X-Forwarded-For", "127.0.0.1,"),
        ("Content-Type", "a/b;c=d;"),
        ("Origin", "https://good.example,"),
        ("Referer", "https://x/"),
        ("Host", "["),
        ("Host", "a."),
    ] {
        let value = piece.repeat(30_000 / piece.len());
        for (method, target) in [("GET", STATS), ("POST", STATS), ("POST", "/api/login/")] {
            for own in [&[][..], &[("Cookie", cookie.as_str())]] {
                let began = Instant::now();
                let headers = [own, &[(name, value.trim())]].concat();
                let answer = app.send(method, target, &headers, "");
                let case = format!("{name}: {piece}... of {method} {target}");
                assert!(answer.status < 500, "{case}: {}", answer.status);
                assert!(
                    began.elapsed() < Duration::from_secs(2),
                    "{case}: {:?}",
                    began.elapsed()
                );
            }
        }
    }
}

#[test]
fn unusual_methods_and_targets_are_answered_as_what_they_are() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let cookie = format!("sessionid={session}");
    for method in ["TRACE", "FOO", "get", "PROPFIND", "M-SEARCH", "PATCH"] {
        let anonymous = app.send(method, STATS, &[], "");
        assert_eq!(anonymous.status, 403, "{method}");
        let answer = app.send(
            method,
            STATS,
            &[("Cookie", &cookie), ("X-Echo", "echo-this")],
            "",
        );
        // CSRF, or a method that the views do not know.
        assert!(
            [403, 405].contains(&answer.status),
            "{method}: {}",
            answer.status
        );
        let all = answer.head() + answer.text();
        assert!(
            !all.contains("echo-this") && !all.contains(&session),
            "{method}: {all}"
        );
    }
    for target in [
        "*",
        "http://evil.example/api/admin/export-users/",
        "//evil.example/api/admin/export-users/",
    ] {
        let answer = app.send("OPTIONS", target, &[], "");
        assert!(
            [400, 403, 404].contains(&answer.status),
            "{target}: {}",
            answer.status
        );
        assert!(
            !answer.head().contains("evil"),
            "{target}: {}",
            answer.head()
        );
    }
}

#[test]
fn a_hundred_requests_in_one_write_are_answered_in_order() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let targets = ["/healthz", STATS, "/nowhere", "/api/admin/export-users/"];
    let request = |number: usize| {
        let target = targets[number % 4];
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={session}\r\n\r\n")
    };
    let mut wire = Wire::to(&app.address);
    wire.say((0..100).map(request).collect::<String>());
    for number in 0..100 {
        let answer = wire.answer().unwrap();
        assert_eq!(answer.status, [200, 200, 404, 200][number % 4], "{number}");
        assert_eq!(
            number % 4 == 3,
            answer.text().contains("\"users\""),
            "{number}"
        );
    }
    // Behind one that is none, nothing is a request.
    let before: String = (0..40).map(request).collect();
    let behind: String = (0..40).map(request).collect();
    let bad = "GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n";
    let statuses = statuses(&app, before + bad + &behind);
    assert_eq!(statuses.len(), 41, "{statuses:?}");
    assert_eq!(statuses[40], 400);
}
