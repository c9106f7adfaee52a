//! The Django application's database: connections, the queries over its two tables, and [`Db`], through which the rest of the
//! program runs them.
//!
//! All differences between SQLite, PostgreSQL and MySQL, and between one project's user table and another's, stay inside this
//! folder. Queries run on blocking threads, never on an Actix worker thread. From the lowest room to the highest:
//!
//! * [`types`]: what a column holds, as Django's backend reads and writes it
//! * [`error`]: why the database, or a view over it, gave no answer
//! * [`connection`]: one connection to any of the three databases: opened, limited, its transactions
//! * `sql`: statements over tables whose names are known at run time
//! * [`pool`]: connections that are kept, the jobs that run on them, and jobs that hang
//! * [`models`]: Django's two tables
//! * [`views`]: the queries of the two views and of the HTML page
//! * [`inspection`]: what `check` reads
//! * `databases`: the primary and the replica

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use prometheus::Histogram;

use crate::blocking::workers::Workers;
use crate::config::{Backend, DatabaseUrl};

pub mod connection;
mod databases;
pub mod error;
pub mod inspection;
pub mod models;
pub mod pool;
mod sql;
pub mod types;
pub mod views;

use connection::Connection;
use connection::job_kind::JobKind;
use connection::opener::ConnectionOpener;
use connection::session_settings::SessionSettings;
use databases::Databases;
use error::{DbError, ExportError, MayBeDbError};
use models::user_table::UserTable;
use pool::database::{Database, PoolFigures};
use pool::role::Role;
use pool::shared_job::SharedJob;
use pool::task::{REQUEST_TIMEOUT, Task};
use views::exportable_users::DateShape;
use views::months::UsersByMonth;
use views::statistics::Stats;
use views::users_page::{UserPage, UserSearch};

/// Short queries that run at once.
const QUERIES_AT_ONCE: usize = 8;

/// The size of the pool of one database: for short queries and exports, the statistics, the page's two queries, the
/// readiness check, and pings; on SQLite for its one writer, too.
pub fn most_connections(backend: Backend, exports_at_once: usize) -> usize {
    QUERIES_AT_ONCE + exports_at_once + 5 + usize::from(backend == Backend::Sqlite)
}

/// The configuration of a [`Db`].
pub struct DbOptions {
    /// The primary
    pub url: DatabaseUrl,
    /// A replica for exports and statistics
    pub read_url: Option<DatabaseUrl>,
    /// Whether login may write
    pub writable: bool,
    /// `AUTH_USER_MODEL._meta.db_table`
    pub user_table: String,
    /// The column of `USERNAME_FIELD`
    pub username_field: String,
    /// The exported fields that the user model has set to `None`
    pub none_fields: Vec<String>,
    /// Exports that run at once; short queries never wait for them
    pub exports_at_once: usize,
    /// The settings of database sessions
    pub session: SessionSettings,
    /// Gets the seconds that jobs wait for a worker and a connection
    pub waits: Histogram,
}

/// A handle on the database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

