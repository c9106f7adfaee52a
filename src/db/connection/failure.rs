//! Tells an outage from a refusal, in whatever language the server speaks.
//!
//! Diesel hides PostgreSQL's SQLSTATE and MySQL's error number, and its kinds name few outages. The message is translated, and
//! on PostgreSQL only a superuser may change the language. So no word of a server's message is known here:
//!
//! * MySQL and MariaDB tell the number of the latest error when asked for it.
//! * On PostgreSQL the session first cancels a statement of its own. If an operator has cancelled the job's statement, the two
//!   messages are equal. Otherwise the job runs a second time, unprepared. A refusal comes back with the same message: a
//!   missing privilege, a value that a view can't compute. A result or another message shows that the first failure has
//!   passed: a migration had changed a prepared statement, or the disk was full (the message names a new temporary file).

use std::time::{Duration, Instant};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::RunQueryDsl;
#[cfg(feature = "mysql")]
use diesel::connection::SimpleConnection;
#[cfg(feature = "mysql")]
use diesel::sql_types::{BigInt, Nullable};

use super::Connection;
use super::job_kind::{JobKind, STATEMENT_TIMEOUT};
use super::session_settings::SessionSettings;
use crate::db::error::{DbError, MayBeDbError};

/// Fails as a statement does that an operator cancels. Each role may cancel its own statements.
#[cfg(feature = "postgres")]
const CANCEL_ITSELF: &str = "SELECT pg_sleep(1) WHERE pg_cancel_backend(pg_backend_pid())";

/// The numbers of outages on MySQL and MariaDB.
///
/// * 3, 20, 1021, 1026, 1030, 1114: a file can't be written, or the disk or a temporary table is full
/// * 5, 1037, 1038, 1041: no memory
/// * 1053, 1927: shutdown, a killed connection
/// * 1205, 1213: a timeout of a lock, a deadlock
/// * 1317, 1969, 3024: an operator, MariaDB's timeout or MySQL's has interrupted the statement; 1028: while it sorted
#[cfg(feature = "mysql")]
const OUTAGES_OF_MYSQL: [i64; 18] = [
    3, 5, 20, 1021, 1026, 1028, 1030, 1037, 1038, 1041, 1053, 1114, 1205, 1213, 1317, 1927, 1969,
    3024,
];

#[cfg(feature = "mysql")]
#[derive(diesel::QueryableByName)]
struct ErrorNumber {
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
}

impl Connection {
    /// Runs `job` as [`Connection::limited`] does. On PostgreSQL a refused job that only reads runs once more, if the caller
    /// still waits. `left` is the time until the caller's deadline. Returns also whether the connection may be used again.
    pub(crate) fn run<T, E: MayBeDbError>(
        &mut self,
        settings: &SessionSettings,
        kind: JobKind,
        left: Duration,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        let began = Instant::now();
        let once = |connection: &mut Connection| {
            let began = Instant::now();
            let result = connection.limited(settings, kind, left, job);
            result.map_err(|error| error.after(began.elapsed(), STATEMENT_TIMEOUT))
        };
        let error = match once(self) {
            Err(error) if error.db_error().is_some() => error,
            result => return (result, true),
        };
        let is_refused = matches!(error.db_error(), Some(DbError::Refused(_)));
        if !is_refused
            || kind == JobKind::Writes
            || began.elapsed() >= left
            || !self.forget_statements()
        {
            return (Err(error), !self.is_spoilt_by_errors());
        }
        let message = error.db_error().and_then(DbError::unclear_message);
        if message.is_some() && message == self.message_of_a_cancelled_statement().as_deref() {
            return (Err(error.into_outage()), false);
        }
        let result = once(self).map_err(|again| {
            let is_other = |other| message.is_some_and(|message| message != other);
            match again.db_error().and_then(DbError::unclear_message) {
                Some(other) if is_other(other) => again.into_outage(),
                _ => again,
            }
        });
        (result, false)
    }

    /// What this server says, in its language, of a statement that an operator cancels.
    fn message_of_a_cancelled_statement(&mut self) -> Option<String> {
        match self {
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => {
                let cancelled = diesel::sql_query(CANCEL_ITSELF).execute(conn);
                let error = DbError::from(cancelled.err()?);
                error.unclear_message().map(str::to_owned)
            }
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    /// Turns a refusal of the latest statement into an outage if its number says so.
    pub(crate) fn told_by_number<E: MayBeDbError>(&mut self, error: E) -> E {
        let is_refused = matches!(error.db_error(), Some(DbError::Refused(_)));
        match self {
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) if is_refused => match latest_number(conn) {
                Ok(number) if OUTAGES_OF_MYSQL.contains(&number) => error.into_outage(),
                _ => error,
            },
            _ => error,
        }
    }
}

/// The number of the latest statement's error: the last condition, since warnings may stand before it. `GET DIAGNOSTICS` can't
/// be prepared, so it leaves the number in a variable.
#[cfg(feature = "mysql")]
fn latest_number(conn: &mut diesel::MysqlConnection) -> diesel::QueryResult<i64> {
    conn.batch_execute(
        "GET DIAGNOSTICS @sidecar_conditions = NUMBER; \
         GET DIAGNOSTICS CONDITION @sidecar_conditions @sidecar_error = MYSQL_ERRNO",
    )?;
    let number = diesel::sql_query("SELECT CAST(@sidecar_error AS SIGNED) AS number");
    let number: ErrorNumber = number.get_result(conn)?;
    Ok(number.number.unwrap_or_default())
}
