//! Limits on guessing passwords: failures per client address, failures per name, hashes at a time.

use std::time::{Duration, Instant};

use crate::app::{App, KEY, insert_session};
use crate::client::{Answer, Wire, basic, send};
use crate::database::{Database, PASSWORD};
use crate::program::Program;

const STATS: &str = "/api/admin/export-stats/";

/// A service that lets three logins fail.
pub fn app(database: &Database, variables: &[(&str, &str)]) -> App {
    App::with(
        database,
        &[&[("SIDECAR_LOGIN_RATE", "3/min")], variables].concat(),
    )
}

/// Basic credentials through a proxy.
fn ask(app: &App, name: &str, password: &str, proxied: &[(&str, &str)]) -> Answer {
    let header = basic(name, password);
    app.get(
        STATS,
        &[&[("Authorization", header.as_str())], proxied].concat(),
    )
}

/// The status of a wrong password for a fresh name, from the client that these headers name.
pub fn fail(app: &App, proxied: &[(&str, &str)]) -> u16 {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let name = format!("nobody-{}", NAMES.fetch_add(1, Ordering::Relaxed));
    ask(app, &name, "wrong", proxied).status
}

pub fn from(address: &str) -> [(&str, &str); 1] {
    [("X-Forwarded-For", address)]
}

/// The seconds that a 429 asks for, which is as DRF's.
fn throttled(answer: &Answer) -> u64 {
    let seconds = answer
        .header("retry-after")
        .map(|seconds| seconds.parse::<u64>().unwrap());
    let seconds = seconds.unwrap_or_else(|| panic!("{} without Retry-After", answer.status));
    let plural = if seconds == 1 { "" } else { "s" };
    let expected = format!(
        r#"{{"detail":"Request was throttled. Expected available in {seconds} second{plural}."}}"#
    );
    assert_eq!((answer.status, answer.text()), (429, expected.as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    seconds
}

#[test]
fn three_failures_block_a_client_and_no_other() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = app(&database, &[]);
    let client = from("198.51.100.7");
    for _ in 0..3 {
        assert_eq!(fail(&app, &client), 403);
    }
    assert!((1..=20).contains(&throttled(&ask(&app, "admin", PASSWORD, &client))));
    assert_eq!(fail(&app, &client), 429);

    let json = [("Content-Type", "application/json")];
    let good = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
    let login = app.send("POST", "/api/login/", &[&json[..], &client].concat(), &good);
    assert_eq!(
        (login.status, &login.json()["success"]),
        (429, &false.into())
    );
    assert!(
        login
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u64>().is_ok())
    );
    assert_eq!(
        (login.header("cache-control"), login.header("set-cookie")),
        (Some("no-store"), None)
    );

    // Neither a session, nor another client, nor a name that was not tried is held up.
    let cookie = format!("sessionid={session}");
    assert_eq!(
        app.get(
            STATS,
            &[&[("Cookie", cookie.as_str())], &client[..]].concat()
        )
        .status,
        200
    );
    assert_eq!(
        ask(&app, "admin", PASSWORD, &from("198.51.100.8")).status,
        200
    );
    assert_eq!(ask(&app, "admin", PASSWORD, &[]).status, 200);
}

#[test]
fn failed_logins_count_as_much_as_failed_basic_credentials() {
    let database = Database::filled_sqlite();
    let app = app(&database, &[]);
    let statuses: Vec<u16> = (0..4)
        .map(|_| app.login("admin", "wrong", None).status)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 429]);
    assert_eq!(ask(&app, "plain", PASSWORD, &[]).status, 429);
}

#[test]
fn three_failures_block_a_name_for_every_client_whether_or_not_the_user_exists() {
    for database in Database::of_every_kind() {
        let app = app(&database, &[]);
        for (user, name, variants) in [
            (0, "admin", ["admin", "ADMIN", "Admin  ", "aDmin "]),
            (1, "ghost", ["ghost", "GHOST", "Ghost  ", "gHost "]),
        ] {
            for (number, variant) in variants.iter().enumerate() {
                let client = format!("198.51.{user}.{number}");
                let status = ask(&app, variant, "wrong", &from(&client)).status;
                let expected = if number < 3 { 403 } else { 429 };
                assert_eq!(status, expected, "{variant} on {}", database.name());
            }
            throttled(&ask(&app, name, PASSWORD, &from("203.0.113.9")));
        }
        // By login as well, under another spelling; and others are admitted.
        assert_eq!(app.login("ADMIN", PASSWORD, None).status, 429);
        assert_eq!(app.login("plain", PASSWORD, None).status, 200);
    }
}

