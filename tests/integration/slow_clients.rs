//! Slow, silent and numerous clients: each loses its connection after a timeout, and none delays other requests.
//!
//! One test waits on purpose: for the 5 seconds of a head and of a body.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::app::{App, KEY, insert_session};
use crate::client::{Answer, Wire, answers, send};
use crate::database::Database;
use crate::program::Program;

const EXPORT: &str = "/api/admin/export-users/";
const STATS: &str = "/api/admin/export-stats/";

pub fn get(address: &str, target: &str, cookie: &str) -> Answer {
    send(address, "GET", target, &[("Cookie", cookie)], "")
}

/// What a slow client says, then repeats every second; and the statuses of the answers that it gets before the connection
/// is closed, where 408 need not be said.
struct Slow {
    name: &'static str,
    says: String,
    repeats: &'static str,
    statuses: &'static [u16],
}

/// Waits for the limits of heads and bodies on purpose: some 6 seconds.
#[test]
fn heads_and_bodies_that_do_not_come_are_given_up_within_seconds() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let session = insert_session(&database, "admin", "1", KEY);
    let token = "a".repeat(32);
    let whole = format!("GET {STATS} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let half = format!("GET {STATS} HTTP/1.1\r\nHost: loc");
    let login = |length: &str| {
        format!(
            "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        )
    };
    let unread =
        format!("GET {STATS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx");
    let unread_chunks =
        format!("GET {STATS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    let form = format!(
        "POST {STATS} HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={session}; csrftoken={token}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ncsrf"
    );
    let slow = |name, says: &str, repeats, statuses| Slow {
        name,
        says: says.to_owned(),
        repeats,
        statuses,
    };
    let cases = [
        slow("nothing", "", "", &[408]),
        slow("a byte", "G", "", &[408]),
        slow("half a head", &half, "", &[408]),
        slow(
            "a head without its last line",
            &format!("{half}alhost\r\n"),
            "",
            &[408],
        ),
        slow("a byte of the head a second", &half, "x", &[408]),
        slow(
            "a header a second",
            &format!("{half}alhost\r\n"),
            "X: y\r\n",
            &[408],
        ),
        slow("blank lines", "\r\n", "\r\n", &[408]),
        slow(
            "half of a second head",
            &format!("{whole}{half}"),
            "",
            &[403, 408],
        ),
        slow(
            "a byte of a second head a second",
            &format!("{whole}{half}"),
            "x",
            &[403, 408],
        ),
        slow(
            "a third head",
            &format!("{whole}{whole}G"),
            "",
            &[403, 403, 408],
        ),
        slow("no body", &login("Content-Length: 50"), "", &[408]),
        slow(
            "half a body",
            &(login("Content-Length: 50") + "{\"user"),
            "",
            &[408],
        ),
        slow(
            "a byte of the body a second",
            &login("Content-Length: 50"),
            " ",
            &[408],
        ),
        slow("no chunk", &login("Transfer-Encoding: chunked"), "", &[408]),
        slow(
            "a chunk a second",
            &login("Transfer-Encoding: chunked"),
            "1\r\n \r\n",
            &[408],
        ),
        slow("no form", &form, "", &[403]),
        slow("a byte of a form a second", &form, "x", &[403]),
        slow("a body that is not read", &unread, "", &[403]),
        slow("a chunk that is not read", &unread_chunks, "", &[403]),
        slow(
            "a byte a second of a body that is not read",
            &unread,
            "x",
            &[403],
        ),
        slow(
            "no body behind an answer",
            &format!("{whole}{unread}"),
            "",
            &[403, 403],
        ),
        slow(
            "no body for logout",
            "POST /api/logout/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
            "",
            &[200],
        ),
        slow(
            "no body for a health check",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
            "",
            &[200],
        ),
    ];
    std::thread::scope(|scope| {
        for case in &cases {
            scope.spawn(|| {
                let name = case.name;
                let mut wire = Wire::to(&app.address);
                let began = Instant::now();
                assert!(wire.say(&case.says), "{name}");
                let mut said = Vec::new();
                wire.0
                    .set_read_timeout(Some(Duration::from_secs(1)))
                    .unwrap();
                let mut buffer = [0; 4096];
                loop {
                    match wire.0.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(length) => said.extend_from_slice(&buffer[..length]),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                            assert!(
                                began.elapsed() < Duration::from_secs(9),
                                "{name}: still open after {}",
                                String::from_utf8_lossy(&said)
                            );
                            if !wire.say(case.repeats) {
                                break;
                            }
                        }
                        Err(_) => break,
                    }
                }
                assert!(
                    began.elapsed() < Duration::from_secs(9),
                    "{name}: {:?}",
                    began.elapsed()
                );
                let statuses: Vec<u16> =
                    answers(&said).iter().map(|answer| answer.status).collect();
                let silent = case.statuses.strip_suffix(&[408]);
                assert!(
                    statuses == case.statuses || silent.is_some_and(|silent| statuses == silent),
                    "{name}: {statuses:?}"
                );
            });
        }
        // Other clients are answered meanwhile.
        for _ in 0..20 {
            assert_eq!(app.export_as(&session).status, 200);
        }
    });
}

#[test]
fn three_hundred_idle_connections_block_no_request() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let cookie = format!("sessionid={session}");
    let program = Program::serve(&database, &[]);
    let mut idle: Vec<Wire> = (0..300).map(|_| Wire::to(&program.address)).collect();
    for (number, wire) in idle.iter_mut().enumerate() {
        let says = ["", "GET ", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"][number % 3];
        assert!(wire.say(says));
    }
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(get(&program.address, EXPORT, &cookie).status, 200);
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
