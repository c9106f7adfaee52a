//! A connection to any of the three databases, and the limits under which a job runs on it.
//!
//! Every transaction but login's is read-only, and on a server every statement has a timeout. The database enforces both.
//! (On SQLite a statement that computes has no timeout: Diesel does not offer SQLite's progress handler.) A new connection
//! gets these settings, and all others that an answer depends on, from `session_settings`. Behind a pooler that hands a
//! connection to other clients after each transaction (PgBouncer's transaction mode) no setting may stay on it, so every
//! transaction makes the settings for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::connection::{
    AnsiTransactionManager, CacheSize, Connection as _, InstrumentationEvent, SimpleConnection,
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

/// How long a writer waits before it tries again to lock an SQLite file.
const LOCK_INTERVAL: Duration = Duration::from_millis(2);

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

    /// Runs statements of constant text, in one round trip.
    pub(super) fn execute(&mut self, statements: &str) -> diesel::QueryResult<()> {
        match statements {
            "" => Ok(()),
            _ => with_connection!(self, conn => conn.batch_execute(statements)),
        }
    }

    /// Pings the server, in one round trip. An open SQLite file always answers, even while it is locked.
    pub(super) fn is_alive(&mut self) -> bool {
        let ping = match self.backend() {
            Backend::Sqlite => "",
            Backend::Postgres => "SELECT 1",
            Backend::Mysql => "DO 0",
        };
        self.execute(ping).is_ok()
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
        self.backend() != Backend::Sqlite
    }

    /// On PostgreSQL, runs all further statements unprepared, and returns true: the server may have refused the prepared
    /// statement alone. (The server's message can't tell, since it is translated.)
    pub(super) fn forget_statements(&mut self) -> bool {
        let is_postgres = self.backend() == Backend::Postgres;
        if is_postgres {
            with_connection!(self, conn => conn.set_prepared_statement_cache_size(CacheSize::Disabled));
        }
        is_postgres
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
        let (begin, end) = settings.around(self.backend(), kind, left);
        let begun = self.begin(&begin, left);
        begun.map_err(|error| self.told_by_number(DbError::from(error)))?;
        let result = job(self).map_err(|error| self.told_by_number(error));
        let ended = match (kind, &result) {
            (JobKind::Writes, Err(_)) => self.execute("ROLLBACK"),
            // Also after a view's error, which leaves the transaction of a job that reads open.
            _ => self.execute(&end),
        };
        // The job's error tells more than that of the roll-back. The pool closes a connection after an error.
        let value = result?;
        ended.map_err(|error| self.told_by_number(DbError::from(error)))?;
        Ok(value)
    }

    /// Runs the statements before a job. A writer on SQLite tries again until its deadline to lock the file: SQLite itself tries
    /// ten times a second, which can miss the gaps of a writer that comes again and again for seconds.
    fn begin(&mut self, statements: &str, left: Duration) -> diesel::QueryResult<()> {
        let end = Instant::now() + left;
        let is_locked = |error: &diesel::result::Error| error.to_string() == "database is locked";
        loop {
            match self.execute(statements) {
                Err(error) if is_locked(&error) && Instant::now() < end => sleep(LOCK_INTERVAL),
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests;
