//! The Django application's database: connections, the queries over its two tables, and the session store.
//!
//! Everything that differs between SQLite, PostgreSQL and MySQL, or between one project's user table and another's,
//! stays inside this folder. Queries run on the blocking pool, never on an Actix worker thread.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::r2d2::Pool;

use crate::blocking::{Lanes, SharedQuery};
use crate::config::DatabaseUrl;

mod catalogue;
mod connection;
mod error;
mod exportable;
mod exported_row;
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
pub use error::{DbError, ExportError, MayBeDbError};
pub use exportable::{DateShape, Order, Stats};
pub use exported_row::{JSON_ADDS, write_json};
pub use sessions::{DjangoSessionStore, SessionRow, new_session_key};
pub use types::{Clock, Instant};
pub use users::User;
pub use values::ValueError;

use connection::{ConnectionOpener, Pooled, with_connection};

/// How long a request waits for its turn, and then for a connection.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// Short queries that run at once.
const QUERIES_AT_ONCE: usize = 8;

/// Exports that run at once; the next one waits, and keeps no short query from running.
const EXPORTS_AT_ONCE: usize = 4;

/// Connections to one database at the most: those, the statistics and the readiness check.
const POOL_SIZE: u32 = (QUERIES_AT_ONCE + EXPORTS_AT_ONCE + 2) as u32;

/// Whether a job may be run again on another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobKind {
    Reads,
    Writes,
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

