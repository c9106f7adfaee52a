//! One database: its circuit, its generations of workers, and the jobs that run on it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connections::{CONNECT_TIMEOUT, Lease, Pooled, Used};
use super::generation::Generation;
use super::lane::Lane;
use super::role::Role;
use super::sockets::{Socket, sockets_to};
use super::task::Task;
use crate::blocking::pending_job::{Callers, PendingJob};
use crate::blocking::workers::Workers;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::connection::job_kind::JobKind;
use crate::db::connection::opener::ConnectionOpener;
use crate::db::error::{DbError, MayBeDbError};
use crate::telemetry::RateLimitedLog;
use crate::telemetry::metrics::DatabaseFigures;

/// How many replaced generations may have running workers. With more, the circuit stays open. Where sockets can be shut down,
/// their workers end at once.
const MOST_GENERATIONS: usize = 3;

/// How long the retry of a job that ran beyond its deadline may wait for a connection.
const LATE_RETRY: Duration = Duration::from_secs(1);

/// A database, its connections, and its workers.
pub(crate) struct Database {
    role: Role,
    pub(super) opener: ConnectionOpener,
    /// The most connections
    pub(super) size: usize,
    queries: usize,
    exports: usize,
    state: Mutex<State>,
    /// A connection was opened or has come back, or the circuit has opened or closed
    pub(super) changed: Condvar,
    pub(super) log: RateLimitedLog,
}

/// What changes while the database is used.
pub(super) struct State {
    pub(super) generation: Arc<Generation>,
    replaced: Vec<Arc<Generation>>,
    /// The circuit is open: the database hangs, or can't be connected to
    pub(super) is_suspect: bool,
    /// Why it is, for the log
    pub(super) reason: String,
    pub(super) is_closed: bool,
    pub(super) is_watched: bool,
    pub(super) idle: Vec<Pooled>,
    pub(super) used: Vec<Used>,
    pub(super) leases: u64,
    /// Jobs that wait for a connection
    pub(super) waiting: usize,
    /// Attempts to connect that are under way
    pub(super) attempts: usize,
    pub(super) attempts_made: u64,
    pub(super) latest_attempt: Instant,
    /// Since when attempts are under way without a result
    pub(super) attempts_quiet_since: Instant,
    pub(super) connect_timeout: Duration,
    /// When the ping was sent that is not answered yet
    pub(super) ping: Option<Instant>,
    pub(super) latest_ping: Option<Instant>,
    pub(super) pings: u64,
    pub(super) overruns: u64,
}

impl State {
    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.idle.len() + self.used.len() + usize::from(self.ping.is_some())
    }

    /// The error of a job while the circuit is open.
    pub(super) fn unavailable(&self) -> DbError {
        DbError::Unavailable(self.reason.clone())
    }
}

impl Database {
    /// A database without connections, with this many workers for short queries and for exports.
    pub(crate) fn new(
        role: Role,
        opener: ConnectionOpener,
        size: usize,
        [queries, exports]: [usize; 2],
    ) -> Arc<Database> {
        let now = Instant::now();
        Arc::new(Database {
            role,
            opener,
            size,
            queries,
            exports,
            state: Mutex::new(State {
                generation: Generation::new(0, queries, exports),
                replaced: Vec::new(),
                is_suspect: false,
                reason: String::new(),
                is_closed: false,
                is_watched: false,
                idle: Vec::new(),
                used: Vec::new(),
                leases: 0,
                waiting: 0,
                attempts: 0,
                attempts_made: 0,
                latest_attempt: now,
                attempts_quiet_since: now,
                connect_timeout: CONNECT_TIMEOUT,
                ping: None,
                latest_ping: None,
                pings: 0,
                overruns: 0,
            }),
            changed: Condvar::new(),
            log: RateLimitedLog::default(),
        })
    }

