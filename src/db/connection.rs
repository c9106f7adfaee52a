//! One connection to any of the three databases: how it is opened, and the limits under which a job runs on it.
//!
//! Every transaction but login's is read-only, and on a server every statement has a limit of time, both enforced by the
//! database. (SQLite has none for a statement that computes: its progress handler is not to be had through Diesel.) A
//! connection to PostgreSQL brings them along when it is opened; behind a pooler that hands it to others after each
//! transaction (PgBouncer's transaction mode) nothing may stay on it, and every transaction sets them for itself.
//!
//! The backend is known from the URL, so a failed connection reports its own error; Diesel's derived
//! `MultiConnection::establish` would try every backend in turn and hide it.

use std::time::Duration;

#[cfg(feature = "postgres")]
use diesel::connection::CacheSize;
use diesel::connection::{
    AnsiTransactionManager, Connection as _, SimpleConnection, TransactionManager,
};
use diesel::r2d2::R2D2Connection;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};

use super::DbError;
#[cfg(feature = "postgres")]
use super::sockets::LONGEST_ATTEMPT;
use super::source::JobKind;
use crate::config::{Backend, DatabaseUrl};

/// How long a statement that reads a few rows may take, and any statement may wait for a lock.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(4);

/// How long a statement that reads a whole table may take.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const WHOLE_TABLE_LIMIT: Duration = Duration::from_secs(60);

/// Has PostgreSQL read with one process, whatever cores there are, and find rows in the order in which they are stored: time
/// after time, so that their digest stays the same.
#[cfg(feature = "postgres")]
const AS_A_GUEST: &str =
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL synchronize_seqscans = off";

/// What SQLite has in place of read-only transactions: every job begins as a reader.
#[cfg(feature = "sqlite")]
const READING: &str = "PRAGMA query_only = ON";
#[cfg(feature = "sqlite")]
const WRITING: &str = "PRAGMA query_only = OFF";

/// A connection to the database that `DATABASE_URL` names.
#[non_exhaustive]
pub enum Connection {
    /// SQLite
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
    /// PostgreSQL
    #[cfg(feature = "postgres")]
    Postgres(diesel::PgConnection),
    /// MySQL or MariaDB
    #[cfg(feature = "mysql")]
    Mysql(diesel::MysqlConnection),
}

/// What another session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It runs a statement
    Work,
    /// It runs one that waits for somebody else's lock
    Wait,
    /// It runs none, or is not there
    Nothing,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Runs one expression with whichever connection it is. A function can't: the expression's type bounds differ by backend.
macro_rules! with_connection {
    ($connection:expr, $conn:ident => $body:expr) => {
        match $connection {
            #[cfg(feature = "sqlite")]
            $crate::db::connection::Connection::Sqlite($conn) => $body,
            #[cfg(feature = "postgres")]
            $crate::db::connection::Connection::Postgres($conn) => $body,
            #[cfg(feature = "mysql")]
            $crate::db::connection::Connection::Mysql($conn) => $body,
        }
    };
}
pub(super) use with_connection;

