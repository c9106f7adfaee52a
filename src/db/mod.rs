//! The Django application's database: connections, the queries over its two tables, and the session store.
//!
//! Everything that differs between SQLite, PostgreSQL and MySQL, or between one project's user table and another's,
//! stays inside this folder. Queries run on the blocking pool, never on an Actix worker thread.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel::r2d2::Pool;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::config::DatabaseUrl;

mod catalogue;
mod connection;
mod exportable;
mod fragments;
#[cfg(feature = "mysql")]
mod mysql_export;
mod schema;
mod sessions;
mod types;
mod users;
mod values;

pub use catalogue::UserTable;
pub use connection::Connection;
pub use exportable::{DateShape, Stats};
pub use sessions::{DjangoSessionStore, SessionRow, new_session_key};
pub use types::{Clock, Instant};
pub use users::User;
pub use values::ValueError;

use connection::{Manager, Pooled, with_connection};

/// How long a request waits for a connection.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// Connections to one database at the most.
const POOL_SIZE: u32 = 10;

/// Why the database gave no answer. Its texts are for the log, never for a client.
#[derive(Debug)]
pub enum DbError {
    /// It is away, full, or locked: asking again later may help.
    Unavailable(String),
    /// It refused the statement.
    Refused(DieselError),
    /// The tables are not those of the configured Django project.
    Schema(String),
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DbError::Unavailable(why) => write!(f, "the database is unavailable: {why}"),
            DbError::Refused(error) => write!(f, "the database refused a statement: {error}"),
            DbError::Schema(why) => write!(f, "the database does not fit: {why}"),
        }
    }
}

impl std::error::Error for DbError {}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                DbError::Unavailable(info.message().to_owned())
            }
            // SQLITE_BUSY, after the busy timeout.
            DieselError::DatabaseError(_, info) if info.message() == "database is locked" => {
                DbError::Unavailable(info.message().to_owned())
            }
            _ => DbError::Refused(error),
        }
    }
}

/// Why a view could not answer.
#[derive(Debug)]
pub enum ExportError {
    /// The database's fault.
    Database(DbError),
    /// An exception inside the view's `try` in Django; the text is `str(e)`.
    View(String),
    /// An exception outside of it, while the answer is rendered.
    Unrenderable,
    /// The spool could not take the bytes.
    Spool(std::io::Error),
}

impl From<DbError> for ExportError {
    fn from(error: DbError) -> Self {
        ExportError::Database(error)
    }
}

impl From<DieselError> for ExportError {
    fn from(error: DieselError) -> Self {
        if let DieselError::DeserializationError(inner) = &error
            && let Some(value) = inner.downcast_ref::<ValueError>()
        {
            return match value {
                ValueError::Unreadable(text) => ExportError::View(text.clone()),
                ValueError::Unrenderable => ExportError::Unrenderable,
            };
        }
        ExportError::Database(error.into())
    }
}

/// What is needed to reach the database and to know its user table.
pub struct DbOptions {
    /// The database
    pub url: DatabaseUrl,
    /// A replica for exports and statistics
    pub read_url: Option<DatabaseUrl>,
    /// Whether login may write
    pub writable: bool,
    /// `AUTH_USER_MODEL._meta.db_table`
    pub user_table: String,
    /// The column of `USERNAME_FIELD`
    pub username_field: String,
}

/// A handle on the database, cheap to clone. Making one connects to nothing: the service starts while it is away.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    primary: Pool<Manager>,
    replica: Option<Pool<Manager>>,
    user_table: String,
    username_field: String,
    catalogue: OnceLock<UserTable>,
}

impl Db {
    /// A pool of connections that are opened when they are first needed.
    pub fn new(options: DbOptions) -> Db {
        let pool = |url, writable| {
            Pool::builder()
                .max_size(POOL_SIZE)
                .min_idle(Some(0))
                .connection_timeout(POOL_WAIT)
                // A dead connection shows itself by its first error, and the job is then run again on a fresh one.
                .test_on_check_out(false)
                .error_handler(Box::new(LogConnectionErrors))
                .build_unchecked(Manager::new(url, writable))
        };
        Db {
            shared: Arc::new(Shared {
                primary: pool(options.url, options.writable),
                replica: options.read_url.map(|url| pool(url, false)),
                user_table: options.user_table,
                username_field: options.username_field,
                catalogue: OnceLock::new(),
            }),
        }
    }

