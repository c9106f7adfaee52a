//! `healthcheck`: for container images without curl.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::ports::free_address;
use crate::program::{Program, run};

/// The exit code, and the only line.
fn healthcheck(variables: &[(&str, &str)]) -> (i32, String) {
    let output = run(&["healthcheck"], variables);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_ready_service_is_found_on_every_listener_without_any_secret() {
    let database = Database::filled_sqlite();
    let folder = tempfile::TempDir::new().unwrap();
    let socket = format!("unix:{}", folder.path().join("sidecar.sock").display());
    let port = free_address().rsplit(':').next().unwrap().to_owned();
    let everywhere = format!("0.0.0.0:{port}");
    let ops = free_address();
    for variables in [
        vec![("SIDECAR_BIND", everywhere.as_str())],
        vec![("SIDECAR_BIND", socket.as_str())],
        vec![("SIDECAR_OPS_BIND", ops.as_str())],
        vec![("SIDECAR_OPS_BIND", socket.as_str()), ("SIDECAR_MOUNT", "")],
    ] {
        let _program = Program::serve(&database, &variables);
        let (code, said) = healthcheck(&variables);
        assert_eq!(code, 0, "{said}");
        assert!(
            said.starts_with("ready: ") && said.ends_with("{\"status\":\"ok\"}\n"),
            "{said}"
        );
    }
}

#[test]
fn what_is_not_ready_is_1_in_one_line() {
    let database = Database::filled_sqlite();
    let address = free_address();
    let bind = [("SIDECAR_BIND", address.as_str())];
    let (code, said) = healthcheck(&bind);
    assert!(code == 1 && said.contains("refused"), "{said}");
    let missing = format!("{}-missing", database.url);
    let variables = [bind[0], ("DATABASE_URL", missing.as_str())];
    let _program = Program::serve(&database, &variables);
    let (code, said) = healthcheck(&bind);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(" answered 503: {\"status\":\"unavailable\",\"failed\":\"database\"}"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_service_that_does_not_answer_is_given_up_after_six_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let began = Instant::now();
    let (code, said) = healthcheck(&[("SIDECAR_BIND", &address)]);
    assert!(code == 1 && said.contains("no answer in time"), "{said}");
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(5) && took < Duration::from_secs(9),
        "{took:?}"
    );
}

#[test]
fn an_unknown_port_is_a_bad_configuration() {
    for bind in ["127.0.0.1:0", "nowhere"] {
        let (code, said) = healthcheck(&[("SIDECAR_BIND", bind)]);
        assert_eq!(code, 64, "{said}");
    }
}
