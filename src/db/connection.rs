//! A connection to any of the three databases, and the limits under which a job runs on it.
//!
//! Every transaction but login's is read-only, and on a server every statement has a timeout. The database enforces both.
//! (On SQLite a statement that computes has no timeout: Diesel does not offer SQLite's progress handler.) A new connection
//! gets these settings, and all others that an answer depends on, from `session_settings`. Behind a pooler that hands a
//! connection to other clients after each transaction (PgBouncer's transaction mode) no setting may stay on it, so every
//! transaction makes the settings for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::RunQueryDsl;
#[cfg(feature = "postgres")]
use diesel::connection::CacheSize;
use diesel::connection::{
    AnsiTransactionManager, Connection as _, InstrumentationEvent, SimpleConnection,
    TransactionManager,
};

use crate::config::Backend;
use crate::db::error::{DbError, MayBeDbError};

mod failure;
pub(crate) mod job_kind;
pub(crate) mod opener;
pub mod session_settings;

use job_kind::JobKind;
use session_settings::SessionSettings;
#[cfg(feature = "mysql")]
use session_settings::mysql_limit;
#[cfg(feature = "sqlite")]
use session_settings::{READING, WRITING};

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

/// Evaluates an expression with the Diesel connection inside a [`Connection`]. It is a macro because the expression's
/// trait bounds differ by backend.
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
    /// Which database it leads to.
    pub(super) fn backend(&self) -> Backend {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Backend::Sqlite,
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Backend::Postgres,
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => Backend::Mysql,
        }
    }

    /// Pings the server. An open SQLite file always answers, even while it is locked.
    pub(super) fn is_alive(&mut self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => true,
            #[allow(unreachable_patterns)]
            other => {
                with_connection!(other, conn => diesel::sql_query("SELECT 1").execute(conn).is_ok())
            }
        }
    }

    /// Adds 1 to `answers` for each statement that ends.
    pub(super) fn count_answers(&mut self, answers: &Arc<AtomicU64>) {
        let answers = Arc::clone(answers);
        let count = move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { .. } = event {
                answers.fetch_add(1, Ordering::Relaxed);
            }
        };
        with_connection!(self, conn => conn.set_instrumentation(count));
    }

    /// Whether a transaction was left open.
    pub(super) fn is_broken(&mut self) -> bool {
        with_connection!(self, conn => AnsiTransactionManager::is_broken_transaction_manager(conn))
    }

    /// Whether a prepared statement that failed once can fail again without reason, so that the connection must be closed
    /// after an error. Diesel's MySQL connection reads the error of a prepared statement before it runs it again, and takes
    /// the old error for a new one. PostgreSQL keeps refusing a prepared statement after a migration has changed the type of
    /// a column that it reads.
    pub(super) fn is_spoilt_by_errors(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => false,
            #[allow(unreachable_patterns)]
            _ => true,
        }
    }

    /// On PostgreSQL, runs all further statements unprepared, and returns true: the server may have refused the prepared
    /// statement alone. (The server's message can't tell, since it is translated.)
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

    /// Runs `job` under the limits of its kind. A job that writes runs in one transaction. `left` is the time until the
    /// caller's deadline.
    pub(super) fn limited<T, E: MayBeDbError>(
        &mut self,
        settings: &SessionSettings,
        kind: JobKind,
        left: Duration,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = self.begin(settings, kind, left);
        let begun = begun.map_err(|error| self.told_by_number(DbError::from(error)))?;
        let result = job(self).map_err(|error| self.told_by_number(error));
        let ended = match (begun, kind, &result) {
            (false, ..) => Ok(()),
            (true, JobKind::Writes, Ok(_)) => with_connection!(self, conn => commit(conn)),
            // The job's error tells more than that of the roll-back. The pool closes a connection whose transaction is
            // still open.
            (true, JobKind::Writes, Err(_)) => {
                let _ = with_connection!(self, conn => rollback(conn));
                Ok(())
            }
            // Also after a view's error, which leaves the transaction open.
            (true, ..) => self.end_reading(),
        };
        let value = result?;
        ended.map_err(DbError::from)?;
        Ok(value)
    }

    /// Sets the limits of a job. Returns whether [`Connection::limited`] has to end a transaction or reset a limit.
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
                // The timeout counts for each statement: Django's own writers hold the file for moments.
                let access = if writes { WRITING } else { READING };
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout = {}; {access}",
                    left.as_millis()
                ))?;
                // IMMEDIATE takes the write lock now. A transaction that reads first and then writes would be refused at
                // once while another one writes.
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
                JobKind::Long => conn.batch_execute(&mysql_limit(kind)).map(|()| true),
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

    /// Ends the transaction of a job that reads, or resets its limit.
    fn end_reading(&mut self) -> diesel::QueryResult<()> {
        match self {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => conn.batch_execute("ROLLBACK"),
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => conn.batch_execute(&mysql_limit(JobKind::Short)),
        }
    }
}

fn commit<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::commit_transaction(conn)
}

fn rollback<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn)
}

#[cfg(test)]
mod tests;