    /// Runs `job` on the primary, on the blocking pool. When the connection turns out to be dead, once more on another.
    ///
    /// # Errors
    /// The job's, or that no connection was to be had.
    pub async fn run<T, E>(
        &self,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.block(|shared| &shared.primary, job).await
    }

    /// As [`Db::run`], on the replica where there is one.
    ///
    /// # Errors
    /// As [`Db::run`].
    pub async fn run_on_replica<T, E>(
        &self,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.block(
            |shared| shared.replica.as_ref().unwrap_or(&shared.primary),
            job,
        )
        .await
    }

    /// Whether the database answers and holds both tables, for `readyz`.
    ///
    /// # Errors
    /// The name of the first check that fails, and why (for the log).
    pub async fn ready(&self) -> Result<(), (&'static str, DbError)> {
        let shared = Arc::clone(&self.shared);
        actix_web::web::block(move || {
            let probed = shared.with_connection(&shared.primary, &|connection| {
                // The inner result passes through whole: a missing table is no reason to try again.
                let table = UserTable::load(connection, &shared.user_table, &shared.username_field)
                    .and_then(|table| table.probe(connection));
                match (table, sessions::probe(connection)) {
                    (Err(error), _) => Ok(Err(("user_table", error))),
                    (Ok(()), Err(error)) => Ok(Err(("django_session", error))),
                    (Ok(()), Ok(())) => Ok(Ok(())),
                }
            });
            probed.unwrap_or_else(|error: DbError| Err(("database", error)))
        })
        .await
        .unwrap_or_else(|_| {
            Err((
                "database",
                DbError::Unavailable("the probe was cut short".into()),
            ))
        })
    }

    async fn block<T, E>(
        &self,
        pool: impl Fn(&Shared) -> &Pool<Manager> + Send + 'static,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        actix_web::web::block(move || {
            shared.with_connection(pool(&shared), &|connection| {
                let table = shared.table(connection)?;
                job(connection, table)
            })
        })
        .await
        .unwrap_or_else(|_| Err(DbError::Unavailable("the job was cut short".into()).into()))
    }
}

impl Shared {
    fn with_connection<T, E: From<DbError>>(
        &self,
        pool: &Pool<Manager>,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let checked_out = || {
            pool.get()
                .map_err(|error| DbError::Unavailable(error.to_string()))
        };
        // `None`: the connection was dead, whatever the job made of it.
        let run = |pooled: &mut Pooled| match job(&mut pooled.connection) {
            Err(_) if !pooled.connection.is_alive() => {
                pooled.dead = true;
                None
            }
            result => Some(result),
        };
        if let Some(result) = run(&mut *checked_out()?) {
            return result;
        }
        // After a restart of the database every idle connection is dead: each is asked before the job runs again.
        for _ in 0..=POOL_SIZE {
            let mut pooled = checked_out()?;
            pooled.dead = !pooled.connection.is_alive();
            if !pooled.dead {
                return run(&mut pooled).unwrap_or_else(|| Err(connection_broke().into()));
            }
        }
        Err(connection_broke().into())
    }

    /// The user table's catalogue entry: read once, when the database is first reached.
    fn table(&self, connection: &mut Connection) -> Result<&UserTable, DbError> {
        if let Some(table) = self.catalogue.get() {
            return Ok(table);
        }
        let table = UserTable::load(connection, &self.user_table, &self.username_field)?;
        Ok(self.catalogue.get_or_init(|| table))
    }
}

impl Connection {
    /// Runs `job` in a transaction: all of its writes, or none.
    ///
    /// # Errors
    /// The job's, or the database's.
    pub fn transaction<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        with_connection!(self, conn => begin(conn))?;
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
}

fn connection_broke() -> DbError {
    DbError::Unavailable("the connection broke".into())
}

fn begin<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::begin_transaction(conn)
}

fn commit<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::commit_transaction(conn)
}

fn rollback<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn)
}

/// r2d2 retries failed connections in the background; each failure is a log line without the URL's password, which
/// neither libpq nor the MySQL client repeat.
#[derive(Debug)]
struct LogConnectionErrors;

impl r2d2::HandleError<diesel::ConnectionError> for LogConnectionErrors {
    fn handle_error(&self, error: diesel::ConnectionError) {
        log::warn!("can't connect to the database: {error}");
    }
}