#[test]
fn a_spelling_that_a_database_may_take_for_the_same_name_is_held_up_with_it() {
    // Collations of MariaDB take letters with and without accents for equal.
    let database = Database::filled_sqlite();
    let app = app(&database, &[]);
    for (number, variant) in ["ádmin", "âdmin", "admín"].iter().enumerate() {
        let client = format!("198.51.100.{number}");
        let status = ask(&app, variant, "wrong", &from(&client)).status;
        assert_eq!(status, 403, "{variant}");
    }
    throttled(&ask(&app, "admin", PASSWORD, &from("203.0.113.9")));
}

#[test]
fn successes_are_never_counted() {
    let database = Database::filled_sqlite();
    let app = app(&database, &[]);
    for _ in 0..8 {
        assert_eq!(ask(&app, "admin", PASSWORD, &[]).status, 200);
        // The right password of a user who is not staff is right.
        assert_eq!(ask(&app, "plain", PASSWORD, &[]).status, 403);
        assert_eq!(app.login("plain", PASSWORD, None).status, 200);
        // Nor are credentials without a name.
        assert_eq!(app.get(STATS, &[("Authorization", "Basic !")]).status, 403);
        assert_eq!(
            app.send(
                "POST",
                "/api/login/",
                &[("Content-Type", "application/json")],
                "{"
            )
            .status,
            400
        );
    }
    assert_eq!(fail(&app, &[]), 403);
}

#[test]
fn the_limit_as_shipped_is_ten_a_minute() {
    let database = Database::filled_sqlite();
    let program = Program::serve(&database, &[("DJANGO_PBKDF2_ITERATIONS", "1")]);
    let statuses: Vec<u16> = (0..12)
        .map(|number| {
            let header = basic(&format!("nobody-{number}"), "wrong");
            let headers = [("Authorization", header.as_str())];
            send(&program.address, "GET", STATS, &headers, "").status
        })
        .collect();
    assert_eq!(statuses, [[403; 10].as_slice(), &[429; 2]].concat());
}

#[test]
fn guesses_at_the_same_time_get_no_further() {
    let database = Database::filled_sqlite();
    let app = app(&database, &[("DJANGO_PBKDF2_ITERATIONS", "20000")]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..24).map(|_| scope.spawn(|| fail(&app, &[]))).collect();
        guesses
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .collect()
    });
    let cores = std::thread::available_parallelism().unwrap().get();
    let checked = statuses.iter().filter(|status| **status == 403).count();
    assert!((3..3 + cores).contains(&checked), "{statuses:?}");
}

#[test]
fn who_is_held_up_costs_no_hash_and_no_query() {
    let database = Database::filled_sqlite();
    let app = app(&database, &[("DJANGO_PBKDF2_ITERATIONS", "300000")]);
    for _ in 0..3 {
        assert_eq!(ask(&app, "admin", "wrong", &[]).status, 403);
    }
    database.execute("ALTER TABLE auth_user RENAME TO elsewhere");
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(ask(&app, "admin", PASSWORD, &[]).status, 429);
        assert_eq!(app.login("plain", PASSWORD, None).status, 429);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // A client below its limit reaches the database.
    assert!(ask(&app, "plain", PASSWORD, &from("198.51.100.7")).status >= 500);
}

