//! The Django application's database: connections, the queries over its two tables, and the session store.
//!
//! Everything that differs between SQLite, PostgreSQL and MySQL, or between one project's user table and another's,
//! stays inside this folder. Queries run on the blocking pool, never on an Actix worker thread.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as Moment};

use prometheus::Histogram;

use crate::blocking::{Lanes, SharedQuery};
use crate::config::{Backend, DatabaseUrl};

mod catalogue;
mod comparison;
mod connection;
mod error;
mod exportable;
mod exported_row;
mod fragments;
pub mod inspection;
#[cfg(feature = "mysql")]
mod mysql_export;
mod overview;
mod reports;
mod role;
mod schema;
mod search;
mod sessions;
mod sockets;
mod source;
mod supervision;
mod types;
mod users;
mod values;

pub use catalogue::UserTable;
pub use connection::{Connection, SessionSettings};
pub use error::{DbError, ExportError, MayBeDbError};
pub use exportable::{DateShape, KeyPage, Order, Selection, Stats};
pub use exported_row::{JSON_ADDS, Value, values, write_json};
pub use overview::{Joined, Lookup, Month, Place, Preview};
pub use sessions::{DjangoSessionStore, SessionRow, new_session_key};
pub use types::{Clock, Instant};
pub use users::User;
pub use values::ValueError;

use connection::ConnectionOpener;
use sockets::{Lifeline, UnderWay};
use source::{JobKind, Source, Task};

/// How long a request waits for turns, connections and the rows of a few keys, all together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Until when a request that comes in now may wait for the database. All that it asks has this one deadline.
pub fn deadline() -> Moment {
    Moment::now() + PATIENCE
}

/// Short queries that run at once.
const QUERIES_AT_ONCE: usize = 8;

/// The most connections that are kept to a database: for short queries and exports, the statistics, the page's two
/// questions, the readiness check, and signs of life; on SQLite for its one writer as well.
pub fn most_connections(backend: Backend, exports_at_once: usize) -> usize {
    QUERIES_AT_ONCE + exports_at_once + 5 + usize::from(backend == Backend::Sqlite)
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
    /// The exported fields that the user model has set to `None`
    pub none_fields: Vec<String>,
    /// Exports that run at once; they keep no short query from running.
    pub exports_at_once: usize,
    /// How a session is set
    pub session: SessionSettings,
    /// Notes how long callers wait for a turn and a connection, in seconds
    pub waits: Histogram,
}

/// What there is of a pool's connections.
pub struct PoolFigures {
    /// `primary` or `replica`
    pub database: &'static str,
    /// Whether it is not known to be away
    pub is_up: bool,
    /// Open and unused
    pub idle: u32,
    /// Open and used
    pub used: u32,
    /// The most there will be
    pub most: u32,
}

/// A handle on the database, cheap to clone. Making one connects to nothing: the service starts while it is away.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

/// Of a failed check its name, and why (for the log).
type Readiness = Result<(), Arc<(&'static str, DbError)>>;

struct Shared {
    primary: Source,
    replica: Option<Source>,
    queries: Arc<Lanes>,
    writes: Arc<Lanes>,
    /// What those ask who watch over jobs: one each of the exports, the statistics, the page and the readiness checks
    questions: Arc<Lanes>,
    exports: Arc<Lanes>,
    user_table: String,
    username_field: String,
    none_fields: Vec<String>,
    catalogue: OnceLock<UserTable>,
    stats: Scan<Stats>,
    joined: Scan<Joined>,
    previews: Arc<Lanes>,
    primary_probe: Probe,
    replica_probe: Probe,
    waits: Histogram,
    statistics_questions: AtomicU64,
    statistics_queries: AtomicU64,
}

/// One question for all who ask it at the same time.
struct Shareable<T> {
    query: Arc<SharedQuery<T>>,
    lifeline: Lifeline,
}

/// A readiness check.
type Probe = Shareable<Readiness>;

/// A query that reads the whole user table.
type Scan<T> = Shareable<Result<T, Arc<ExportError>>>;

impl<T: Clone + Send + 'static> Shareable<T> {
    fn new() -> Shareable<T> {
        Shareable {
            query: SharedQuery::new(),
            lifeline: Lifeline::default(),
        }
    }
}

