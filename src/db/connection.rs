//! One connection to any of the three databases: how it is opened, and the limits under which a job runs on it.
//!
//! Every transaction but login's is read-only, and on a server every statement has a limit of time, both enforced by the
//! database. (SQLite has none for a statement that computes: its progress handler is not to be had through Diesel.) A
//! connection sets both, and what else an answer depends on, when it is opened: `session_settings`. Behind a pooler that
//! hands a connection to others after each transaction (PgBouncer's transaction mode) nothing may stay on it, and every
//! transaction makes the settings for itself.
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

mod session_settings;

pub use session_settings::SessionSettings;
#[cfg(feature = "sqlite")]
use session_settings::{READING, WRITING};
#[cfg(feature = "mysql")]
use session_settings::{limit_mysql_statements, set_on_mysql};

/// How long a statement that reads a few rows may take, and any statement may wait for a lock.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(4);

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

    /// Whether an error stays with the statement that it came from. Diesel reads MySQL's error of a prepared statement
    /// before its next use, and takes the last one for a new one, for ever. PostgreSQL refuses a prepared statement for
    /// ever when a migration has changed the type of a column that it reads.
    pub(super) fn is_spoilt_by_errors(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => false,
            #[allow(unreachable_patterns)]
            _ => true,
        }
    }

    /// Prepares no statement any more and uses none that is prepared, where the server may refuse such a one and not its
    /// text. (The server's words for that are in its own language.)
    pub(super) fn forget_statements(&mut self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => {
                conn.set_prepared_statement_cache_size(CacheSize::Disabled);
                true
            }
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Runs `job` under the limits of its kind, what writes in one transaction: all of its writes, or none. `left` is what
    /// remains of the caller's time.
    ///
    /// # Errors
    /// The job's, or the database's.
    pub(super) fn limited<T, E: From<DbError>>(
        &mut self,
        settings: &SessionSettings,
        kind: JobKind,
        left: Duration,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = self.begin(settings, kind, left).map_err(DbError::from)?;
        let result = job(self);
        let ended = match (begun, kind, &result) {
            (false, ..) => Ok(()),
            (true, JobKind::Writes, Ok(_)) => with_connection!(self, conn => commit(conn)),
            // The job's error tells more than a failed roll-back; a connection in an open transaction is broken for the
            // pool, which closes it.
            (true, JobKind::Writes, Err(_)) => {
                let _ = with_connection!(self, conn => rollback(conn));
                Ok(())
            }
            // Also after a view's error, which leaves the connection as it is.
            (true, ..) => self.end_reading(),
        };
        let value = result?;
        ended.map_err(DbError::from)?;
        Ok(value)
    }

    /// Sets the limits of a job; whether anything has to be ended after it.
    #[cfg_attr(
        not(all(feature = "sqlite", feature = "postgres")),
        expect(unused_variables, reason = "each is for one backend")
    )]
    fn begin(
        &mut self,
        settings: &SessionSettings,
        kind: JobKind,
        left: Duration,
    ) -> diesel::QueryResult<bool> {
        let writes = kind == JobKind::Writes;
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(conn) => {
                // Django's own writers hold the file for moments; so it is let count for each statement anew.
                let access = if writes { WRITING } else { READING };
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout = {}; {access}",
                    left.as_millis()
                ))?;
                // As a writer from the start: a reader that turns into one is refused at once where another writes.
                if writes {
                    AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?;
                }
                Ok(writes)
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => match settings.begin_postgres(kind) {
                None => Ok(false),
                Some(begin) if writes => {
                    AnsiTransactionManager::begin_transaction_sql(conn, &begin)?;
                    Ok(true)
                }
                Some(begin) => conn.batch_execute(&begin).map(|()| true),
            },
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => match kind {
                JobKind::Short => Ok(false),
                JobKind::Long => limit_mysql_statements(conn, kind).map(|()| true),
                JobKind::Writes => {
                    AnsiTransactionManager::begin_transaction_sql(
                        conn,
                        "START TRANSACTION READ WRITE",
                    )?;
                    Ok(true)
                }
            },
        }
    }

    /// Ends what a job that reads has begun: there is nothing to keep.
    fn end_reading(&mut self) -> diesel::QueryResult<()> {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => conn.batch_execute("ROLLBACK"),
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => limit_mysql_statements(conn, JobKind::Short),
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
    pub(super) settings: SessionSettings,
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
                if self.settings.prepares {
                    self.settings
                        .after_connecting_to_postgres(&mut conn, !self.chooses_by_writability())
                        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                } else {
                    conn.set_prepared_statement_cache_size(CacheSize::Disabled);
                }
                Ok(Connection::Postgres(conn))
            }
            #[cfg(feature = "mysql")]
            Backend::Mysql => {
                let mut conn = diesel::MysqlConnection::establish(self.url.target())?;
                set_on_mysql(&mut conn)
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

    /// The URL with what the operator has not set: limits to the time that connecting may take, a name for
    /// `pg_stat_activity`, and the settings of the session.
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
        if self.settings.prepares {
            // Options of the operator's own come later in the line, and so win.
            let ours = self
                .settings
                .postgres_options(!self.chooses_by_writability());
            match url.find("?options=").or_else(|| url.find("&options=")) {
                Some(place) => url.insert_str(place + "?options=".len(), &format!("{ours}%20")),
                // Some parameter stands there already.
                None => url.push_str(&format!("&options={ours}")),
            }
        }
        url
    }
}

#[cfg(test)]
mod tests;
