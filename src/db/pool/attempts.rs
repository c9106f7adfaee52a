//! Attempts to connect to the databases, one at a time for each, so that the socket which an attempt opens can be told from
//! all others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::sockets::{Peer, Socket, sockets};
use crate::db::connection::opener::CONNECT_TIMEOUT;

/// How long it is from one attempt to the next, while there are any.
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// How long it is from one look at the sockets of an attempt to the next, however many ask.
const LOOKS: Duration = Duration::from_millis(250);

/// How often, and how long apart, another attempt's socket is waited for before the next begins.
const MOST_GLANCES: u32 = 20;
const GLANCES: Duration = Duration::from_millis(2);

/// The attempts to connect that are under way, of all databases: none of them is ended for another's sake, though all may
/// be to one port.
pub(super) struct UnderWay {
    ports: Vec<u16>,
    attempts: Mutex<Vec<Attempt>>,
}

struct Attempt {
    database: &'static str,
    ports: Vec<u16>,
    /// When it began, or went on to the server's next address
    since: Instant,
    looked: Instant,
    /// Sockets that are not its own; `None`: they can't be told
    foreign: Option<Vec<Socket>>,
    /// Sockets that are: while others are under way, a new one may be theirs
    own: Vec<Socket>,
    /// Those that have been seen
    seen: Vec<Socket>,
}

impl Attempt {
    /// One that begins now, when there are these sockets.
    fn new(database: &'static str, ports: &[u16], sockets: Option<Vec<(Socket, Peer)>>) -> Attempt {
        let now = Instant::now();
        Attempt {
            database,
            ports: ports.to_vec(),
            since: now,
            looked: now,
            foreign: sockets.map(|known| known.into_iter().map(|(socket, _)| socket).collect()),
            own: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Whether it may be its own; for certain while no other attempt is under way.
    fn may_own(&self, socket: &Socket, peer: &Peer) -> bool {
        let foreign = self.foreign.as_deref();
        foreign.is_some_and(|foreign| !foreign.contains(socket))
            && match peer {
                Peer::Server(Some(port)) => self.ports.contains(port),
                Peer::Server(None) | Peer::Unconnected => true,
            }
    }

    /// Takes for its own what may be.
    fn settle(&mut self, sockets: &[(Socket, Peer)]) {
        let own = sockets
            .iter()
            .filter(|(socket, peer)| self.may_own(socket, peer));
        self.own = own.map(|(socket, _)| *socket).collect();
    }

    /// Starts its timeout again once it has a new socket, which leads to the server's next address.
    fn notice_progress(&mut self) {
        if self.own.iter().any(|socket| !self.seen.contains(socket)) {
            self.since = Instant::now();
        }
        self.seen.clone_from(&self.own);
    }
}

impl UnderWay {
    /// To servers with these ports.
    pub(super) fn new(ports: Vec<u16>) -> Arc<UnderWay> {
        Arc::new(UnderWay {
            ports,
            attempts: Mutex::default(),
        })
    }

    fn begin(&self, database: &'static str, ports: &[u16]) {
        // Where another has begun a moment ago, its socket is about to show itself.
        for glance in 1..=MOST_GLANCES {
            let mut attempts = lock(&self.attempts);
            let sockets = sockets(&self.ports).ok();
            if let ([other], Some(sockets)) = (attempts.as_mut_slice(), &sockets) {
                other.settle(sockets);
            }
            if glance == MOST_GLANCES || attempts.iter().all(|other| !other.own.is_empty()) {
                attempts.push(Attempt::new(database, ports, sockets));
                return;
            }
            drop(attempts);
            std::thread::sleep(GLANCES);
        }
    }

    /// Ends one, once; the one socket that it has brought, if it can be told.
    fn end(&self, database: &str, has_connected: bool) -> Option<Socket> {
        let mut others = lock(&self.attempts);
        let place = others.iter().position(|one| one.database == database)?;
        let attempt = others.swap_remove(place);
        let sockets = sockets(&self.ports).ok();
        let Some(sockets) = sockets.filter(|_| attempt.foreign.is_some()) else {
            // Its connection must not be taken for another's attempt.
            let unsure = others.iter_mut().filter(|_| has_connected);
            unsure.for_each(|other| other.foreign = None);
            return None;
        };
        let connected = sockets.iter().filter(|(socket, peer)| {
            has_connected && matches!(peer, Peer::Server(_)) && attempt.may_own(socket, peer)
        });
        let connected: Vec<Socket> = connected.map(|(socket, _)| *socket).collect();
        let is_own = |socket: &&Socket| attempt.own.contains(*socket);
        let is_others = |socket: &&Socket| others.iter().any(|other| other.own.contains(*socket));
        // Its own sockets from before other attempts began; or those that no attempt owns.
        let mut brought: Vec<Socket> = connected.iter().filter(is_own).copied().collect();
        if brought.is_empty() {
            brought = connected
                .iter()
                .filter(|socket| !is_others(socket))
                .copied()
                .collect();
        }
        for other in others.iter_mut() {
            if let Some(foreign) = &mut other.foreign {
                foreign.extend(&brought);
            }
        }
        if let [other] = others.as_mut_slice() {
            other.settle(&sockets);
        }
        match brought.as_slice() {
            [socket] => Some(*socket),
            _ => None,
        }
    }

    /// Shuts down the sockets of an attempt that is this old; whether there is an attempt.
    fn end_older_than(&self, age: Duration, database: &str) -> bool {
        let mut attempts = lock(&self.attempts);
        let is_alone = attempts.len() == 1;
        let Some(place) = attempts.iter().position(|one| one.database == database) else {
            return false;
        };
        let attempt = &mut attempts[place];
        if attempt.looked.elapsed() < LOOKS.min(age) {
            return true;
        }
        attempt.looked = Instant::now();
        let Ok(sockets) = sockets(&self.ports) else {
            return true;
        };
        if is_alone {
            attempt.settle(&sockets);
            attempt.notice_progress();
        }
        let is_overdue = |attempt: &Attempt| attempt.since.elapsed() >= age;
        // Where all are, it does not matter whose is whose.
        let are_all_overdue = attempts.iter().all(is_overdue);
        let attempt = &mut attempts[place];
        if are_all_overdue {
            attempt.settle(&sockets);
        }
        if is_overdue(attempt) {
            for socket in &attempt.own {
                socket.shut();
            }
        }
        true
    }
}

/// Attempts to connect to one database, one at a time: so the one new socket is the new connection's.
pub(super) struct Attempts {
    database: &'static str,
    ports: Vec<u16>,
    all: Arc<UnderWay>,
    turn: Mutex<()>,
    latest: Mutex<Option<Instant>>,
}

/// An attempt until its end, be that a panic.
struct Attempting<'a>(&'a Attempts);

impl Attempting<'_> {
    fn end(&self, has_connected: bool) -> Option<Socket> {
        let Attempts {
            database,
            all,
            latest,
            ..
        } = self.0;
        *lock(latest) = Some(Instant::now());
        all.end(database, has_connected)
    }
}