impl Connection {
    /// Asks the server for a sign of life. A file is there, though it may be locked.
    pub(super) fn is_alive(&mut self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => true,
            #[allow(unreachable_patterns)]
            other => with_connection!(other, conn => conn.ping().is_ok()),
        }
    }

    /// The server's number for this session; `None`: it has none that others could ask for.
    pub(super) fn session(&mut self) -> Option<i64> {
        let query: Option<&str> = match self {
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Some("SELECT pg_backend_pid()::bigint AS number"),
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => Some("SELECT CAST(CONNECTION_ID() AS SIGNED) AS number"),
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => None,
        };
        self.number(query?)
    }

    /// What the session of this number is doing, as another session of the same role may see it.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(unused_variables, reason = "a file has no sessions")
    )]
    pub(super) fn doing(&mut self, session: i64) -> Doing {
        let query: Option<String> = match self {
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Some(format!(
                "SELECT CASE WHEN state <> 'active' THEN 0 WHEN wait_event_type = 'Lock' THEN 1 ELSE 2 END::bigint \
                 AS number FROM pg_stat_activity WHERE pid = {session}"
            )),
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => Some(format!(
                "SELECT CAST(CASE WHEN command = 'Sleep' THEN 0 WHEN state LIKE 'Waiting for%' THEN 1 ELSE 2 END AS SIGNED) \
                 AS number FROM information_schema.processlist WHERE id = {session}"
            )),
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => None,
        };
        let Some(query) = query else {
            return Doing::Work;
        };
        match self.number(&query) {
            Some(2) => Doing::Work,
            Some(1) => Doing::Wait,
            _ => Doing::Nothing,
        }
    }

    fn number(&mut self, query: &str) -> Option<i64> {
        let query = diesel::sql_query(query);
        let row: Result<Number, _> = with_connection!(self, conn => query.get_result(conn));
        row.map(|row| row.number).ok()
    }

    /// Whether it was left in the middle of something.
    pub(super) fn is_broken(&mut self) -> bool {
        with_connection!(self, conn => conn.is_broken())
    }

    /// Whether an error stays with the statement that it came from: Diesel reads MySQL's error of a prepared statement
    /// before its next use, and takes the last one for a new one, for ever.
    pub(super) fn is_spoilt_by_errors(&self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Runs `job` under the limits of its kind; `left` is what remains of the caller's time, `prepares` whether the
    /// connection has brought limits along.
    ///
    /// # Errors
    /// The job's, or the database's.
    #[cfg_attr(
        not(all(feature = "sqlite", feature = "postgres")),
        expect(unused_variables, reason = "each is for one backend")
    )]
    pub(super) fn limited<T, E: From<DbError>>(
        &mut self,
        kind: JobKind,
        left: Duration,
        prepares: bool,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(conn) => {
                // Django's own writers hold the file for moments; so it is let count for each statement anew.
                let limits = format!("PRAGMA busy_timeout = {}; {READING}", left.as_millis());
                conn.batch_execute(&limits).map_err(DbError::from)?;
                job(self)
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => {
                let begin = match kind {
                    JobKind::Short if !prepares => format!("BEGIN READ ONLY; {}", local_limits()),
                    JobKind::Long => format!(
                        "BEGIN READ ONLY; {}; SET LOCAL statement_timeout = {}; {AS_A_GUEST}",
                        local_limits(),
                        WHOLE_TABLE_LIMIT.as_millis()
                    ),
                    // Writers begin by themselves.
                    JobKind::Short | JobKind::Writes => return job(self),
                };
                conn.batch_execute(&begin).map_err(DbError::from)?;
                let result = job(self);
                // There is nothing to keep.
                let ended = with_connection!(self, conn => conn.batch_execute("ROLLBACK"));
                let value = result?;
                ended.map_err(DbError::from)?;
                Ok(value)
            }
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => {
                if kind != JobKind::Long {
                    return job(self);
                }
                limit_mysql_statements(conn, WHOLE_TABLE_LIMIT).map_err(DbError::from)?;
                let result = job(self);
                // Also after a view's error, which leaves the connection as it is.
                #[allow(irrefutable_let_patterns)]
                if let Connection::Mysql(conn) = self {
                    limit_mysql_statements(conn, STATEMENT_LIMIT).map_err(DbError::from)?;
                }
                result
            }
        }
    }

    /// Runs `job` in a transaction: all of its writes, or none.
    ///
    /// # Errors
    /// The job's, or the database's.
    pub fn transaction<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.begin_writing()?;
        let result = job(self);
        match result {
            Ok(value) => {
                with_connection!(self, conn => commit(conn))?;
                Ok(value)
            }
            Err(error) => {
                // The job's error tells more than a failed roll-back; a connection in an open transaction is broken
                // for the pool, which closes it.
                let _ = with_connection!(self, conn => rollback(conn));
                Err(error)
            }
        }
    }

    fn begin_writing(&mut self) -> diesel::QueryResult<()> {
        match self {
            // As a writer from the start: a reader that turns into one is refused at once where another writes.
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(conn) => {
                conn.batch_execute(WRITING)?;
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => {
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN READ WRITE")?;
                conn.batch_execute(&local_limits())
            }
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => {
                AnsiTransactionManager::begin_transaction_sql(conn, "START TRANSACTION READ WRITE")
            }
        }
    }

    /// Whether rows can be had one by one: MySQL's client stores all of a result before the first.
    pub fn streams_rows(&self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => false,
            #[allow(unreachable_patterns)]
            _ => true,
        }
    }
}

/// The limits of one transaction on PostgreSQL.
#[cfg(feature = "postgres")]
fn local_limits() -> String {
    let limit = STATEMENT_LIMIT.as_millis();
    format!("SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}")
}

fn commit<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::commit_transaction(conn)
}

fn rollback<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn)
}

/// How a connection is opened.
pub(super) struct ConnectionOpener {
    /// The database
    pub(super) url: DatabaseUrl,
    /// Without, SQLite's file is opened read-only
    pub(super) writable: bool,
    /// Whether statements stay prepared, and limits set, from one transaction to the next
    pub(super) prepares: bool,
}

impl ConnectionOpener {
    /// Opens one. This is the one place where a client library has the URL, and may repeat its passwords.
    ///
    /// # Errors
    /// The client library's, without the URL's passwords.
    pub(super) fn establish(&self) -> diesel::ConnectionResult<Connection> {
        self.open().map_err(|error| {
            let text = self.url.without_secrets(&error.to_string());
            diesel::ConnectionError::BadConnection(text)
        })
    }

