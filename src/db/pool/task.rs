//! A job's limits, and how long its callers wait.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::blocking::pending_job::{Callers, PendingJob};
use crate::db::connection::job_kind::{JobKind, WHOLE_TABLE_TIMEOUT};
use crate::db::error::DbError;

/// The time that a request may wait for the database, all in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The deadline of a request that arrives now. All of its queries share it.
pub fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}

/// A job's kind, its deadline and its callers.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) kind: JobKind,
    /// When the job stops waiting for a connection or a lock
    pub(crate) deadline: Instant,
    pub(crate) callers: &'a dyn Callers,
    /// How many rows the job has read
    pub(crate) rows: &'a Arc<AtomicU64>,
}

impl Task<'_> {
    /// A short job that must run before this one, with the same deadline.
    pub(crate) fn preparing(&self) -> Self {
        Task {
            kind: JobKind::Short,
            ..*self
        }
    }
}

/// The limits of a job, until its worker knows the callers.
pub(crate) struct Limits {
    pub(crate) kind: JobKind,
    deadline: Instant,
    pub(crate) rows: Arc<AtomicU64>,
}

impl Limits {
    pub(crate) fn new(kind: JobKind, deadline: Instant) -> Limits {
        Limits {
            kind,
            deadline,
            rows: Arc::default(),
        }
    }

    pub(crate) fn task<'a>(&'a self, callers: &'a dyn Callers) -> Task<'a> {
        Task {
            kind: self.kind,
            deadline: self.deadline,
            callers,
            rows: &self.rows,
        }
    }

    /// How long a caller waits for the result.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            deadline: self.deadline,
            // A job that reads a whole table has the time that the database gives to a statement.
            run_timeout: match self.kind {
                JobKind::Short | JobKind::Writes => Duration::ZERO,
                JobKind::Long => WHOLE_TABLE_TIMEOUT + REQUEST_TIMEOUT,
            },
        }
    }
}

/// How long a caller waits: for the job to get a connection until the deadline, and then for its end.
pub(crate) struct Patience {
    deadline: Instant,
    run_timeout: Duration,
}

impl Patience {
    /// The result; `None` if it did not come in time, or the job panicked.
    pub(crate) async fn result<T>(&self, pending: PendingJob<T>) -> Option<T> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        pending.result(left, self.run_timeout).await
    }

    /// The error of a caller that got no result.
    pub(crate) fn exhausted(&self) -> DbError {
        let seconds = (REQUEST_TIMEOUT + self.run_timeout).as_secs();
        DbError::Unavailable(format!("no answer within {seconds} seconds, or a panic"))
    }
}
