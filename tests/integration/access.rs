//! Who may see the two views, and how long a session lasts.

use crate::app::{App, KEY, OLD_KEY, insert_session};
use crate::client::basic;
use crate::database::{Database, PASSWORD};

const ANONYMOUS: &str = r#"{"detail":"Authentication credentials were not provided."}"#;
const DENIED: &str = r#"{"detail":"You do not have permission to perform this action."}"#;

#[test]
fn a_caller_without_credentials_is_refused_as_django_refuses() {
    let app = App::over(&Database::filled_sqlite());
    let answer = app.get("/api/admin/export-users/", &[]);
    assert_eq!((answer.status, answer.text()), (403, ANONYMOUS));
    assert_eq!(answer.header("vary"), Some("Accept, Cookie"));
    assert_eq!(answer.header("allow"), Some("GET, OPTIONS"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert_eq!(
        answer.header("cross-origin-opener-policy"),
        Some("same-origin")
    );
    assert_eq!(answer.header("www-authenticate"), None);
}

#[test]
fn a_staff_session_is_admitted_under_the_key_and_under_a_fallback() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let current = insert_session(&database, "current", "1", KEY);
        let fallback = insert_session(&database, "fallback", "1", OLD_KEY);
        let other = insert_session(&database, "other", "1", "a key that was never configured");
        assert_eq!(app.export_as(&current).status, 200, "{}", database.name());
        assert_eq!(app.export_as(&fallback).status, 200, "{}", database.name());
        assert_eq!(app.export_as(&other).status, 403, "{}", database.name());
    }
}

#[test]
fn a_session_that_is_not_staffs_is_denied() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let session = insert_session(&database, "plain", "3", KEY);
    let answer = app.export_as(&session);
    assert_eq!((answer.status, answer.text()), (403, DENIED));
}

#[test]
fn what_changes_in_the_database_counts_at_the_next_request() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let changes = [
            (
                "deactivated",
                "UPDATE auth_user SET is_active = false WHERE id = 1",
                ANONYMOUS,
            ),
            (
                "demoted",
                "UPDATE auth_user SET is_staff = false WHERE id = 1",
                DENIED,
            ),
            (
                "password",
                "UPDATE auth_user SET password = 'pbkdf2_sha256$1$salt$other' WHERE id = 1",
                ANONYMOUS,
            ),
            (
                "expired",
                "UPDATE django_session SET expire_date = '2001-01-01 00:00:00'",
                ANONYMOUS,
            ),
            ("logged-out", "DELETE FROM django_session", ANONYMOUS),
            ("gone", "DELETE FROM auth_user WHERE id = 1", ANONYMOUS),
        ];
        for (name, change, refusal) in changes {
            let session = insert_session(&database, name, "1", KEY);
            let case = format!("{name} on {}", database.name());
            assert_eq!(app.export_as(&session).status, 200, "{case}");
            database.execute(change);
            let answer = app.export_as(&session);
            assert_eq!((answer.status, answer.text()), (403, refusal), "{case}");
            database.execute(&format!(
                "UPDATE auth_user SET is_active = true, is_staff = true, password = '{}' WHERE id = 1",
                crate::database::ENCODED
            ));
        }
    }
}

#[test]
fn a_dead_cookie_is_deleted_and_its_row_is_left_alone() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let session = insert_session(&database, "dead", "1", KEY);
    database.execute("UPDATE auth_user SET password = 'changed' WHERE id = 1");
    let answer = app.export_as(&session);
    let deletion =
        r#"sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"#;
    assert_eq!(
        (answer.status, answer.header("set-cookie")),
        (403, Some(deletion))
    );
    assert_eq!(database.count("django_session"), 1);
}