/// The name of a failed check, and the reason, for the log.
type Readiness = Result<(), Arc<(&'static str, DbError)>>;

/// A query that scans the user table.
type Scan<T> = SharedJob<Result<T, Arc<ExportError>>>;

struct Shared {
    databases: Databases,
    queries: Arc<Workers>,
    writes: Arc<Workers>,
    exports: Arc<Workers>,
    user_pages: Arc<Workers>,
    stats: Scan<Stats>,
    users_by_month: Scan<UsersByMonth>,
    primary_probe: SharedJob<Readiness>,
    replica_probe: SharedJob<Readiness>,
    waits: Histogram,
    statistics_requests: AtomicU64,
    statistics_queries: AtomicU64,
}

impl Db {
    /// A handle on the configured database. It opens no connection before the first query, so the service can start while the
    /// database is unreachable.
    pub fn new(options: DbOptions) -> Db {
        let backend = options.url.backend();
        let size = most_connections(backend, options.exports_at_once);
        let opener = |url: DatabaseUrl, writable| ConnectionOpener {
            url,
            writable,
            settings: options.session.clone(),
        };
        let mut openers = vec![(Role::Primary, opener(options.url, options.writable))];
        openers.extend(
            options
                .read_url
                .map(|url| (Role::Replica, opener(url, false))),
        );
        let pings = Workers::new(options.exports_at_once + 5);
        let mut databases = Database::all(openers, u32::try_from(size).unwrap_or(u32::MAX), &pings);
        let replica = (databases.len() > 1).then(|| databases.remove(1));
        let queries = Workers::new(QUERIES_AT_ONCE);
        // SQLite has one writer at a time; others would retry until they time out.
        let writes = match backend {
            Backend::Sqlite => Workers::new(1),
            Backend::Postgres | Backend::Mysql => Arc::clone(&queries),
        };
        Db {
            shared: Arc::new(Shared {
                databases: Databases {
                    primary: databases.remove(0),
                    replica,
                    table_name: options.user_table,
                    username_field: options.username_field,
                    none_fields: options.none_fields,
                    user_table: OnceLock::new(),
                },
                queries,
                writes,
                exports: Workers::new(options.exports_at_once),
                user_pages: Workers::new(1),
                stats: Scan::new(),
                users_by_month: Scan::new(),
                primary_probe: SharedJob::new(),
                replica_probe: SharedJob::new(),
                waits: options.waits,
                statistics_requests: AtomicU64::new(0),
                statistics_queries: AtomicU64::new(0),
            }),
        }
    }

    /// Runs `job` on the primary. If the connection was dead, runs it once more on another one.
    ///
    /// # Errors
    /// The job's, or [`DbError::Unavailable`] without a connection or an answer before the deadline.
    pub async fn run<T, E>(
        &self,
        deadline: Instant,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let task = Task::new(JobKind::Short, deadline);
        self.run_on(&self.shared.queries, Role::Primary, task, job)
            .await
    }

    /// Runs `job`, which writes, on the primary, once, in a transaction.
    ///
    /// # Errors
    /// As [`Db::run`]. If the connection broke, the job may have been done.
    pub async fn write<T>(
        &self,
        deadline: Instant,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
    {
        let task = Task::new(JobKind::Writes, deadline);
        self.run_on(&self.shared.writes, Role::Primary, task, job)
            .await
    }

    /// Runs `job`, which may take longer than the deadline while it makes progress, on the replica if there is one. The job
    /// increments the counter with its progress.
    ///
    /// # Errors
    /// As [`Db::run`].
    pub async fn export<T, E>(
        &self,
        deadline: Instant,
        job: impl Fn(&mut Connection, &UserTable, &AtomicU64) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let task = Task::new(JobKind::Long, deadline);
        let lifeline = task.lifeline.clone();
        let job = move |connection: &mut Connection, table: &UserTable| {
            job(connection, table, lifeline.progress())
        };
        self.run_on(&self.shared.exports, Role::Replica, task, job)
            .await
    }

    /// A page of the exportable users, for the HTML page.
    ///
    /// # Errors
    /// As [`Db::export`], or the view's.
    pub async fn user_page(
        &self,
        deadline: Instant,
        dates: &DateShape,
        search: UserSearch,
    ) -> Result<UserPage, ExportError> {
        let task = Task::new(JobKind::Long, deadline);
        let dates = dates.clone();
        let job = move |connection: &mut Connection, table: &UserTable| {
            table.user_page(connection, &dates, &search)
        };
        self.run_on(&self.shared.user_pages, Role::Replica, task, job)
            .await
    }

    async fn run_on<T, E>(
        &self,
        workers: &Arc<Workers>,
        role: Role,
        task: Task,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let database = self.shared.databases.of(role);
        database.refuse_if_down()?;
        let (shared, limits) = (Arc::clone(&self.shared), task.clone());
        let began = Instant::now();
        let answer = workers.start(move || {
            // A job that runs again on another connection is counted once.
            let is_counted = Cell::new(false);
            shared.databases.run(role, &limits, &|connection, table| {
                if !is_counted.replace(true) {
                    shared.waits.observe(began.elapsed().as_secs_f64());
                }
                job(connection, table)
            })
        });
        let answer = database.supervise(task, answer).await;
        answer.unwrap_or_else(|| Err(no_answer().into()))
    }

    /// The three counts, by a query that began after this call. Callers who wait while a query runs share the next one.
    ///
    /// # Errors
    /// As [`Db::export`], or the view's.
    pub async fn stats(&self, deadline: Instant) -> Result<Stats, Arc<ExportError>> {
        let shared = Arc::clone(&self.shared);
        shared.statistics_requests.fetch_add(1, Ordering::Relaxed);
        let stats = move |connection: &mut Connection, table: &UserTable| {
            shared.statistics_queries.fetch_add(1, Ordering::Relaxed);
            table.stats(connection)
        };
        self.scan(&self.shared.stats, deadline, stats).await
    }

    /// Active users by month, for the HTML page; shared as [`Db::stats`] is.
    ///
    /// # Errors
    /// As [`Db::stats`].
    pub async fn users_by_month(
        &self,
        deadline: Instant,
    ) -> Result<UsersByMonth, Arc<ExportError>> {
        let job = |connection: &mut Connection, table: &UserTable| table.users_by_month(connection);
        self.scan(&self.shared.users_by_month, deadline, job).await
    }

    async fn scan<T: Clone + Send + 'static>(
        &self,
        scan: &Scan<T>,
        deadline: Instant,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, ExportError> + Send + 'static,
    ) -> Result<T, Arc<ExportError>> {
        let database = self.shared.databases.of(Role::Replica);
        database
            .refuse_if_down()
            .map_err(|error| Arc::new(error.into()))?;
        let shared = Arc::clone(&self.shared);
        let run = move |task: &Task| {
            shared
                .databases
                .run(Role::Replica, task, &job)
                .map_err(Arc::new)
        };
        let answer = scan.ask(database, JobKind::Long, deadline, run).await;
        answer.unwrap_or_else(|| Err(Arc::new(no_answer().into())))
    }

    /// The number of requests for statistics, and the number of queries that answered them.
    pub fn statistics_figures(&self) -> (u64, u64) {
        let Shared {
            statistics_requests,
            statistics_queries,
            ..
        } = &*self.shared;
        (
            statistics_requests.load(Ordering::Relaxed),
            statistics_queries.load(Ordering::Relaxed),
        )
    }

    /// Whether the primary answers and has both tables, and the replica has the exported columns, for `readyz`.
    ///
    /// # Errors
    /// The name of the first check that fails, and the reason, for the log.
    pub async fn ready(&self) -> Result<(), Arc<(&'static str, DbError)>> {
        let Shared {
            primary_probe,
            replica_probe,
            databases,
            ..
        } = &*self.shared;
        self.probe(Role::Primary, primary_probe).await?;
        match databases.replica {
            Some(_) => self.probe(Role::Replica, replica_probe).await,
            None => Ok(()),
        }
    }

    async fn probe(&self, role: Role, probe: &SharedJob<Readiness>) -> Readiness {
        let outage = |error| Arc::new((role.check(), error));
        let database = self.shared.databases.of(role);
        database.refuse_if_down().map_err(outage)?;
        let shared = Arc::clone(&self.shared);
        let run = move |task: &Task| shared.databases.probe(role, task).map_err(Arc::new);
        let deadline = pool::task::deadline();
        let answer = probe.ask(database, JobKind::Short, deadline, run).await;
        answer.unwrap_or_else(|| Err(outage(no_answer())))
    }

    /// The figures of each pool.
    pub fn pools(&self) -> Vec<PoolFigures> {
        let databases = self.shared.databases.all();
        databases.map(|database| database.figures()).collect()
    }

    /// Opens no more connections, and waits up to a second for an attempt to end. The process must not end during an attempt,
    /// since a client library's clean-up would run beside it. Blocks.
    pub fn close(&self) {
        self.shared
            .databases
            .all()
            .for_each(|database| database.close());
    }
}

fn no_answer() -> DbError {
    let seconds = REQUEST_TIMEOUT.as_secs();
    DbError::Unavailable(format!("no answer within {seconds} seconds, or a panic"))
}
