//! The connections of a database, and what is known of its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::sockets::Socket;
use super::task::Task;
use crate::db::connection::Connection;
use crate::db::connection::job_kind::JobKind;
use crate::db::error::DbError;

/// The timeout of an attempt to connect, for each of a server's addresses. A silent address is followed by the next.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The timeout of every second attempt while the circuit is open, and of all attempts after one that needed it: on a link of
/// 300 ms a packet the handshake takes 5 s.
pub(super) const SLOW_CONNECT_TIMEOUT: Duration = Duration::from_secs(12);

/// A connection of the pool.
pub(super) struct Pooled {
    pub(super) connection: Connection,
    pub(super) generation: u64,
    pub(super) opened: Instant,
    /// When it was opened, or its latest job ended
    pub(super) answered: Instant,
    /// How many statements the server has answered
    answers: Arc<AtomicU64>,
}

impl Pooled {
    pub(super) fn new(mut connection: Connection, generation: u64) -> Pooled {
        let answers = Arc::new(AtomicU64::new(0));
        connection.count_answers(&answers);
        Pooled {
            connection,
            generation,
            opened: Instant::now(),
            answered: Instant::now(),
            answers,
        }
    }
}

/// A connection that a job uses, as the watching thread sees it.
pub(super) struct Used {
    pub(super) id: u64,
    pub(super) kind: JobKind,
    pub(super) opened: Instant,
    pub(super) began: Instant,
    answers: Arc<AtomicU64>,
    rows: Arc<AtomicU64>,
    seen: u64,
    /// When a statement or a row was last seen to arrive
    pub(super) progressed: Instant,
    pub(super) has_overrun: bool,
}

impl Used {
    pub(super) fn new(id: u64, pooled: &Pooled, task: &Task) -> Used {
        let now = Instant::now();
        let (answers, rows) = (Arc::clone(&pooled.answers), Arc::clone(task.rows));
        Used {
            id,
            kind: task.kind,
            opened: pooled.opened,
            began: now,
            seen: answers.load(Ordering::Relaxed) + rows.load(Ordering::Relaxed),
            answers,
            rows,
            progressed: now,
            has_overrun: false,
        }
    }

    /// How long nothing has arrived.
    pub(super) fn quiet(&mut self) -> Duration {
        let now = self.answers.load(Ordering::Relaxed) + self.rows.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.seen, now) != now {
            self.progressed = Instant::now();
        }
        self.progressed.elapsed()
    }
}

/// What changes while the database is used.
pub(super) struct State {
    pub(super) generation: Arc<Generation>,
    pub(super) replaced: Vec<Arc<Generation>>,
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
    /// Those of them that began while the circuit was open
    pub(super) probes: usize,
    /// When the circuit closed, and the sockets that there were then
    pub(super) probe_sockets: (Instant, Vec<Socket>),
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
    /// No connections, and the circuit closed.
    pub(super) fn new(generation: Arc<Generation>) -> State {
        let now = Instant::now();
        State {
            generation,
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
            probes: 0,
            probe_sockets: (now, Vec::new()),
            latest_attempt: now,
            attempts_quiet_since: now,
            connect_timeout: CONNECT_TIMEOUT,
            ping: None,
            latest_ping: None,
            pings: 0,
            overruns: 0,
        }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.idle.len() + self.used.len() + usize::from(self.ping.is_some())
    }

    /// The error of a job while the circuit is open.
    pub(super) fn unavailable(&self) -> DbError {
        DbError::Unavailable(self.reason.clone())
    }
}
