//! One thread per database watches its jobs, sends pings, and attempts to connect while the circuit is open.
//!
//! The database ends statements and waits for locks by itself: after 4 s, or 60 s for a job that reads a whole table. A job
//! that gets no answer for longer hangs in the network or in a frozen server, in a client library that reads without a timeout.
//! A file does not hang: on SQLite the thread only closes idle connections.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, Weak};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use super::database::Database;
use super::sockets::Socket;
use super::state::{Pooled, SLOW_CONNECT_TIMEOUT, State};
use crate::db::connection::job_kind::{JobKind, STATEMENT_TIMEOUT, WHOLE_TABLE_TIMEOUT};

/// How often the thread looks, while anything runs and while nothing does.
const TICK: Duration = Duration::from_millis(100);
const IDLE_TICK: Duration = Duration::from_secs(1);

/// The time between two attempts to connect while the circuit is open.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// An attempt that began while the circuit was open and has not ended so long after it closed hangs.
const HUNG_PROBE: Duration = Duration::from_secs(9);

/// How many attempts to connect may be under way while the circuit is open.
const MOST_PROBES: usize = 12;

/// Attempts that bring no connection for so long open the circuit, if there is no other connection.
const NO_CONNECTION: Duration = Duration::from_millis(3500);

/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A ping is sent when a job has got no answer for this time. It is also the least time between two pings.
const PING_AFTER: Duration = Duration::from_secs(3);

/// What a statement may take beyond the database's own timeout before the job counts as an overrun.
const MARGIN: Duration = Duration::from_millis(500);

/// The generation is replaced when more jobs than these have overrun, or one of them by `LONGEST_OVERRUN`, even if the
/// database answers pings.
const MOST_OVERRUNS: usize = 4;
const LONGEST_OVERRUN: Duration = Duration::from_secs(10);

/// A connection that was not used for this time is closed: some networks forget a quiet connection after four minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// How old a connection may get.
const LIFETIME: Duration = Duration::from_secs(1800);

/// After how long without an answer a job of this kind has overrun.
fn longest_statement(kind: JobKind) -> Duration {
    MARGIN
        + match kind {
            JobKind::Short | JobKind::Writes => STATEMENT_TIMEOUT,
            JobKind::Long => WHOLE_TABLE_TIMEOUT,
        }
}

/// What a look at the jobs found.
enum Finding {
    /// All jobs get answers
    Fine,
    /// The database must show that it answers; `since` then the job that asks for it began
    Doubtful { since: Instant, has_overrun: bool },
    /// The generation must be replaced
    Hangs,
}

impl Database {
    /// Starts the watching thread, if none runs. It ends when there is nothing to watch.
    pub(super) fn watch(self: &Arc<Self>, state: &mut State) {
        if state.is_watched || state.is_closed {
            return;
        }
        let database = Arc::downgrade(self);
        let thread = Builder::new().name("db-watch".to_owned());
        // Without a thread the next job tries again.
        state.is_watched = thread.spawn(move || watch(&database)).is_ok();
    }

