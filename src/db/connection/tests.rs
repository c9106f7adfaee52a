//! The limits that stay on a connection, on the servers that `TEST_MYSQL_URL` and the like name.

#[cfg(feature = "mysql")]
use super::*;

#[cfg(feature = "mysql")]
fn on_mysql() -> Option<Connection> {
    let Ok(url) = std::env::var("TEST_MYSQL_URL") else {
        println!("skipped on MariaDB: TEST_MYSQL_URL is not set");
        return None;
    };
    let opener = ConnectionOpener {
        url: DatabaseUrl::parse(&url).unwrap(),
        writable: false,
        prepares: true,
    };
    Some(opener.establish().unwrap())
}

#[cfg(feature = "mysql")]
#[test]
fn after_a_view_that_fails_the_limit_of_short_statements_is_back() {
    use super::super::ExportError;
    let Some(mut connection) = on_mysql() else {
        return;
    };
    let limit = |connection: &mut Connection| {
        connection.number("SELECT CAST(@@max_statement_time AS SIGNED) AS number")
    };
    let short = i64::try_from(STATEMENT_LIMIT.as_secs()).ok();
    assert_eq!(limit(&mut connection), short);
    let failed = connection.limited(JobKind::Long, STATEMENT_LIMIT, true, &|connection| {
        assert_ne!(limit(connection), short);
        Err::<(), _>(ExportError::Unrenderable)
    });
    assert!(matches!(failed, Err(ExportError::Unrenderable)));
    assert_eq!(limit(&mut connection), short);
}
