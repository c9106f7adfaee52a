//! One database: its circuit, its generations of workers, and the jobs that run on it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::lane::Lane;
use super::role::Role;
use super::sockets::{Socket, sockets_to};
use super::state::State;
use crate::blocking::pending_job::{Callers, PendingJob};
use crate::blocking::workers::Workers;
use crate::config::Backend;
use crate::db::connection::opener::ConnectionOpener;
use crate::db::error::DbError;
use crate::telemetry::RateLimitedLog;
use crate::telemetry::metrics::DatabaseFigures;

/// How many replaced generations may have running workers. With more, the circuit stays open. Where sockets can be shut down,
/// their workers end at once.
const MOST_GENERATIONS: usize = 3;

/// A database, its connections, and its workers.
pub(crate) struct Database {
    role: Role,
    pub(super) opener: ConnectionOpener,
    /// The most connections
    pub(super) size: usize,
    queries: usize,
    exports: usize,
    state: Mutex<State>,
    /// The other database, if it has one of this one's ports: its sockets are shut down together with this one's
    sibling: OnceLock<Weak<Database>>,
    /// A connection was opened or has come back, or the circuit has opened or closed
    pub(super) changed: Condvar,
    pub(super) log: RateLimitedLog,
}

impl Database {
    /// A database without connections, with this many workers for short queries and for exports.
    pub(crate) fn new(
        role: Role,
        opener: ConnectionOpener,
        size: usize,
        [queries, exports]: [usize; 2],
    ) -> Arc<Database> {
        Arc::new(Database {
            role,
            opener,
            size,
            queries,
            exports,
            state: Mutex::new(State::new(Generation::new(0, queries, exports))),
            sibling: OnceLock::new(),
            changed: Condvar::new(),
            log: RateLimitedLog::default(),
        })
    }

    /// Tells two databases of each other.
    pub(crate) fn link(self: &Arc<Self>, other: &Arc<Database>) {
        let ports = self.opener.url.ports();
        let shares_port = other
            .opener
            .url
            .ports()
            .iter()
            .any(|port| ports.contains(port));
        if shares_port {
            // Each has one other at most.
            let _ = self.sibling.set(Arc::downgrade(other));
            let _ = other.sibling.set(Arc::downgrade(self));
        }
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
        match state.is_suspect && !self.is_file() {
            true => Err(state.unavailable()),
            false => Ok(Arc::clone(state.generation.workers(lane))),
        }
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
        if let Some(sibling) = self.sibling.get().and_then(Weak::upgrade) {
            sibling.lose_connections();
        }
    }

    /// Drops the idle connections, whose sockets are shut down, and attempts to connect at once. Running jobs find their
    /// connections broken, and run once more.
    fn lose_connections(self: &Arc<Self>) {
        let mut state = self.lock();
        let idle = std::mem::take(&mut state.idle);
        if !idle.is_empty() {
            self.connect(&mut state);
        }
        drop(state);
        drop(idle);
    }

    /// Closes the circuit after an answer, unless the threads of too many generations still hang.
    pub(super) fn close_circuit(&self, state: &mut State) {
        state.replaced.retain(|generation| generation.busy() > 0);
        if state.is_suspect && state.replaced.len() < MOST_GENERATIONS {
            state.is_suspect = false;
            state.probe_sockets = (Instant::now(), self.sockets());
        }
    }

    /// Whether it is an SQLite file.
    pub(super) fn is_file(&self) -> bool {
        self.opener.url.backend() == Backend::Sqlite
    }

    /// The sockets that lead to the database.
    pub(super) fn sockets(&self) -> Vec<Socket> {
        match self.is_file() {
            true => Vec::new(),
            false => sockets_to(&self.opener.url.ports()),
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