/// Of a failed check its name, and why (for the log).
type Readiness = Result<(), Arc<(&'static str, DbError)>>;

struct Shared {
    primary: Pool<ConnectionOpener>,
    replica: Option<Pool<ConnectionOpener>>,
    queries: Arc<Lanes>,
    exports: Arc<Lanes>,
    user_table: String,
    username_field: String,
    catalogue: OnceLock<UserTable>,
    stats: Arc<SharedQuery<Result<Stats, Arc<ExportError>>>>,
    readiness: Arc<SharedQuery<Readiness>>,
}

impl Db {
    /// Pools of connections that are opened when they are first needed.
    pub fn new(options: DbOptions) -> Db {
        let pool = |url, writable| {
            Pool::builder()
                .max_size(POOL_SIZE)
                .min_idle(Some(0))
                .connection_timeout(POOL_WAIT)
                // A dead connection shows itself by its first error, and the job is then run again on a fresh one.
                .test_on_check_out(false)
                .error_handler(Box::<LogConnectionErrors>::default())
                .build_unchecked(ConnectionOpener::new(url, writable))
        };
        Db {
            shared: Arc::new(Shared {
                primary: pool(options.url, options.writable),
                replica: options.read_url.map(|url| pool(url, false)),
                queries: Lanes::new(QUERIES_AT_ONCE, usize::MAX),
                exports: Lanes::new(EXPORTS_AT_ONCE, usize::MAX),
                user_table: options.user_table,
                username_field: options.username_field,
                catalogue: OnceLock::new(),
                stats: SharedQuery::new(),
                readiness: SharedQuery::new(),
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
        E: MayBeDbError + Send + 'static,
    {
        self.in_lane(&self.shared.queries, Shared::primary, JobKind::Reads, job)
            .await
    }

    /// Runs `job`, which writes, on the primary, once.
    ///
    /// # Errors
    /// As [`Db::run`]; after a broken connection nobody knows whether the job was done.
    pub async fn write<T>(
        &self,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
    {
        self.in_lane(&self.shared.queries, Shared::primary, JobKind::Writes, job)
            .await
    }

    /// As [`Db::run`], for a job that takes its time, on the replica where there is one.
    ///
    /// # Errors
    /// As [`Db::run`].
    pub async fn export<T, E>(
        &self,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        self.in_lane(&self.shared.exports, Shared::reads, JobKind::Reads, job)
            .await
    }

    async fn in_lane<T, E>(
        &self,
        lanes: &Arc<Lanes>,
        pool: fn(&Shared) -> &Pool<ConnectionOpener>,
        kind: JobKind,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let job = move || shared.with_table(pool(&shared), kind, &job);
        let answer = lanes.run(POOL_WAIT, job).await;
        answer.unwrap_or_else(|| Err(no_answer().into()))
    }

    /// The three counts, by a query that began after this call. Those who ask while one runs share the next.
    ///
    /// # Errors
    /// As [`Db::run`], or the view's.
    pub async fn stats(&self) -> Result<Stats, Arc<ExportError>> {
        let shared = Arc::clone(&self.shared);
        let query = move || {
            let stats = |connection: &mut Connection, table: &UserTable| table.stats(connection);
            let answer = shared.with_table(shared.reads(), JobKind::Reads, &stats);
            answer.map_err(Arc::new)
        };
        let answer = self.shared.stats.ask(POOL_WAIT, query).await;
        answer.unwrap_or_else(|| Err(Arc::new(no_answer().into())))
    }

    /// Whether the database answers and holds both tables, and the replica what is exported, for `readyz`.
    ///
    /// # Errors
    /// The name of the first check that fails, and why (for the log).
    pub async fn ready(&self) -> Result<(), Arc<(&'static str, DbError)>> {
        let shared = Arc::clone(&self.shared);
        let query = move || shared.ready().map_err(Arc::new);
        let answer = self.shared.readiness.ask(POOL_WAIT, query).await;
        answer.unwrap_or_else(|| Err(Arc::new(("database", no_answer()))))
    }
}

impl Shared {
    /// Where it is decided who is calling.
    fn primary(&self) -> &Pool<ConnectionOpener> {
        &self.primary
    }

    /// Where exports and statistics are read.
    fn reads(&self) -> &Pool<ConnectionOpener> {
        self.replica.as_ref().unwrap_or(&self.primary)
    }

    fn with_table<T, E: MayBeDbError>(
        &self,
        pool: &Pool<ConnectionOpener>,
        kind: JobKind,
        job: &dyn Fn(&mut Connection, &UserTable) -> Result<T, E>,
    ) -> Result<T, E> {
        self.with_connection(pool, kind, &|connection| {
            let table = self.table(connection)?;
            job(connection, table)
        })
    }

    fn with_connection<T, E: MayBeDbError>(
        &self,
        pool: &Pool<ConnectionOpener>,
        kind: JobKind,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let checked_out = || {
            pool.get()
                .map_err(|error| DbError::Unavailable(describe(&error.to_string()).to_owned()))
        };
        // `None`: the connection is of no more use, whatever the job made of it.
        let run = |pooled: &mut Pooled| match job(&mut pooled.connection) {
            Err(error)
                if error.db_error().is_some_and(DbError::is_stale_plan)
                    || !pooled.connection.is_alive() =>
            {
                pooled.dead = true;
                None
            }
            result => Some(result),
        };
        if kind == JobKind::Reads
            && let Some(result) = run(&mut *checked_out()?)
        {
            return result;
        }
        // After a restart of the database every idle connection is dead: each is asked before the job runs again. What
        // writes is asked first, and never run again: nobody could tell whether the lost answer was a success.
        for _ in 0..=POOL_SIZE {
            let mut pooled = checked_out()?;
            pooled.dead = !pooled.connection.is_alive();
            if pooled.dead {
                continue;
            }
            match run(&mut pooled) {
                Some(result) => return result,
                None if kind == JobKind::Writes => break,
                None => {}
            }
        }
        Err(connection_broke().into())
    }

    fn ready(&self) -> Result<(), (&'static str, DbError)> {
        let load = |connection: &mut Connection| {
            UserTable::load(connection, &self.user_table, &self.username_field)
        };
        // The inner results pass through whole: a missing table is no reason to try again.
        let probe = |connection: &mut Connection| {
            let users = load(connection).and_then(|table| {
                table.probe(connection)?;
                table.probe_export(connection)
            });
            match (users, sessions::probe(connection)) {
                (Err(error), _) => Ok(Err(("user_table", error))),
                (_, Err(error)) => Ok(Err(("django_session", error))),
                (Ok(()), Ok(())) => Ok(Ok(())),
            }
        };
        let probed = self.with_connection(&self.primary, JobKind::Reads, &probe);
        probed.unwrap_or_else(|error: DbError| Err(("database", error)))?;
        let Some(replica) = &self.replica else {
            return Ok(());
        };
        self.with_connection(replica, JobKind::Reads, &|connection| {
            load(connection).and_then(|table| table.probe_export(connection))
        })
        .map_err(|error| ("replica", error))
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
        begin(self)?;
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

fn no_answer() -> DbError {
    let seconds = POOL_WAIT.as_secs();
    DbError::Unavailable(format!("no turn within {seconds} seconds, or a panic"))
}

fn connection_broke() -> DbError {
    DbError::Unavailable("the connection broke".into())
}

/// On SQLite as a writer from the start: a reader that turns into one is refused at once where another writes.
fn begin(connection: &mut Connection) -> diesel::QueryResult<()> {
    match connection {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(conn) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
        }
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => AnsiTransactionManager::begin_transaction(conn),
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => AnsiTransactionManager::begin_transaction(conn),
    }
}

fn commit<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::commit_transaction(conn)
}

fn rollback<C: diesel::Connection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn)
}

/// What may be said of a failed connection. libpq repeats parts of a URL that it can't read, and a password may be one of
/// them; once it has reached for a server, it names no secret.
fn describe(error: &str) -> &str {
    let is_about_the_url = [
        "connection option",
        "URI",
        "percent-encoded",
        "invalid connection",
    ];
    match is_about_the_url.iter().any(|words| error.contains(words)) {
        true => "the database URL can't be used as it is",
        false => error,
    }
}

/// r2d2 retries failed connections in the background, many times a minute; the log gets one line a minute.
#[derive(Debug, Default)]
struct LogConnectionErrors {
    latest: Mutex<Option<std::time::Instant>>,
}

impl r2d2::HandleError<diesel::ConnectionError> for LogConnectionErrors {
    fn handle_error(&self, error: diesel::ConnectionError) {
        let now = std::time::Instant::now();
        // A thread that panicked while it held the lock leaves a time that is still a time.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_none_or(|latest| now.duration_since(latest) >= Duration::from_secs(60)) {
            *latest = Some(now);
            log::warn!(
                "can't connect to the database: {}",
                describe(&error.to_string())
            );
        }
    }
}