/// Where a job runs.
#[derive(Clone, Copy)]
enum At {
    /// Where it is decided who is calling
    Primary,
    /// Where exports and statistics are read
    Replica,
}

impl At {
    /// What its being away is called by readyz.
    fn check(self) -> &'static str {
        match self {
            At::Primary => "database",
            At::Replica => "replica",
        }
    }
}

impl Db {
    /// Pools of connections that are opened when they are first needed.
    pub fn new(options: DbOptions) -> Db {
        let urls = [Some(&options.url), options.read_url.as_ref()];
        let ports = urls.into_iter().flatten().flat_map(DatabaseUrl::ports);
        let under_way = UnderWay::new(ports.collect());
        let source = |at: At, url: DatabaseUrl, writable| {
            let size = most_connections(url.backend(), options.exports_at_once);
            let opener = ConnectionOpener {
                url,
                writable,
                settings: options.session.clone(),
            };
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            Source::new(at.check(), opener, size, &under_way)
        };
        let queries = Lanes::new(QUERIES_AT_ONCE);
        // SQLite has one writer at a time, and lets the others try again and again.
        let writes = match options.url.backend() {
            Backend::Sqlite => Lanes::new(1),
            Backend::Postgres | Backend::Mysql => Arc::clone(&queries),
        };
        Db {
            shared: Arc::new(Shared {
                primary: source(At::Primary, options.url, options.writable),
                replica: options.read_url.map(|url| source(At::Replica, url, false)),
                queries,
                writes,
                questions: Lanes::new(options.exports_at_once + 5),
                exports: Lanes::new(options.exports_at_once),
                user_table: options.user_table,
                username_field: options.username_field,
                none_fields: options.none_fields,
                catalogue: OnceLock::new(),
                stats: Scan::new(),
                joined: Scan::new(),
                previews: Lanes::new(1),
                primary_probe: Probe::new(),
                replica_probe: Probe::new(),
                waits: options.waits,
                statistics_questions: AtomicU64::new(0),
                statistics_queries: AtomicU64::new(0),
            }),
        }
    }

    /// Runs `job` on the primary, on the blocking pool. When the connection turns out to be dead, once more on another.
    ///
    /// # Errors
    /// The job's, or that no connection was to be had.
    pub async fn run<T, E>(
        &self,
        deadline: Moment,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let task = Task::new(JobKind::Short, deadline, Lifeline::default());
        self.in_lane(&self.shared.queries, At::Primary, task, job)
            .await
    }