    /// One look; `None` ends the thread, otherwise the time until the next one.
    fn look(self: &Arc<Self>, attempts: &mut SeenSockets) -> Option<Duration> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        let closed = state.take_outdated();
        let tick = self.tick(state, attempts);
        // Closing may send to the server.
        drop(closed);
        tick
    }

    fn tick(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        attempts: &mut SeenSockets,
    ) -> Option<Duration> {
        if self.is_file() {
            state.is_watched = state.open() > 0;
            return state.is_watched.then_some(IDLE_TICK);
        }
        if state.is_suspect || state.open() == 0 {
            return self.tick_without_connections(state, attempts);
        }
        attempts.sockets.clear();
        if state.probes > 0 && state.probe_sockets.0.elapsed() >= HUNG_PROBE {
            // MySQL's client gives an attempt no timeout. A healthy connection among them is replaced when it is used.
            let hung = std::mem::take(&mut state.probe_sockets.1);
            hung.into_iter().for_each(Socket::shut_down);
        }
        let tick = match state.used.is_empty() && state.attempts == 0 {
            true => IDLE_TICK,
            false => TICK,
        };
        match state.examine() {
            Finding::Fine => {}
            Finding::Hangs => self.replace_generation(state),
            Finding::Doubtful { since, has_overrun } => self.doubt(state, since, has_overrun),
        }
        Some(tick)
    }

    /// Attempts to connect while the circuit is open, and opens it if no attempt brings a connection.
    fn tick_without_connections(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        attempts: &mut SeenSockets,
    ) -> Option<Duration> {
        if !state.is_suspect && state.attempts == 0 {
            // A job that waits from now on starts a new thread.
            state.is_watched = state.waiting > 0;
            return state.is_watched.then_some(TICK);
        }
        if !state.is_suspect && state.attempts_quiet_since.elapsed() >= NO_CONNECTION {
            state.is_suspect = true;
            state.reason = "no attempt to connect was answered".to_owned();
            self.changed.notify_all();
        }
        if state.is_suspect
            && state.latest_attempt.elapsed() >= PROBE_INTERVAL
            && state.attempts < MOST_PROBES
        {
            self.connect(&mut state);
        }
        drop(state);
        if attempts.latest_look.elapsed() >= PROBE_INTERVAL {
            attempts.shut_down_hung(self.sockets());
        }
        Some(TICK)
    }

    /// Pings on another connection, one from before the doubtful job began if there is one: a new connection that answers does
    /// not show that older ones do.
    fn doubt(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        since: Instant,
        has_overrun: bool,
    ) {
        if let Some(sent) = state.ping {
            if sent.elapsed() >= PING_TIMEOUT {
                self.replace_generation(state);
            }
            return;
        }
        if state.has_answered(since) {
            return;
        }
        let older = state.idle.iter().position(|pooled| pooled.opened < since);
        if older.is_none() && has_overrun {
            self.replace_generation(state);
            return;
        }
        if state
            .latest_ping
            .is_some_and(|ping| ping.elapsed() < PING_AFTER)
        {
            return;
        }
        if state.idle.is_empty() {
            if state.attempts == 0 {
                self.connect(&mut state);
            }
            return;
        }
        let pooled = state.idle.remove(older.unwrap_or(0));
        let now = Instant::now();
        state.ping = Some(now);
        state.latest_ping = Some(now);
        state.pings += 1;
        let database = Arc::clone(self);
        let thread = Builder::new().name("db-ping".to_owned());
        if thread.spawn(move || database.ping(pooled)).is_err() {
            state.ping = None;
        }
    }

    /// Pings on this connection. A refusal says only that this connection is dead.
    fn ping(self: Arc<Self>, mut pooled: Pooled) {
        let is_alive = pooled.connection.is_alive();
        let mut state = self.lock();
        if pooled.generation == state.generation.number {
            state.ping = None;
            if is_alive {
                pooled.answered = Instant::now();
                state.idle.push(pooled);
            } else {
                state.latest_ping = None;
            }
        }
        self.changed.notify_one();
    }
}

/// The sockets of attempts to connect, with the time when each was first seen. While there is no connection, no other socket
/// leads to the database.
struct SeenSockets {
    sockets: HashMap<Socket, Instant>,
    latest_look: Instant,
}

impl SeenSockets {
    /// Shuts down those that hang. libpq ends an attempt by itself before its session is set up, MySQL's client does not.
    fn shut_down_hung(&mut self, present: Vec<Socket>) {
        let now = Instant::now();
        self.latest_look = now;
        self.sockets.retain(|socket, _| present.contains(socket));
        for socket in present {
            if now - *self.sockets.entry(socket).or_insert(now) >= SLOW_CONNECT_TIMEOUT {
                socket.shut_down();
            }
        }
    }
}

impl State {
    /// Takes idle connections that are too old, or were not used for long.
    fn take_outdated(&mut self) -> Vec<Pooled> {
        self.idle
            .extract_if(.., |pooled| {
                pooled.answered.elapsed() >= IDLE_TIMEOUT || pooled.opened.elapsed() >= LIFETIME
            })
            .collect()
    }

    /// Looks at all running jobs, and counts those that overrun.
    fn examine(&mut self) -> Finding {
        let mut finding = Finding::Fine;
        let mut overrunning = 0;
        for used in &mut self.used {
            let quiet = used.quiet();
            let limit = longest_statement(used.kind);
            let has_overrun = quiet >= limit;
            if has_overrun {
                overrunning += 1;
                self.overruns += u64::from(!std::mem::replace(&mut used.has_overrun, true));
                if overrunning > MOST_OVERRUNS || quiet >= limit + LONGEST_OVERRUN {
                    return Finding::Hangs;
                }
            }
            if has_overrun || (quiet >= PING_AFTER && matches!(finding, Finding::Fine)) {
                let since = used.began;
                finding = Finding::Doubtful { since, has_overrun };
            }
        }
        finding
    }

    /// Whether a connection that was opened before `since` has answered within the timeout of a ping.
    fn has_answered(&self, since: Instant) -> bool {
        let idle = self.idle.iter().map(|one| (one.opened, one.answered));
        let used = self.used.iter().map(|one| (one.opened, one.progressed));
        idle.chain(used)
            .any(|(opened, answered)| opened < since && answered.elapsed() < PING_TIMEOUT)
    }
}

fn watch(database: &Weak<Database>) {
    let mut attempts = SeenSockets {
        sockets: HashMap::new(),
        latest_look: Instant::now(),
    };
    while let Some(tick) = database
        .upgrade()
        .and_then(|database| database.look(&mut attempts))
    {
        sleep(tick);
    }
}
