//! TLS to the database. `tests/run` makes a certificate authority and a certificate for each server, and names the
//! authority's file in `TEST_TLS_CA`.

use crate::app::App;
use crate::database::Database;

/// The database's URL with these parameters.
fn with_parameters(database: &Database, parameters: &str) -> String {
    let separator = if database.url.contains('?') { '&' } else { '?' };
    format!("{}{separator}{parameters}", database.url)
}

fn is_ready(url: &str) -> bool {
    App::with(&Database::sqlite(), &[("DATABASE_URL", url)])
        .get("/readyz", &[])
        .status
        == 200
}

fn authority() -> Option<String> {
    let file = std::env::var("TEST_TLS_CA").ok();
    if file.is_none() {
        println!("skipped: TEST_TLS_CA is not set");
    }
    file
}

/// Ready with the authority that signed the server's certificate, and not with another.
fn assert_verified(database: Option<Database>, parameters: &str) {
    let (Some(ca), Some(database)) = (authority(), database) else {
        return;
    };
    let another = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/another-ca.pem"
    );
    assert!(is_ready(&with_parameters(
        &database,
        &format!("{parameters}={ca}")
    )));
    assert!(!is_ready(&with_parameters(
        &database,
        &format!("{parameters}={another}")
    )));
}

#[test]
fn postgres_is_verified_by_its_certificate() {
    assert_verified(Database::postgres(), "sslmode=verify-full&sslrootcert");
}

#[test]
fn mariadb_is_verified_by_its_certificate() {
    assert_verified(Database::mysql(), "ssl_mode=verify_identity&ssl_ca");
}

#[test]
fn a_build_without_the_database_says_so() {
    if cfg!(feature = "mysql") {
        return;
    }
    let error = watchtower_sidecar::config::DatabaseUrl::parse("mysql://u:p@localhost/d")
        .err()
        .unwrap();
    assert!(
        error.contains("cargo build --release --features mysql"),
        "{error}"
    );
}
