//! The database cannot be reached; health checks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use crate::app::{App, KEY, insert_session};
use crate::client::send;
use crate::database::{Database, READ_OF_SESSIONS, READ_OF_USERS};
use crate::program::Program;

#[test]
fn health_checks_answer_at_the_root_and_under_the_mount_for_any_host() {
    for database in Database::of_every_kind() {
        let app = App::with(&database, &[("DJANGO_ALLOWED_HOSTS", "[]")]);
        for path in [
            "/healthz",
            "/readyz",
            "/api/admin/healthz",
            "/api/admin/readyz",
        ] {
            let answer = app.get(path, &[]);
            assert_eq!(
                (answer.status, answer.text()),
                (200, r#"{"status":"ok"}"#),
                "{path} on {}",
                database.name()
            );
        }
        assert_eq!(app.get("/api/admin/export-users/", &[]).status, 400);
    }
}

#[test]
fn a_missing_table_is_not_ready_and_its_check_is_named() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        database.execute("DROP TABLE django_session");
        let answer = app.get("/readyz", &[]);
        assert_eq!(
            (answer.status, answer.text()),
            (503, r#"{"status":"unavailable","failed":"django_session"}"#)
        );
        let app = App::with(&database, &[("DJANGO_USER_TABLE", "no_such_table")]);
        let answer = app.get("/readyz", &[]);
        assert_eq!(
            (answer.status, answer.text()),
            (503, r#"{"status":"unavailable","failed":"user_table"}"#)
        );
        let tokens = r#"[{"kind": "token", "challenge": null, "keyword": "Token", "table": "no_such_table", "key": "key",
            "user": "user_id"}]"#;
        let app = App::with(&database, &[("DJANGO_REST_AUTHENTICATION", tokens)]);
        let answer = app.get("/readyz", &[]);
        assert_eq!(
            (answer.status, answer.text()),
            (503, r#"{"status":"unavailable","failed":"tokens"}"#)
        );
    }
}

#[test]
fn a_service_started_before_its_database_recovers_by_itself() {
    let database = Database::sqlite();
    let path = database.url.strip_prefix("sqlite:///").unwrap().to_owned();
    std::fs::remove_file(&path).unwrap();
    let app = App::over(&database);

    assert_eq!(app.get("/healthz", &[]).status, 200);
    let answer = app.get("/readyz", &[]);
    assert_eq!(
        (answer.status, answer.text()),
        (503, r#"{"status":"unavailable","failed":"database"}"#)
    );
    let answer = app.export_as("a-session-key");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("5"))
    );
    // Who needs no database is answered without one.
    assert_eq!(app.get("/api/admin/export-users/", &[]).status, 403);
    assert_eq!(app.export_as("short").status, 403);
    assert!(
        !std::path::Path::new(&path).exists(),
        "the file must not be created"
    );

    let arrived = Database::filled_sqlite();
    let session = insert_session(&arrived, "admin", "1", KEY);
    std::fs::copy(arrived.url.strip_prefix("sqlite:///").unwrap(), &path).unwrap();
    assert_eq!(app.export_as(&session).status, 200);
    assert_eq!(app.get("/readyz", &[]).status, 200);
}

#[test]
fn a_server_that_is_away_is_an_outage_and_no_refusal() {
    // A port without a listener: bound once, then free.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut schemes = vec!["postgres"];
    if cfg!(feature = "mysql") {
        schemes.push("mysql");
    }
    for scheme in schemes {
        let url = format!("{scheme}://sidecar:a%20secret@127.0.0.1:{port}/watchtower");
        let app = App::with(&Database::sqlite(), &[("DATABASE_URL", &url)]);
        let answer = app.export_as("a-session-key");
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("5")),
            "{scheme}"
        );
        assert_eq!(
            answer.text(),
            r#"{"detail":"The service is temporarily unavailable."}"#
        );
    }
}

