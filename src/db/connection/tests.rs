//! What a job may do on a connection, and the limits that stay on it. MariaDB's need the server of `TEST_MYSQL_URL`.

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

#[cfg(feature = "sqlite")]
#[test]
fn on_sqlite_only_a_job_that_is_to_write_can() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let opener = ConnectionOpener {
        url: DatabaseUrl::parse(&format!("sqlite:///{}", file.path().display())).unwrap(),
        writable: true,
        settings: settings(),
    };
    let mut connection = opener.establish(Duration::from_secs(3)).unwrap();
    let write = |connection: &mut Connection| {
        let sql = "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)";
        Ok::<_, DbError>(with_connection!(connection, conn => conn.batch_execute(sql))?)
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
fn on_mysql() -> Option<Connection> {
    let Ok(url) = std::env::var("TEST_MYSQL_URL") else {
        println!("skipped on MariaDB: TEST_MYSQL_URL is not set");
        return None;
    };
    let opener = ConnectionOpener {
        url: DatabaseUrl::parse(&url).unwrap(),
        writable: false,
        settings: settings(),
    };
    Some(opener.establish(Duration::from_secs(3)).unwrap())
}

#[cfg(feature = "mysql")]
#[test]
fn after_a_view_that_fails_the_limit_of_short_statements_is_back() {
    use crate::db::error::ExportError;
    let Some(mut connection) = on_mysql() else {
        return;
    };
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
