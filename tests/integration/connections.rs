//! When a connection stays open and when it is closed: an upgrade that is ignored, a body that is not read, a head that is too large, `Expect`,
//! HTTP/1.0.

use std::time::Duration;

use crate::app::{App, KEY, insert_session};
use crate::client::Wire;
use crate::database::{Database, PASSWORD};

const STATS: &str = "/api/admin/export-stats/";

#[test]
fn an_upgrade_is_ignored_and_the_connection_stays_open() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let body = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
    // Java's HTTP client, curl --http2, and one that wants a web socket.
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
        "Connection: HTTP2-Settings,upgrade\r\nUPGRADE: h2c\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    ] {
        let login = format!(
            "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\n{upgrade}Content-Type: application/json\r\n\
             Content-Length: {}\r\n",
            body.len()
        );
        let get = format!(
            "GET {STATS} HTTP/1.1\r\nHost: localhost\r\n{upgrade}Cookie: sessionid={session}\r\n\r\n"
        );
        let mut wire = Wire::to(&app.address);
        let mut ask = |pieces: &[&str], statuses: &[u16]| {
            for piece in pieces {
                assert!(wire.say(piece));
                // So that they come one by one.
                std::thread::sleep(Duration::from_millis(20));
            }
            for status in statuses {
                let answer = wire.answer().unwrap_or_else(|| panic!("closed: {upgrade}"));
                assert_eq!(answer.status, *status, "{upgrade}");
                assert_eq!(answer.header("connection"), None, "{upgrade}");
                assert_eq!(answer.header("upgrade"), None, "{upgrade}");
            }
        };
        ask(&[&get], &[200]);
        ask(&[&format!("{login}\r\n{body}")], &[200]);
        let (start, rest) = get.split_at(get.find("pgrade").unwrap());
        ask(&[start, rest], &[200]);
        ask(&[&get.repeat(3)], &[200; 3]);
        // The second head is cut behind a blank line, behind another request, and behind a body.
        ask(&["\r\n", &format!("\r\n{start}"), rest], &[200]);
        ask(&[&format!("{get}{start}"), rest], &[200, 200]);
        ask(&[&format!("{login}\r\n{body}{start}"), rest], &[200, 200]);
        ask(&[&format!("{login}\r\n"), &body], &[200]);
        ask(&[&format!("{login}Expect: 100-continue\r\n\r\n")], &[100]);
        ask(&[&body], &[200]);
        ask(&[&get], &[200]);
    }
}

#[test]
fn a_connection_ends_behind_a_body_that_is_not_read() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let large = "x".repeat(3_000_000);
    let bodies = [
        ("Content-Length: 1", "x".to_owned()),
        ("Content-Length: 3000000", large.clone()),
        (
            "Transfer-Encoding: chunked",
            format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
        ),
    ];
    let token = "a".repeat(32);
    let stranger = "X: y".to_owned();
    let without_token = format!("Cookie: sessionid={session}; csrftoken={token}");
    let with_token = format!("{without_token}\r\nX-CSRFToken: {token}");
    for (target, caller, status) in [
        (STATS, &stranger, 403),
        (STATS, &without_token, 403),
        (STATS, &with_token, 405),
        ("/nowhere", &stranger, 404),
        ("/healthz", &stranger, 405),
    ] {
        for (length, body) in &bodies {
            let head = format!(
                "POST {target} HTTP/1.1\r\nHost: localhost\r\n{caller}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n{length}\r\n\r\n"
            );
            let mut wire = Wire::to(&app.address);
            wire.say(head + body);
            let answer = wire.answer().unwrap();
            assert_eq!(answer.status, status, "{target} {length}");
            assert_eq!(
                answer.header("connection"),
                Some("close"),
                "{target} {length}"
            );
            assert!(wire.rest().is_empty(), "{target} {length}");
        }
    }
    // Without one it stays.
    let mut wire = Wire::to(&app.address);
    for _ in 0..2 {
        wire.say(format!(
            "POST {STATS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        ));
        assert_eq!(wire.answer().unwrap().header("connection"), None);
    }
}

#[test]
fn a_head_that_is_too_large_is_answered_and_read_until_the_client_knows() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let cookie = |length: usize| {
        format!(
            "GET {STATS} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
            "x".repeat(length)
        )
    };
    for length in [33_000, 120_000, 1_000_000] {
        let mut wire = Wire::to(&app.address);
        assert!(wire.say(cookie(31_000)));
        assert_eq!(wire.answer().unwrap().status, 403);
        // Behind a blank line, and in one piece with the end of another request.
        let larger = cookie(length);
        assert!(wire.say(format!("\r\n{}{}", cookie(1), &larger[..40])));
        assert_eq!(wire.answer().unwrap().status, 403);
        assert!(wire.say(&larger[40..]), "{length}");
        let answer = wire.answer().unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (431, Some("close")),
            "{length}"
        );
        assert!(wire.rest().is_empty());
    }
}

#[test]
fn a_request_that_expects_100_gets_100_before_its_body_is_sent() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let body = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
    let mut wire = Wire::to(&app.address);
    wire.say(format!(
        "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    ));
    assert_eq!(wire.answer().unwrap().status, 100);
    wire.say(body);
    assert_eq!(wire.answer().unwrap().status, 200);
}

#[test]
fn a_caller_of_http_1_0_gets_a_length_whatever_the_answer() {
    let database = Database::filled_sqlite();
    let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "1/min")]);
    let wrong = r#"{"username":"admin","password":"wrong"}"#;
    let login = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{wrong}",
        wrong.len()
    );
    for (head, rest, status) in [
        ("GET /healthz", "\r\n", 200),
        (&format!("GET {STATS}"), "\r\n", 403),
        ("GET /nowhere", "\r\n", 404),
        ("GET /api/admin/export-stats", "\r\n", 301),
        ("POST /api/login/", login.as_str(), 401),
        ("POST /api/login/", login.as_str(), 429),
    ] {
        let mut wire = Wire::to(&app.address);
        wire.say(format!(
            "{head} HTTP/1.0\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n{rest}"
        ));
        let text = String::from_utf8(wire.rest()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.0 {status} ")), "{head}");
        assert!(
            head.to_lowercase()
                .contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    }
}
