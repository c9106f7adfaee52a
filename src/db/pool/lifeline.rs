//! What is known of a running job, and how its connection is broken from outside.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::sockets::Socket;

/// What is known of a running job by those who wait for it: how it gets on, and by what it can be ended.
#[derive(Clone, Default)]
pub(crate) struct Lifeline {
    deadline: Arc<Mutex<Option<Instant>>>,
    hold: Arc<Mutex<Hold>>,
    progress: Arc<AtomicU64>,
}

/// A job's connection, while it has one.
#[derive(Clone, Copy, Default)]
pub(super) struct Hold {
    /// The socket below it, where it is known
    pub(super) socket: Option<Socket>,
    /// The server's number for it, where it has one
    pub(super) session: Option<i64>,
}

/// A job's hold on its lifeline.
pub(super) struct Attached<'a>(&'a Lifeline);

impl Lifeline {
    /// Notes that a job begins that is for several askers, and until when it has time: later than some of them.
    pub(super) fn begin(&self, deadline: Instant) {
        *lock(&self.deadline) = Some(deadline);
    }

    /// How long a job for several askers still has.
    pub(super) fn left(&self) -> Duration {
        lock(&self.deadline).map_or(Duration::ZERO, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }

    /// Until the value that it returns is dropped, the job may be cut.
    pub(super) fn attach(&self, hold: Hold) -> Attached<'_> {
        *lock(&self.hold) = hold;
        Attached(self)
    }

    /// Breaks the connection of the job; `false`: it has none now.
    pub(super) fn cut(&self) -> bool {
        let hold = lock(&self.hold);
        hold.socket.is_some_and(Socket::shut)
    }

    /// The server's number for the connection that the job has now.
    pub(super) fn session(&self) -> Option<i64> {
        lock(&self.hold).session
    }

    /// What the job counts while it gets on.
    pub(crate) fn progress(&self) -> &AtomicU64 {
        &self.progress
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        *lock(&self.0.hold) = Hold::default();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks but a client library's, and that leaves them as they were.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
