//! The Django application's database: connections, the queries over its tables, and [`Db`], through which the rest of the
//! program runs them.
//!
//! All differences between SQLite, PostgreSQL and MySQL, and between one project's user table and another's, stay inside this
//! folder. Queries run on threads of their own, never on an Actix worker thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use prometheus::Histogram;

use crate::blocking::shared_query::SharedQuery;
use crate::config::{Backend, Config, DatabaseUrl};
use crate::telemetry::metrics::DatabaseFigures;

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
use models::user_table::{UserModel, UserTable};
use pool::database::Database;
use pool::lane::Lane;
use pool::role::Role;
use pool::task::{Limits, Task};
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

/// A handle on the database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

/// The name of a failed check, and the reason, for the log.
type FailedCheck = (&'static str, DbError);

/// A query for several callers, which get its result or the same error.
type Shareable<T, E> = Arc<SharedQuery<Result<T, Arc<E>>>>;

struct Shared {
    databases: Databases,
    writes: Lane,
    stats: Shareable<Stats, ExportError>,
    users_by_month: Shareable<UsersByMonth, ExportError>,
    primary_probe: Shareable<(), FailedCheck>,
    replica_probe: Shareable<(), FailedCheck>,
    waits: Histogram,
    statistics_requests: AtomicU64,
    statistics_queries: AtomicU64,
}

impl Db {
    /// A handle on the configured database. It opens no connection before the first query, so the service can start while the
    /// database is unreachable. `waits` gets the seconds that jobs wait for a worker and a connection.
    pub fn new(config: &Config, waits: Histogram) -> Db {
        let backend = config.database_url.backend();
        let size = most_connections(backend, config.export_concurrency);
        let settings = SessionSettings::new(config.prepared_statements, &config.django);
        let database = |role, url: &DatabaseUrl, writable| {
            let opener = ConnectionOpener {
                url: url.clone(),
                writable,
                settings: settings.clone(),
            };
            let workers = [QUERIES_AT_ONCE, config.export_concurrency];
            Database::new(role, opener, size, workers)
        };
        let primary = database(Role::Primary, &config.database_url, config.login);
        let replica = config.database_read_url.as_ref();
        let replica = replica.map(|url| database(Role::Replica, url, false));
        if let Some(replica) = &replica {
            primary.link(replica);
        }
        Db {
            shared: Arc::new(Shared {
                databases: Databases {
                    primary,
                    replica,
                    user_model: UserModel::of(config),
                    user_table: OnceLock::new(),
                },
                writes: match backend {
                    Backend::Sqlite => Lane::Writes,
                    Backend::Postgres | Backend::Mysql => Lane::Queries,
                },
                stats: Arc::default(),
                users_by_month: Arc::default(),
                primary_probe: Arc::default(),
                replica_probe: Arc::default(),
                waits,
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
        let limits = Limits::new(JobKind::Short, deadline);
        self.run_on(Role::Primary, Lane::Queries, limits, job).await
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
        let limits = Limits::new(JobKind::Writes, deadline);
        self.run_on(Role::Primary, self.shared.writes, limits, job)
            .await
    }

    /// Runs `job`, which may take longer than the deadline while it makes progress, on the replica if there is one. The job
    /// increments the counter with its progress.
    pub async fn export<T, E>(
        &self,
        deadline: Instant,
        job: impl Fn(&mut Connection, &UserTable, &AtomicU64) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let limits = Limits::new(JobKind::Long, deadline);
        let rows = Arc::clone(&limits.rows);
        let job =
            move |connection: &mut Connection, table: &UserTable| job(connection, table, &rows);
        self.run_on(Role::Replica, Lane::Exports, limits, job).await
    }

    /// A page of the exportable users, for the HTML page.
    pub async fn user_page(
        &self,
        deadline: Instant,
        search: UserSearch,
    ) -> Result<UserPage, ExportError> {
        let limits = Limits::new(JobKind::Long, deadline);
        let job = move |connection: &mut Connection, table: &UserTable| {
            table.user_page(connection, &search)
        };
        self.run_on(Role::Replica, Lane::UserPages, limits, job)
            .await
    }

    async fn run_on<T, E>(
        &self,
        role: Role,
        lane: Lane,
        limits: Limits,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let database = self.shared.databases.of(role);
        let shared = Arc::clone(&self.shared);
        let (began, for_job) = (Instant::now(), limits.clone());
        let pending = database.start(lane, move |callers| {
            // A job that runs again on another connection is counted once.
            let is_counted = Cell::new(false);
            let task = for_job.task(callers);
            shared.databases.run(role, &task, &|connection, table| {
                if !is_counted.replace(true) {
                    shared.waits.observe(began.elapsed().as_secs_f64());
                }
                job(connection, table)
            })
        })?;
        limits.result(pending).await?
    }

    /// The three counts, by a query that began after this call. Callers who wait while a query runs share the next one.
    pub async fn stats(&self, deadline: Instant) -> Result<Stats, Arc<ExportError>> {
        let shared = Arc::clone(&self.shared);
        shared.statistics_requests.fetch_add(1, Ordering::Relaxed);
        let stats = move |connection: &mut Connection, table: &UserTable| {
            shared.statistics_queries.fetch_add(1, Ordering::Relaxed);
            table.stats(connection)
        };
        self.scan(&self.shared.stats, Lane::Statistics, deadline, stats)
            .await
    }

    /// Active users by month, for the HTML page; shared as [`Db::stats`] is.
    pub async fn users_by_month(
        &self,
        deadline: Instant,
    ) -> Result<UsersByMonth, Arc<ExportError>> {
        let job = |connection: &mut Connection, table: &UserTable| table.users_by_month(connection);
        self.scan(&self.shared.users_by_month, Lane::Months, deadline, job)
            .await
    }

    async fn scan<T: Clone + Send + 'static>(
        &self,
        scan: &Shareable<T, ExportError>,
        lane: Lane,
        deadline: Instant,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, ExportError> + Send + 'static,
    ) -> Result<T, Arc<ExportError>> {
        let run =
            move |databases: &Databases, task: &Task| databases.run(Role::Replica, task, &job);
        let limits = Limits::new(JobKind::Long, deadline);
        self.share(scan, Role::Replica, lane, limits, run, |error| error.into())
            .await
    }

    /// The result of a run that begins after this call, whose callers share it.
    async fn share<T, E>(
        &self,
        query: &Shareable<T, E>,
        role: Role,
        lane: Lane,
        limits: Limits,
        run: impl FnOnce(&Databases, &Task) -> Result<T, E> + Send + 'static,
        unavailable: impl Fn(DbError) -> E,
    ) -> Result<T, Arc<E>>
    where
        T: Clone + Send + 'static,
        E: Send + Sync + 'static,
    {
        let unavailable = |error| Arc::new(unavailable(error));
        let database = self.shared.databases.of(role);
        let workers = database.workers(lane).map_err(&unavailable)?;
        let pending = query.join(limits.deadline);
        let (shared, turn) = (Arc::clone(&self.shared), query.turn());
        let kind = limits.kind;
        workers.queue(move || {
            turn.run(|callers, deadline| {
                let limits = Limits::new(kind, deadline);
                run(&shared.databases, &limits.task(callers)).map_err(Arc::new)
            });
        });
        limits.result(pending).await.map_err(unavailable)?
    }

    /// The number of requests for statistics, and the number of queries that answered them.
    pub fn statistics_figures(&self) -> (u64, u64) {
        let shared = &self.shared;
        let counts = [&shared.statistics_requests, &shared.statistics_queries];
        counts.map(|count| count.load(Ordering::Relaxed)).into()
    }

    /// Whether the primary answers and has both tables, and the replica has the exported columns, for `readyz`.
    ///
    /// # Errors
    /// The name of the first check that fails, and the reason, for the log.
    pub async fn ready(&self) -> Result<(), Arc<(&'static str, DbError)>> {
        let (shared, deadline) = (&self.shared, pool::task::deadline());
        self.probe(Role::Primary, &shared.primary_probe, deadline)
            .await?;
        if shared.databases.replica.is_some() {
            self.probe(Role::Replica, &shared.replica_probe, deadline)
                .await?;
        }
        Ok(())
    }

    async fn probe(
        &self,
        role: Role,
        probe: &Shareable<(), FailedCheck>,
        deadline: Instant,
    ) -> Result<(), Arc<FailedCheck>> {
        let limits = Limits::new(JobKind::Short, deadline);
        let run = move |databases: &Databases, task: &Task| databases.probe(role, task);
        let unavailable = |error| (role.check(), error);
        self.share(probe, role, Lane::Readiness, limits, run, unavailable)
            .await
    }

    /// The figures of each database.
    pub fn figures(&self) -> Vec<DatabaseFigures> {
        let databases = self.shared.databases.all();
        databases.map(|database| database.figures()).collect()
    }

    /// Opens no more connections, and waits up to a second for attempts and jobs to end. The process must not end during one,
    /// since a client library's clean-up would run beside it. Blocks.
    pub fn close(&self) {
        self.shared
            .databases
            .all()
            .for_each(|database| database.close());
    }
}
