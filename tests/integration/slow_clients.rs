//! Clients that are slow, silent, many, or gone: none of them keeps a connection, a file or an export's place for long.
//!
//! Two tests here wait on purpose: for the 5 seconds of a head and a body, and for the 30 seconds of a client that reads
//! nothing.

use std::io::Read;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::app::{App, KEY, insert_session};
use crate::client::{Answer, Wire, answers, basic, send};
use crate::database::{Database, PASSWORD};
use crate::program::Program;

const EXPORT: &str = "/api/admin/export-users/";
const STATS: &str = "/api/admin/export-stats/";

/// Users whose export, of 12 MB, does not fit into the kernel's buffers.
const MANY: std::ops::Range<u64> = 100..40_100;

/// Waits until `is_so`, and gives the time that it took.
fn wait_until(what: &str, at_most: Duration, is_so: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < at_most, "not within {at_most:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

fn get(address: &str, target: &str, cookie: &str) -> Answer {
    send(address, "GET", target, &[("Cookie", cookie)], "")
}

fn many_users() -> (Database, String) {
    let database = Database::filled_sqlite();
    database.insert_users(MANY, |id| {
        format!("2021-01-01 00:{:02}:{:02}", id % 59, id % 60)
    });
    let session = insert_session(&database, "admin", "1", KEY);
    (database, format!("sessionid={session}"))
}

/// Asks for an export, reads its first bytes, and no more.
fn reader_that_stops(address: &str, cookie: &str) -> Wire {
    let mut wire = Wire::narrow(address);
    wire.say(format!(
        "GET {EXPORT} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
    ));
    let mut first = [0; 15];
    wire.0.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    wire
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
        slow("no form", &form, "", &[408]),
        slow("a byte of a form a second", &form, "x", &[408]),
        slow("a body that nobody reads", &unread, "", &[403]),
        slow(
            "a byte a second of a body that nobody reads",
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
        // Whoever is quick is answered meanwhile.
        for _ in 0..20 {
            assert_eq!(app.export_as(&session).status, 200);
        }
    });
}

/// Waits for the limit to reading nothing on purpose: some 35 seconds.
#[test]
fn a_reader_that_stops_is_cut_off_after_half_a_minute_and_a_slow_one_is_not() {
    let (database, cookie) = many_users();
    let program = Program::serve(&database, &[("SIDECAR_EXPORT_CONCURRENCY", "2")]);
    let length = get(&program.address, EXPORT, &cookie).body.len();
    assert!(length > 12_000_000, "{length}");
    let before = program.descriptors();
    let began = Instant::now();
    let mut stopped = reader_that_stops(&program.address, &cookie);
    let mut slow = reader_that_stops(&program.address, &cookie);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut read = 0;
            // 16 KiB a second: too little for 30 seconds to empty a kernel's buffer.
            let mut buffer = vec![0; 4 * 1024];
            while began.elapsed() < Duration::from_secs(40) {
                read += slow.0.read(&mut buffer).unwrap();
                std::thread::sleep(Duration::from_millis(250));
            }
            loop {
                let more = slow.0.read(&mut buffer).unwrap();
                read += more;
                if more == 0 || read > length {
                    break;
                }
            }
            assert!(read > length, "{read} of {length}");
        });
        assert_eq!(get(&program.address, EXPORT, &cookie).status, 503);
        // The place, the socket and the spool are free again.
        wait_until("a place", Duration::from_secs(45), || {
            get(&program.address, EXPORT, &cookie).status == 200
        });
        assert!(
            began.elapsed() > Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    });
    wait_until("the descriptors", Duration::from_secs(10), || {
        program.descriptors() <= before + 1
    });
    // It sees that its transfer is short.
    let mut got = Vec::new();
    let _ = stopped.0.read_to_end(&mut got);
    assert!(got.len() < length, "{}", got.len());
}

