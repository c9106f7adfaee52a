//! The connections of a database: how a job gets one, and how they are opened.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::database::Database;
use super::state::{CONNECT_TIMEOUT, Pooled, SLOW_CONNECT_TIMEOUT, State, Used};
use super::task::Task;
use crate::db::connection::Connection;
use crate::db::error::DbError;

/// An attempt that fails within this time is repeated at once: an operator may end a session as it begins.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a job waits for a connection before another one is attempted.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(500);

/// How long a retry waits for the circuit to close.
const GRACE: Duration = Duration::from_millis(250);

/// A connection that a job has taken from the pool. It goes back when this is dropped, unless it is broken.
pub(super) struct Lease<'a> {
    database: &'a Database,
    id: u64,
    // `None` while it is dropped
    pooled: Option<Pooled>,
    pub(super) is_broken: bool,
}

impl Lease<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
        let pooled = self.pooled.as_mut();
        // Only `drop` takes it.
        &mut pooled.expect("a lease has its connection").connection
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(mut pooled) = self.pooled.take() else {
            return;
        };
        // A job that panicked may have left a transaction open without Diesel's knowledge.
        let is_broken = self.is_broken || std::thread::panicking() || pooled.connection.is_broken();
        let mut state = self.database.lock();
        state.used.retain(|used| used.id != self.id);
        pooled.answered = Instant::now();
        let closed = match is_broken || pooled.generation != state.generation.number {
            true => Some(pooled),
            false => {
                state.idle.push(pooled);
                None
            }
        };
        drop(state);
        self.database.changed.notify_one();
        // Closing may send to the server.
        drop(closed);
    }
}

impl Database {
    /// A connection for a job. With `is_verified` it has answered a ping.
    ///
    /// # Errors
    /// There is none before the task's deadline, or the circuit is open.
    pub(super) fn take(
        self: &Arc<Self>,
        task: &Task,
        is_retry: bool,
        is_verified: bool,
    ) -> Result<Lease<'_>, DbError> {
        let fails = Instant::now() + if is_retry { GRACE } else { Duration::ZERO };
        loop {
            let mut lease = self.wait_for_connection(task, fails)?;
            if !is_verified || lease.connection().is_alive() {
                task.callers.begin();
                return Ok(lease);
            }
            lease.is_broken = true;
        }
    }

    fn wait_for_connection(
        self: &Arc<Self>,
        task: &Task,
        fails: Instant,
    ) -> Result<Lease<'_>, DbError> {
        if self.is_file() {
            return self.open_file(task);
        }
        let mut state = self.lock();
        self.watch(&mut state);
        // The generation in which an attempt was under way for this job. It may bring a connection after the circuit has opened.
        let mut awaited = None;
        loop {
            if state.is_suspect
                && fails <= Instant::now()
                && awaited != Some(state.generation.number)
            {
                return Err(state.unavailable());
            }
            if let Some(pooled) = state.idle.pop() {
                return Ok(self.lease(&mut state, pooled, task));
            }
            let now = Instant::now();
            let until = match state.is_suspect && now < fails {
                true => fails,
                false => task.deadline.min(now + ATTEMPT_INTERVAL),
            };
            if task.deadline <= now {
                return Err(DbError::Unavailable(
                    "no connection was free in time".into(),
                ));
            }
            state.waiting += 1;
            if !state.is_suspect {
                if state.attempts < state.waiting {
                    self.connect(&mut state);
                }
                awaited = Some(state.generation.number);
            }
            let waited = self
                .changed
                .wait_timeout(state, until.saturating_duration_since(now));
            // No code that can panic runs under the lock.
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
            if state.attempts == 0 {
                awaited = None;
            }
        }
    }

    /// A connection to an SQLite file. Opening one does not hang, so each job tries for itself.
    fn open_file(self: &Arc<Self>, task: &Task) -> Result<Lease<'_>, DbError> {
        let mut state = self.lock();
        self.watch(&mut state);
        if let Some(pooled) = state.idle.pop() {
            return Ok(self.lease(&mut state, pooled, task));
        }
        drop(state);
        let opened = self.opener.establish(CONNECT_TIMEOUT);
        let mut state = self.lock();
        state.is_suspect = opened.is_err();
        let connection = opened.map_err(|error| DbError::Unavailable(error.to_string()))?;
        let pooled = Pooled::new(connection, state.generation.number);
        Ok(self.lease(&mut state, pooled, task))
    }

    fn lease(&self, state: &mut State, pooled: Pooled, task: &Task) -> Lease<'_> {
        state.leases += 1;
        let used = Used::new(state.leases, &pooled, task);
        state.used.push(used);
        Lease {
            database: self,
            id: state.leases,
            pooled: Some(pooled),
            is_broken: false,
        }
    }

    /// Attempts to connect on a thread of its own, unless the pool is full.
    pub(super) fn connect(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        if state.is_closed || state.open() + state.attempts >= self.size {
            return;
        }
        if state.attempts == 0 {
            state.attempts_quiet_since = Instant::now();
        }
        state.attempts += 1;
        state.attempts_made += 1;
        state.latest_attempt = Instant::now();
        let is_probe = state.is_suspect;
        state.probes += usize::from(is_probe);
        let timeout = match is_probe && state.attempts_made.is_multiple_of(2) {
            true => SLOW_CONNECT_TIMEOUT,
            false => state.connect_timeout,
        };
        let database = Arc::clone(self);
        let thread = Builder::new().name("db-connect".to_owned());
        if let Err(error) = thread.spawn(move || database.attempt(is_probe, timeout)) {
            self.attempted(state, is_probe, Err(format!("no thread: {error}")));
        }
    }

    fn attempt(self: Arc<Self>, is_probe: bool, timeout: Duration) {
        let began = Instant::now();
        let establish = || self.opener.establish(timeout);
        let established = establish().or_else(|error| match began.elapsed() < AT_ONCE {
            true => establish(),
            false => Err(error),
        });
        let mut state = self.lock();
        if established.is_ok() {
            let was_slow = timeout == SLOW_CONNECT_TIMEOUT && began.elapsed() > CONNECT_TIMEOUT;
            state.connect_timeout = match was_slow {
                true => SLOW_CONNECT_TIMEOUT,
                false => CONNECT_TIMEOUT,
            };
        }
        let result = established.map_err(|error| error.to_string());
        self.attempted(&mut state, is_probe, result);
    }

    /// Takes the result of an attempt. The first connection closes the circuit; a failure opens it if there is no other
    /// connection.
    fn attempted(&self, state: &mut State, is_probe: bool, result: Result<Connection, String>) {
        state.attempts -= 1;
        state.probes -= usize::from(is_probe);
        state.attempts_quiet_since = Instant::now();
        match result {
            Ok(connection) => {
                if !state.is_closed {
                    let pooled = Pooled::new(connection, state.generation.number);
                    state.idle.push(pooled);
                }
                self.close_circuit(state);
            }
            Err(error) => {
                let message = format_args!("can't connect to the database: {error}");
                self.log
                    .every_minute(log::Level::Warn, module_path!(), message);
                if state.open() == 0 {
                    state.is_suspect = true;
                    state.reason = error;
                }
            }
        }
        self.changed.notify_all();
    }
}