    fn open(&self) -> diesel::ConnectionResult<Connection> {
        match self.url.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                diesel::SqliteConnection::establish(&self.sqlite_uri()).map(Connection::Sqlite)
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let mut conn = diesel::PgConnection::establish(&self.postgres_url())?;
                if !self.prepares {
                    conn.set_prepared_statement_cache_size(CacheSize::Disabled);
                } else if self.chooses_by_writability() {
                    conn.batch_execute("SET default_transaction_read_only = on")
                        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                }
                Ok(Connection::Postgres(conn))
            }
            #[cfg(feature = "mysql")]
            Backend::Mysql => {
                let mut conn = diesel::MysqlConnection::establish(self.url.target())?;
                limit_mysql(&mut conn)
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(Connection::Mysql(conn))
            }
            // `DatabaseUrl::parse` refuses a backend that is not built in, with a sentence for the operator.
            #[allow(unreachable_patterns)]
            other => Err(diesel::ConnectionError::BadConnection(format!(
                "this build has no {}",
                other.feature()
            ))),
        }
    }

    /// An SQLite URI that never creates the file.
    #[cfg(feature = "sqlite")]
    fn sqlite_uri(&self) -> String {
        use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
        const NOT_IN_A_URI_PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');
        let path = utf8_percent_encode(self.url.target(), NOT_IN_A_URI_PATH);
        let mode = if self.writable { "rw" } else { "ro" };
        format!("file:{path}?mode={mode}")
    }

    /// Whether libpq is to take one of several hosts by what a new session may do there
    /// (`target_session_attrs=read-write`, `read-only`). It must not be told then that ours may only read, or it would take
    /// none, or any.
    #[cfg(feature = "postgres")]
    fn chooses_by_writability(&self) -> bool {
        self.url.target().contains("target_session_attrs=read-")
    }

    /// The URL with what the operator has not set: limits to the time that connecting and statements may take, and a name
    /// for `pg_stat_activity`.
    #[cfg(feature = "postgres")]
    fn postgres_url(&self) -> zeroize::Zeroizing<String> {
        let mut url = zeroize::Zeroizing::new(self.url.target().to_owned());
        let longest_attempt = LONGEST_ATTEMPT.as_secs().to_string();
        for (name, value) in [
            ("connect_timeout", longest_attempt.as_str()),
            // A server that vanished without a word is noticed within half a minute.
            ("keepalives_idle", "10"),
            ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
            ("tcp_user_timeout", "15000"),
            ("fallback_application_name", "watchtower-sidecar"),
        ] {
            if !url.contains(&format!("{name}=")) {
                let separator = if url.contains('?') { '&' } else { '?' };
                url.push_str(&format!("{separator}{name}={value}"));
            }
        }
        if self.prepares {
            // Options of the operator's own come later in the line, and so win.
            let mut ours = format!(
                "-c%20statement_timeout%3D{0}%20-c%20lock_timeout%3D{0}",
                STATEMENT_LIMIT.as_millis()
            );
            if !self.chooses_by_writability() {
                ours.push_str("%20-c%20default_transaction_read_only%3Don");
            }
            match url.find("?options=").or_else(|| url.find("&options=")) {
                Some(place) => url.insert_str(place + "?options=".len(), &format!("{ours}%20")),
                // Some parameter stands there already.
                None => url.push_str(&format!("&options={ours}")),
            }
        }
        url
    }
}

/// The limits of a session on MySQL or MariaDB. Reads wait for no lock there but that of a statement that alters or locks
/// the whole table.
#[cfg(feature = "mysql")]
fn limit_mysql(conn: &mut diesel::MysqlConnection) -> diesel::QueryResult<()> {
    let lock = STATEMENT_LIMIT.as_secs();
    conn.batch_execute(&format!(
        "SET SESSION TRANSACTION READ ONLY; SET SESSION lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}"
    ))?;
    limit_mysql_statements(conn, STATEMENT_LIMIT)
}

#[cfg(feature = "mysql")]
fn limit_mysql_statements(
    conn: &mut diesel::MysqlConnection,
    limit: Duration,
) -> diesel::QueryResult<()> {
    // MariaDB's name for it, in seconds, or MySQL's, in milliseconds.
    conn.batch_execute(&format!(
        "SET SESSION max_statement_time = {}",
        limit.as_secs()
    ))
    .or_else(|refusal| {
        let milliseconds = limit.as_millis();
        conn.batch_execute(&format!("SET SESSION max_execution_time = {milliseconds}"))
            .map_err(|_| refusal)
    })
}

#[cfg(test)]
mod tests;
