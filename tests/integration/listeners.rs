//! Where the service listens, under which paths, and what it reads from a replica.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::app::{App, KEY, insert_session};
use crate::database::Database;
use crate::program::Program;

#[test]
fn a_unix_socket_serves_and_a_dead_processes_socket_file_is_replaced() {
    let database = Database::filled_sqlite();
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("sidecar.sock");
    let bind = format!("unix:{}", socket.display());
    for _ in 0..2 {
        // The second round finds the socket file that the killed first one left.
        let _program = Program::serve(&database, &[("SIDECAR_BIND", &bind)]);
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .write_all(b"GET /api/admin/export-users/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 403 Forbidden\r\n"), "{answer}");
        assert!(
            answer
                .to_ascii_lowercase()
                .contains("\r\ncontent-length: 58\r\n"),
            "{answer}"
        );
    }
}

#[test]
fn a_listener_of_their_own_takes_the_health_checks_away_from_the_main_one() {
    let database = Database::filled_sqlite();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let app = App::with(&database, &[("SIDECAR_OPS_BIND", &port.to_string())]);
    assert_eq!(app.get("/healthz", &[]).status, 404);
    assert_eq!(app.get("/api/admin/readyz", &[]).status, 404);
    let ask = |path| crate::client::send(&port.to_string(), "GET", path, &[], "").status;
    assert_eq!(
        (
            ask("/healthz"),
            ask("/readyz"),
            ask("/api/admin/export-users/")
        ),
        (200, 200, 404)
    );
}

#[test]
fn an_empty_mount_serves_a_proxy_that_strips_the_path() {
    let app = App::with(&Database::filled_sqlite(), &[("SIDECAR_MOUNT", "")]);
    assert_eq!(app.get("/export-users/", &[]).status, 403);
    assert_eq!(app.get("/api/admin/export-users/", &[]).status, 404);
    assert_eq!(app.get("/healthz", &[]).status, 200);
}

#[test]
fn the_replica_is_read_for_exports_and_the_primary_for_who_is_calling() {
    let (primary, replica) = (Database::filled_sqlite(), Database::filled_sqlite());
    replica.execute("UPDATE auth_user SET username = 'from the replica' WHERE id = 3");
    let app = App::with(&primary, &[("DATABASE_READ_URL", &replica.url)]);
    let on_primary = insert_session(&primary, "primary", "1", KEY);
    let on_replica = insert_session(&replica, "replica", "1", KEY);
    assert_eq!(app.export_as(&on_replica).status, 403);
    let users = app.export_as(&on_primary).json();
    assert_eq!(users["users"][1]["username"], "from the replica");
}