    /// Queues `job` in a lane.
    ///
    /// # Errors
    /// The circuit is open.
    pub(crate) fn start<T: Send + 'static>(
        self: &Arc<Self>,
        lane: Lane,
        job: impl FnOnce(&dyn Callers) -> T + Send + 'static,
    ) -> Result<PendingJob<T>, DbError> {
        Ok(self.workers(lane)?.start(job))
    }

    /// The workers of a lane, for a job that tells its callers by itself.
    ///
    /// # Errors
    /// The circuit is open.
    pub(crate) fn workers(self: &Arc<Self>, lane: Lane) -> Result<Arc<Workers>, DbError> {
        let mut state = self.lock();
        self.watch(&mut state);
        match state.is_suspect {
            true => Err(state.unavailable()),
            false => Ok(Arc::clone(state.generation.workers(lane))),
        }
    }

    /// Runs `job`. If its connection broke, runs it once more on another one, unless it writes, its callers have left, or its
    /// deadline has passed. Blocks.
    ///
    /// # Errors
    /// The job's, or [`DbError::Unavailable`] if there was no connection before the deadline.
    pub(crate) fn run<T, E: MayBeDbError>(
        self: &Arc<Self>,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let writes = task.kind == JobKind::Writes;
        if writes && self.opener.url.backend() == Backend::Sqlite {
            return self.write_to_file(task, job);
        }
        // A job that writes runs once, on a connection that has answered a ping: if the answer is lost, the write may have
        // succeeded.
        let mut lease = self.take(task, false, writes)?;
        if let Some(result) = self.run_on(&mut lease, task, job) {
            return result;
        }
        drop(lease);
        let may_retry = !writes && task.callers.are_waiting();
        // A job that reads a whole table may run beyond its deadline.
        let deadline = match task.kind {
            JobKind::Long => task.deadline.max(Instant::now() + LATE_RETRY),
            JobKind::Short | JobKind::Writes => task.deadline,
        };
        if may_retry && Instant::now() < deadline {
            let task = Task { deadline, ..*task };
            // After a restart of the server every idle connection is dead.
            let mut lease = self.take(&task, true, true)?;
            if let Some(result) = self.run_on(&mut lease, &task, job) {
                return result;
            }
        }
        Err(DbError::Unavailable("the connection broke".into()).into())
    }

    /// Runs `job` once; `None` if the connection broke.
    fn run_on<T, E: MayBeDbError>(
        &self,
        lease: &mut Lease,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let left = task.deadline.saturating_duration_since(Instant::now());
        let connection = lease.connection();
        let (result, may_stay) = connection.run(&self.opener.settings, task.kind, left, job);
        if result.is_err() && !connection.is_alive() {
            lease.is_broken = true;
            return None;
        }
        lease.is_broken = !may_stay;
        Some(result)
    }

    /// Runs a job that writes on a new connection. SQLite opens a file without a word for reading alone where it may not be
    /// written, so a connection from that time would refuse each later write.
    fn write_to_file<T, E: MayBeDbError>(
        &self,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.opener.establish(CONNECT_TIMEOUT);
        let mut connection = opened.map_err(|error| DbError::Unavailable(error.to_string()))?;
        task.callers.begin();
        let left = task.deadline.saturating_duration_since(Instant::now());
        connection
            .run(&self.opener.settings, task.kind, left, job)
            .0
    }

    /// Opens the circuit and replaces the generation: shuts down every socket that leads to the database, so that each hung
    /// job ends with an error, and drops all queued jobs and idle connections.
    pub(super) fn replace_generation(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let number = state.generation.number + 1;
        let next = Generation::new(number, self.queries, self.exports);
        let old = std::mem::replace(&mut state.generation, next);
        let idle = std::mem::take(&mut state.idle);
        state.used.clear();
        state.ping = None;
        state.is_suspect = true;
        state.reason = "it does not answer".to_owned();
        state.replaced.push(Arc::clone(&old));
        self.changed.notify_all();
        drop(state);
        self.log.every_minute(
            log::Level::Warn,
            module_path!(),
            format_args!(
                "the {} hangs: answering 503 until it answers",
                self.role.name()
            ),
        );
        old.close();
        self.sockets().into_iter().for_each(Socket::shut_down);
        drop(idle);
        self.connect(&mut self.lock());
    }

    /// Closes the circuit after an answer, unless the threads of too many generations still hang.
    pub(super) fn close_circuit(&self, state: &mut State) {
        state.replaced.retain(|generation| generation.busy() > 0);
        if state.is_suspect && state.replaced.len() < MOST_GENERATIONS {
            state.is_suspect = false;
        }
    }

    /// The sockets that lead to the database.
    pub(super) fn sockets(&self) -> Vec<Socket> {
        match self.opener.url.backend() {
            Backend::Sqlite => Vec::new(),
            Backend::Postgres | Backend::Mysql => sockets_to(&self.opener.url.ports()),
        }
    }

    /// The figures for metrics.
    pub(crate) fn figures(&self) -> DatabaseFigures {
        let mut state = self.lock();
        state.replaced.retain(|generation| generation.busy() > 0);
        DatabaseFigures {
            database: self.role.name(),
            is_suspect: state.is_suspect,
            idle: state.idle.len(),
            used: state.open() - state.idle.len(),
            most: self.size,
            generation: state.generation.number,
            pings: state.pings,
            overruns: state.overruns,
            abandoned_workers: state.replaced.iter().map(|old| old.busy()).sum(),
        }
    }

    /// Opens no more connections, ends attempts and jobs that hang, and waits up to a second for their end. Blocks.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.is_suspect = true;
        state.reason = "shutting down".to_owned();
        state.generation.close();
        self.sockets().into_iter().for_each(Socket::shut_down);
        let is_busy = |state: &mut State| state.attempts > 0 || !state.used.is_empty();
        let second = Duration::from_secs(1);
        let waited = self.changed.wait_timeout_while(state, second, is_busy);
        drop(waited);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