impl Drop for Attempting<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Attempts {
    /// To the database of this name, at these ports, among all that there are.
    pub(super) fn new(database: &'static str, ports: Vec<u16>, all: &Arc<UnderWay>) -> Attempts {
        Attempts {
            database,
            ports,
            all: Arc::clone(all),
            turn: Mutex::default(),
            latest: Mutex::default(),
        }
    }

    /// What `establish` returns, and the socket that it brought: `None` if it can't be told.
    pub(super) fn watch<T, E>(
        &self,
        establish: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Option<Socket>), E> {
        let _turn = lock(&self.turn);
        self.all.begin(self.database, &self.ports);
        let attempting = Attempting(self);
        let established = establish()?;
        let socket = attempting.end(true);
        Ok((established, socket))
    }

    /// Ends an attempt that hangs, before or after it is connected. Returns whether another is expected soon.
    pub(super) fn end_overdue(&self) -> bool {
        match self.all.end_older_than(CONNECT_TIMEOUT, self.database) {
            true => true,
            false => lock(&self.latest).is_some_and(|latest| latest.elapsed() < LONGEST_PAUSE),
        }
    }

    /// Ends the attempt that is under way, and waits a little for its end.
    pub(super) fn finish(&self) {
        for _ in 0..100 {
            self.all.end_older_than(Duration::ZERO, self.database);
            // A thread that panicked has let go of it, too.
            if !matches!(self.turn.try_lock(), Err(TryLockError::WouldBlock)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks but a client library's, and that leaves them as they were.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests;