/// Speaks as PostgreSQL does until a client is authenticated and has set its session up, and then says nothing; returns when the
/// client has gone away.
fn fall_silent(mut client: TcpStream) {
    let mut write = client.try_clone().unwrap();
    let mut read = |length: usize| {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).map(|()| bytes)
    };
    let length = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
    let ready = b"Z\0\0\0\x05I";
    // A packet that asks for encryption, which there is not, then the one that begins.
    for answer in [&b"N"[..], b"R\0\0\0\x08\0\0\0\0"] {
        let rest = length(&read(4).unwrap()) - 4;
        read(rest).unwrap();
        write.write_all(answer).unwrap();
    }
    write.write_all(ready).unwrap();
    while let Ok(head) = read(5) {
        read(length(&head[1..]) - 4).unwrap();
        if head[0] == b'Q' {
            write.write_all(b"C\0\0\0\x08SET\0").unwrap();
            write.write_all(ready).unwrap();
        }
    }
}

#[test]
fn a_server_that_falls_silent_after_login_blocks_no_request_for_ever() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let url = format!("postgres://sidecar:secret@127.0.0.1:{port}/watchtower");
    // A separate process, because sockets are attributed among all of a process's.
    let program = Program::serve(&Database::sqlite(), &[("DATABASE_URL", &url)]);
    let (ended, has_ended) = mpsc::channel();
    std::thread::spawn(move || {
        fall_silent(server.accept().unwrap().0);
        ended.send(()).unwrap();
    });
    let cookie = [("Cookie", "sessionid=a-session-key")];
    let answer = send(
        &program.address,
        "GET",
        "/api/admin/export-users/",
        &cookie,
        "",
    );
    assert_eq!(answer.status, 503);
    has_ended.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[test]
fn a_restart_of_the_database_between_requests_is_not_noticed() {
    let Some(database) = Database::postgres() else {
        return;
    };
    let app = App::over(&database);
    // Every connection of the pool is opened, and then killed while it is idle.
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| (0..20).for_each(|_| drop(app.export_as("a-session-key"))));
        }
    });
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    for _ in 0..20 {
        assert_eq!(app.export_as("a-session-key").status, 403);
    }
}

#[test]
fn a_migration_that_alters_a_column_is_no_outage() {
    let Some(database) = Database::postgres() else {
        return;
    };
    let app = App::over(&database);
    // One caller after the other gets the same connection, with its prepared statements.
    (0..10).for_each(|_| assert_eq!(app.login("nobody", "x", None).status, 401));
    database.execute("ALTER TABLE auth_user ALTER username TYPE varchar(254)");
    for _ in 0..10 {
        assert_eq!(app.login("nobody", "x", None).status, 401);
    }
    assert_eq!(app.get("/readyz", &[]).status, 200);
}

#[test]
fn a_role_that_may_not_read_a_column_that_the_model_has_is_not_ready() {
    for database in [Database::postgres(), Database::mysql()]
        .into_iter()
        .flatten()
    {
        let app = App::over(&database);
        let ready = || {
            let answer = app.get("/readyz", &[]);
            (answer.status, answer.text().to_owned())
        };
        let (role, kind) = (database.role(), database.name());
        for (table, check, columns) in [
            ("auth_user", "user_table", READ_OF_USERS.as_slice()),
            ("django_session", "django_session", &READ_OF_SESSIONS),
        ] {
            for column in columns {
                database.execute(&format!("REVOKE SELECT ({column}) ON {table} FROM {role}"));
                let expected = format!(r#"{{"status":"unavailable","failed":"{check}"}}"#);
                assert_eq!(ready(), (503, expected), "{column} on {kind}");
                database.execute(&format!("GRANT SELECT ({column}) ON {table} TO {role}"));
                assert_eq!(
                    ready(),
                    (200, r#"{"status":"ok"}"#.to_owned()),
                    "{column} on {kind}"
                );
            }
        }
    }
}
