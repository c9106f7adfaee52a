//! Clients that request an export and do not read it, or not to its end: none keeps a slot, a file or a socket for long,
//! and none can take a part for the whole.
//!
//! Two tests wait on purpose: for the 30 seconds after which a client that reads nothing is cut off, and for the 5 of a
//! head, which do not count meanwhile.

use std::io::Read;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::app::{App, KEY, insert_session};
use crate::client::{Wire, basic};
use crate::database::{Database, PASSWORD};
use crate::program::Program;
use crate::slow_clients::get;

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
        // The slot, the socket and the spool are free again.
        wait_until("a slot", Duration::from_secs(45), || {
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

/// Waits for the limit of a head on purpose: some 7 seconds.
#[test]
fn a_slow_reader_who_has_asked_for_more_meanwhile_gets_all_of_it() {
    let (database, cookie) = many_users();
    let app = App::over(&database);
    let length = get(&app.address, EXPORT, &cookie).body.len();
    let next = format!("GET {STATS} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let (half, rest) = next.split_at(next.len() / 2);
    std::thread::scope(|scope| {
        // The rest of its head comes at once, or when the answer has come.
        for (early, late) in [(next.as_str(), ""), (half, rest)] {
            let mut wire = reader_that_stops(&app.address, &cookie);
            scope.spawn(move || {
                assert!(wire.say(early));
                std::thread::sleep(Duration::from_secs(7));
                let mut body = vec![0; length];
                while wire.0.read_exact(&mut body[..1]).is_ok() && body[0] != b'{' {}
                wire.0.read_exact(&mut body[1..]).unwrap();
                assert!(wire.say(late));
                assert_eq!(wire.answer().map(|answer| answer.status), Some(200));
            });
        }
    });
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
        wait_until("a slot", Duration::from_secs(5), || {
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
    wait_until("a slot", Duration::from_secs(5), || {
        get(&program.address, EXPORT, &cookie).status == 200
    });
    let grown = program.status("Threads:").saturating_sub(threads);
    // Threads that have nothing to do stay for a while; none of them hangs on a client that is gone.
    assert!(grown < 16, "{grown} threads more than {threads}");
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