#[test]
fn basic_credentials_are_checked_against_djangos_hashes() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let ask = |name, password| {
            let header = basic(name, password);
            let answer = app.get("/api/admin/export-stats/", &[("Authorization", &header)]);
            (answer.status, answer.text().to_owned())
        };
        let wrong = (403, r#"{"detail":"Invalid username/password."}"#.to_owned());
        assert_eq!(ask("admin", PASSWORD).0, 200, "{}", database.name());
        assert_eq!(ask("plain", PASSWORD), (403, DENIED.to_owned()));
        assert_eq!(ask("admin", "wrong"), wrong);
        assert_eq!(ask("nobody", PASSWORD), wrong);
        assert_eq!(ask("dormant", PASSWORD), wrong);
        assert_eq!(ask("björn", PASSWORD), wrong);
        assert_eq!(ask("admin\0", PASSWORD), wrong);
    }
}

#[test]
fn no_request_writes_to_the_database() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "rows", "1", OLD_KEY);
        app.export_as(&session);
        app.get(
            "/api/admin/export-users/",
            &[("Authorization", &basic("admin", PASSWORD))],
        );
        app.get(
            "/api/admin/export-users/",
            &[("Authorization", &basic("admin", "wrong"))],
        );
        assert_eq!(database.count("django_session"), 1, "{}", database.name());
        assert_eq!(
            database.count("auth_user WHERE last_login IS NOT NULL"),
            0,
            "{}",
            database.name()
        );
    }
}

#[test]
fn a_flood_of_passwords_is_turned_away_and_leaves_sessions_alone() {
    let database = Database::filled_sqlite();
    // A hash as costly as Django's own.
    database.execute(
        "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active, is_tv_user, is_movie_user, date_joined) \
         VALUES (9, 'costly', '', '', '', 'pbkdf2_sha256$400000$salt$AAAA', false, true, true, false, false, '2021-01-01 00:00:00')",
    );
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let cores = std::thread::available_parallelism().unwrap().get();
    let statuses = std::thread::scope(|scope| {
        let flood: Vec<_> = (0..cores * 32)
            .map(|_| {
                scope.spawn(|| {
                    let wrong = basic("costly", "wrong");
                    let answer = app.get("/api/admin/export-stats/", &[("Authorization", &wrong)]);
                    assert_eq!(answer.header("retry-after").is_some(), answer.status == 503);
                    answer.status
                })
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(app.export_as(&session).status, 200);
        }
        let statuses = flood.into_iter().map(|request| request.join().unwrap());
        statuses.collect::<Vec<_>>()
    });
    assert!(
        statuses.contains(&403) && statuses.contains(&503),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [403, 503].contains(status)),
        "{statuses:?}"
    );
    let right = basic("admin", PASSWORD);
    let answer = app.get("/api/admin/export-stats/", &[("Authorization", &right)]);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_session_request_reads_each_table_once_by_its_index() {
    let Some(database) = Database::of_every_kind()
        .into_iter()
        .find(|database| database.name() == "postgres")
    else {
        return;
    };
    let session = insert_session(&database, "plain", "3", KEY);
    database.insert_users(100..5_100, |_| "2021-01-01 00:00:00".into());
    database.execute(
        "INSERT INTO django_session SELECT 'other' || n, '', '2999-01-01' FROM generate_series(1, 5000) n; ANALYZE",
    );
    let app = App::over(&database);
    let cookie = format!("sessionid={session}");
    let ask = || {
        app.get("/api/admin/export-stats/", &[("Cookie", &cookie)])
            .status
    };
    // The first request also reads the catalogue.
    assert_eq!(ask(), 403);
    // A server process reports what it did when it ends, at the latest.
    let scans = |kind: &str| {
        let others =
            "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        while database.count(others) > 0 {
            database.execute(&format!("SELECT pg_terminate_backend(pid) FROM {others}"));
        }
        let counted = "SELECT generate_series(1, sum({kind})::bigint) FROM pg_stat_user_tables";
        database.count(&format!("({}) AS scans", counted.replace("{kind}", kind)))
    };
    let (by_index, sequential) = (scans("idx_scan"), scans("seq_scan"));
    const REQUESTS: i64 = 100;
    for _ in 0..REQUESTS {
        assert_eq!(ask(), 403);
    }
    assert_eq!(scans("idx_scan"), by_index + 2 * REQUESTS);
    assert_eq!(scans("seq_scan"), sequential);
}
