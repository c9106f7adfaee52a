//! What a job may do on a connection, and the limits that stay on it. MariaDB's need the server of `TEST_MYSQL_URL`.

#[cfg(feature = "mysql")]
use diesel::RunQueryDsl;

#[cfg(any(feature = "sqlite", feature = "mysql"))]
use super::{job_kind::STATEMENT_TIMEOUT, opener::ConnectionOpener, *};
#[cfg(any(feature = "sqlite", feature = "mysql"))]
use crate::config::DatabaseUrl;

#[cfg(any(feature = "sqlite", feature = "mysql"))]
fn settings() -> SessionSettings {
    SessionSettings {
        prepares: true,
        time_zone: "UTC".to_owned(),
    }
}

#[cfg(any(feature = "sqlite", feature = "mysql"))]
fn open(url: &str, writable: bool) -> Connection {
    let opener = ConnectionOpener {
        url: DatabaseUrl::parse(url).unwrap(),
        writable,
        settings: settings(),
    };
    opener.establish(Duration::from_secs(3)).unwrap()
}

#[cfg(feature = "sqlite")]
#[test]
fn on_sqlite_only_a_job_that_is_to_write_can() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut connection = open(&format!("sqlite:///{}", file.path().display()), true);
    let write = |connection: &mut Connection| {
        let sql = "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)";
        Ok::<_, DbError>(connection.execute(sql)?)
    };
    for kind in [
        JobKind::Short,
        JobKind::Writes,
        JobKind::Long,
        JobKind::Short,
    ] {
        let done = connection.limited(&settings(), kind, STATEMENT_TIMEOUT, &write);
        match kind {
            JobKind::Writes => done.unwrap(),
            _ => assert!(done.unwrap_err().to_string().contains("readonly")),
        }
    }
}

#[cfg(feature = "mysql")]
#[test]
fn after_a_view_that_fails_the_limit_of_short_statements_is_back() {
    use crate::db::error::ExportError;
    let Ok(url) = std::env::var("TEST_MYSQL_URL") else {
        println!("skipped on MariaDB: TEST_MYSQL_URL is not set");
        return;
    };
    let mut connection = open(&url, false);
    #[derive(diesel::QueryableByName)]
    struct Limit {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        seconds: i64,
    }
    let limit = |connection: &mut Connection| {
        let query = diesel::sql_query("SELECT CAST(@@max_statement_time AS SIGNED) AS seconds");
        let limit: Limit = with_connection!(connection, conn => query.get_result(conn)).unwrap();
        limit.seconds
    };
    let short = i64::try_from(STATEMENT_TIMEOUT.as_secs()).unwrap();
    assert_eq!(limit(&mut connection), short);
    let failed = connection.limited(
        &settings(),
        JobKind::Long,
        STATEMENT_TIMEOUT,
        &|connection| {
            assert_ne!(limit(connection), short);
            Err::<(), _>(ExportError::Unrenderable)
        },
    );
    assert!(matches!(failed, Err(ExportError::Unrenderable)));
    assert_eq!(limit(&mut connection), short);
}