#[test]
fn beyond_four_exports_the_next_is_turned_away_at_once_and_nothing_else_is() {
    let (database, cookie) = many_users();
    let app = App::over(&database);
    let readers: Vec<Wire> = (0..4)
        .map(|_| reader_that_stops(&app.address, &cookie))
        .collect();
    let began = Instant::now();
    for _ in 0..3 {
        let refused = get(&app.address, EXPORT, &cookie);
        assert_eq!((refused.status, refused.json().is_object()), (503, true));
        assert!(
            refused
                .header("retry-after")
                .is_some_and(|seconds| seconds.parse::<u64>().is_ok())
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(refused.header(name), Some(value));
        }
        assert_eq!(get(&app.address, STATS, &cookie).status, 200);
        assert_eq!(
            app.get(STATS, &[("Authorization", &basic("admin", PASSWORD))])
                .status,
            200
        );
        assert_eq!(app.login("admin", PASSWORD, None).status, 200);
        assert_eq!(app.get("/readyz", &[]).status, 200);
        // Who may not export is not told that there is no place.
        assert_eq!(app.get(EXPORT, &[]).status, 403);
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // One by one they go, in either way, and each leaves its place.
    for (number, reader) in readers.into_iter().enumerate() {
        match number % 2 {
            0 => reader.reset(),
            _ => drop(reader),
        }
        wait_until("a place", Duration::from_secs(5), || {
            get(&app.address, EXPORT, &cookie).status == 200
        });
    }
}

#[test]
fn clients_that_go_away_in_the_middle_leave_nothing_behind() {
    let (database, cookie) = many_users();
    let program = Program::serve(&database, &[]);
    assert_eq!(get(&program.address, EXPORT, &cookie).status, 200);
    let descriptors = program.descriptors();
    let threads = program.status("Threads:");
    for round in 0..12 {
        for coding in ["", "Accept-Encoding: gzip\r\n"] {
            let mut wire = Wire::to(&program.address);
            wire.say(format!(
                "GET {EXPORT} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n{coding}\r\n"
            ));
            if round % 2 == 0 {
                wire.0.read_exact(&mut [0; 1000]).unwrap();
            }
            match round % 3 {
                0 => drop(wire),
                _ => wire.reset(),
            }
        }
    }
    wait_until("the descriptors", Duration::from_secs(10), || {
        program.descriptors() <= descriptors
    });
    wait_until("a place", Duration::from_secs(5), || {
        get(&program.address, EXPORT, &cookie).status == 200
    });
    let grown = program.status("Threads:").saturating_sub(threads);
    // Threads that have nothing to do stay for a while; none of them hangs on a client that is gone.
    assert!(grown < 16, "{grown} threads more than {threads}");
}

#[test]
fn three_hundred_idle_connections_stop_nobody() {
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

#[test]
fn who_has_said_all_and_closes_that_half_is_answered() {
    let (database, cookie) = many_users();
    let app = App::over(&database);
    let whole = get(&app.address, EXPORT, &cookie).body;
    for target in [STATS, EXPORT] {
        let mut wire = Wire::to(&app.address);
        wire.say(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
        ));
        wire.0.shutdown(Shutdown::Write).unwrap();
        let answer = wire.answer().unwrap();
        assert_eq!(answer.status, 200, "{target}");
        assert!(target == STATS || answer.body == whole);
    }
}

#[test]
fn a_transfer_that_breaks_is_broken_visibly() {
    let (database, cookie) = many_users();
    for coding in ["identity", "gzip"] {
        let mut program = Program::serve(&database, &[]);
        let mut wire = Wire::narrow(&program.address);
        wire.say(format!(
            "GET {EXPORT} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nAccept-Encoding: {coding}\r\n\r\n"
        ));
        let mut said = vec![0; 10_000];
        wire.0.read_exact(&mut said).unwrap();
        program.kill();
        let _ = wire.0.read_to_end(&mut said);
        let head = said
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        let (head, body) = (String::from_utf8_lossy(&said[..head]), &said[head..]);
        let length = head
            .split("Content-Length: ")
            .nth(1)
            .map(|rest| rest.split('\r').next().unwrap());
        match length {
            Some(length) => assert!(body.len() < length.parse::<usize>().unwrap(), "{coding}"),
            None => assert!(!body.ends_with(b"0\r\n\r\n"), "{coding}"),
        }
        assert_eq!(length.is_some(), coding == "identity", "{head}");
    }
}