#[test]
fn a_name_longer_than_any_column_is_refused_before_anything_costs() {
    let database = Database::filled_sqlite();
    let dear = ("DJANGO_PBKDF2_ITERATIONS", "9000000");
    let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "12/min"), dear]);
    // A query would fail, and be answered 503.
    for table in ["auth_user", "django_session"] {
        database.execute(&format!("ALTER TABLE {table} RENAME TO {table}_elsewhere"));
    }
    let began = Instant::now();
    for name in [
        "x".repeat(255),
        "\u{fdfa}".repeat(5000),
        "e\u{301}".repeat(128),
    ] {
        let basic = ask(&app, &name, "wrong", &[]);
        assert_eq!(
            (basic.status, basic.text()),
            (403, r#"{"detail":"Invalid username/password."}"#)
        );
        let name = &name[..name.len().min(15_000)];
        let login = app.login(name, "wrong", None);
        assert_eq!(
            (login.status, login.text()),
            (401, r#"{"success":false,"error":"Invalid credentials"}"#)
        );
        let name: String = name.chars().take(1000).collect();
        let form = format!("password=wrong&username={name}");
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let form = app.send("POST", "/api/admin/login/", &headers, &form);
        assert_eq!(form.status, 401);
    }
    for length in [254, 255, 5000] {
        let cookie = format!("sessionid={}", "é".repeat(length));
        let answer = app.get(STATS, &[("Cookie", &cookie)]);
        let deletes = answer
            .header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("sessionid=\"\"; expires=Thu, 01 Jan 1970"));
        let is_asked = answer.status >= 500;
        assert_eq!(
            (is_asked, deletes),
            (length == 254, length > 254),
            "{length}"
        );
    }
    assert!(ask(&app, &"x".repeat(254), "wrong", &[]).status >= 500);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // They were failures of their address.
    for _ in 0..3 {
        assert_eq!(ask(&app, &"y".repeat(255), "wrong", &[]).status, 403);
    }
    throttled(&ask(&app, &"z".repeat(255), "wrong", &[]));
    assert_eq!(fail(&app, &[]), 429);
}

#[test]
fn beyond_the_queue_login_is_turned_away_at_once_and_without_a_connection() {
    let database = Database::filled_sqlite();
    let app = App::with(
        &database,
        &[
            ("SIDECAR_LOGIN_RATE", "off"),
            ("DJANGO_PBKDF2_ITERATIONS", "1500000"),
        ],
    );
    let session = insert_session(&database, "admin", "1", KEY);
    let body = r#"{"username":"nobody","password":"wrong"}"#;
    let guess = || {
        send(
            &app.address,
            "POST",
            "/api/login/",
            &[("Content-Type", "application/json")],
            body,
        )
    };
    let guess = &guess;
    let (turned_away, is_full) = std::sync::mpsc::channel();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let flood: Vec<_> = (0..64)
            .map(|_| {
                let turned_away = turned_away.clone();
                scope.spawn(move || {
                    let answer = guess();
                    if answer.status == 503 {
                        assert!(
                            answer
                                .header("retry-after")
                                .is_some_and(|s| s.parse::<u64>().is_ok())
                        );
                        assert!(answer.json().is_object());
                        let _ = turned_away.send(());
                    }
                    answer.status
                })
            })
            .collect();
        is_full.recv_timeout(Duration::from_secs(20)).unwrap();
        // A cookie is looked at meanwhile.
        assert_eq!(app.export_as(&session).status, 200);
        // The database is locked: a request that queried it would wait for seconds.
        let mut locked = database.connect();
        locked("BEGIN EXCLUSIVE");
        let began = Instant::now();
        let late: Vec<_> = (0..8)
            .map(|_| scope.spawn(move || (guess().status, began.elapsed())))
            .collect();
        let late: Vec<(u16, Duration)> =
            late.into_iter().map(|late| late.join().unwrap()).collect();
        locked("ROLLBACK");
        let at_once = late
            .iter()
            .filter(|(status, after)| *status == 503 && *after < Duration::from_secs(1));
        // One or two places in the queue may have become free meanwhile.
        assert!(at_once.count() >= 5, "{late:?}");
        // Held back, so that clients that ask again at once leave the cores to others.
        let held_back = |(status, after): &(u16, Duration)| {
            *status != 503 || *after >= Duration::from_millis(50)
        };
        assert!(late.iter().all(held_back), "{late:?}");
        flood
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .collect()
    });
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [401, 503].contains(status)),
        "{statuses:?}"
    );
    let began = Instant::now();
    while app.login("admin", PASSWORD, None).status != 200 {
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn five_seconds_after_a_flood_a_right_password_works() {
    let database = Database::filled_sqlite();
    // Django 5.2's hashes, and half as much again.
    let app = App::with(&database, &[("DJANGO_PBKDF2_ITERATIONS", "1500000")]);
    let body = r#"{"username":"nobody","password":"wrong"}"#;
    let length = body.len();
    let guess = format!(
        "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    // None of them waits for its answer.
    for _ in 0..64 {
        assert!(Wire::to(&app.address).say(&guess));
    }
    while app.login("nobody", "wrong", None).status != 503 {}
    let began = Instant::now();
    while app.login("admin", PASSWORD, None).status != 200 {}
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