    /// Runs `job`, which writes, on the primary, once, in a transaction.
    ///
    /// # Errors
    /// As [`Db::run`]; after a broken connection nobody knows whether the job was done.
    pub async fn write<T>(
        &self,
        deadline: Moment,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
    {
        let task = Task::new(JobKind::Writes, deadline, Lifeline::default());
        self.in_lane(&self.shared.writes, At::Primary, task, job)
            .await
    }

    /// As [`Db::run`], for a job that takes its time, on the replica where there is one. The job counts while it gets on.
    ///
    /// # Errors
    /// As [`Db::run`].
    pub async fn export<T, E>(
        &self,
        deadline: Moment,
        job: impl Fn(&mut Connection, &UserTable, &AtomicU64) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        let task = Task::new(JobKind::Long, deadline, Lifeline::default());
        let lifeline = task.lifeline.clone();
        let job = move |connection: &mut Connection, table: &UserTable| {
            job(connection, table, lifeline.progress())
        };
        self.in_lane(&self.shared.exports, At::Replica, task, job)
            .await
    }

    async fn in_lane<T, E>(
        &self,
        lanes: &Arc<Lanes>,
        at: At,
        task: Task,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: MayBeDbError + Send + 'static,
    {
        self.refuse_if_down(at)?;
        let (shared, limits) = (Arc::clone(&self.shared), task.clone());
        let began = Moment::now();
        let answer = lanes.start(move || {
            // A job that is run again has not waited again.
            let has_waited = Cell::new(false);
            shared.with_table(at, &limits, &|connection, table| {
                if !has_waited.replace(true) {
                    shared.waits.observe(began.elapsed().as_secs_f64());
                }
                job(connection, table)
            })
        });
        let answer = self.supervise(at, task, answer).await;
        answer.unwrap_or_else(|| Err(no_answer().into()))
    }

    /// Whether the database answers and holds both tables, and the replica what is exported, for `readyz`.
    ///
    /// # Errors
    /// The name of the first check that fails, and why (for the log).
    pub async fn ready(&self) -> Result<(), Arc<(&'static str, DbError)>> {
        self.probe(At::Primary, &self.shared.primary_probe).await?;
        match self.shared.replica {
            Some(_) => self.probe(At::Replica, &self.shared.replica_probe).await,
            None => Ok(()),
        }
    }

    async fn probe(&self, at: At, probe: &Probe) -> Readiness {
        let outage = |error| Arc::new((at.check(), error));
        self.refuse_if_down(at).map_err(outage)?;
        let lifeline = probe.lifeline.clone();
        let task = Task::new(JobKind::Short, deadline(), lifeline.clone());
        let shared = Arc::clone(&self.shared);
        let answer = probe.query.ask(move || {
            // For those who ask meanwhile, too.
            let limits = Task::new(JobKind::Short, deadline(), lifeline);
            limits.lifeline.begin(limits.deadline);
            shared.ready(at, &limits).map_err(Arc::new)
        });
        let answer = self.supervise(at, task, answer).await;
        answer.unwrap_or_else(|| Err(outage(no_answer())))
    }

    /// What there is of each pool.
    pub fn pools(&self) -> Vec<PoolFigures> {
        let replica = self.shared.replica.as_ref();
        let sources = [
            ("primary", Some(&self.shared.primary)),
            ("replica", replica),
        ];
        let there = sources
            .into_iter()
            .filter_map(|(name, source)| Some((name, source?)));
        there.map(|(name, source)| source.figures(name)).collect()
    }

    /// Makes no more connections, and waits a little for an attempt that is under way: at the end of the process, whose
    /// clean-up a client library must not be met by. Blocking.
    pub fn close(&self) {
        for source in [Some(&self.shared.primary), self.shared.replica.as_ref()] {
            source.into_iter().for_each(Source::close);
        }
    }
}

impl Shared {
    fn source(&self, at: At) -> &Source {
        match (at, &self.replica) {
            (At::Replica, Some(replica)) => replica,
            _ => &self.primary,
        }
    }

    fn with_table<T, E: MayBeDbError>(
        &self,
        at: At,
        task: &Task,
        job: &dyn Fn(&mut Connection, &UserTable) -> Result<T, E>,
    ) -> Result<T, E> {
        let table = self.table(at, task)?;
        self.source(at)
            .run(task, &|connection| job(connection, table))
    }

    fn ready(&self, at: At, task: &Task) -> Result<(), (&'static str, DbError)> {
        let failed = |check| {
            move |error| match (at, error) {
                (At::Primary, error @ (DbError::Refused(_) | DbError::Schema(_))) => (check, error),
                (_, error) => (at.check(), error),
            }
        };
        // Known once, it is not asked for again: the columns that are read show themselves whether they are there.
        let table = self.table(at, task).map_err(failed("user_table"))?;
        let source = self.source(at);
        let users = |connection: &mut Connection| {
            if let At::Primary = at {
                table.probe(connection)?;
            }
            table.probe_export(connection)
        };
        source.run(task, &users).map_err(failed("user_table"))?;
        match at {
            At::Primary => source
                .run(task, &sessions::probe)
                .map_err(failed("django_session")),
            At::Replica => Ok(()),
        }
    }

    /// The user table's catalogue entry: read once, when the database is first reached.
    fn table(&self, at: At, task: &Task) -> Result<&UserTable, DbError> {
        if let Some(table) = self.catalogue.get() {
            return Ok(table);
        }
        let (table, excess) = self.source(at).run(&task.preparing(), &|connection| {
            let (name, username) = (&self.user_table, &self.username_field);
            let table = UserTable::load(connection, name, username, &self.none_fields)?;
            let excess = role::excess(connection, &table);
            Ok::<_, DbError>((table, excess))
        })?;
        Ok(self.catalogue.get_or_init(|| {
            role::warn(excess);
            table
        }))
    }
}

fn no_answer() -> DbError {
    let seconds = PATIENCE.as_secs();
    DbError::Unavailable(format!("no answer within {seconds} seconds, or a panic"))
}
