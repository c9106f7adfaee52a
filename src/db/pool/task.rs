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
    /// Fails a job that must not begin any more: its deadline has passed, or its callers have left.
    pub(super) fn refuse_if_left(&self) -> Result<(), DbError> {
        match self.deadline <= Instant::now() || !self.callers.are_waiting() {
            true => Err(DbError::Unavailable(
                "no connection was free in time".into(),
            )),
            false => Ok(()),
        }
    }

    /// A short job that must run before this one, with the same deadline.
    pub(crate) fn preparing(&self) -> Self {
        Task {
            kind: JobKind::Short,
            ..*self
        }
    }
}

/// The limits of a job, until its worker knows the callers.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) kind: JobKind,
    pub(crate) deadline: Instant,
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

    /// Waits for the job to get a connection until the deadline, and then for its end.
    ///
    /// # Errors
    /// It did not end in time, or it panicked.
    pub(crate) async fn result<T>(&self, pending: PendingJob<T>) -> Result<T, DbError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let run_timeout = match self.kind {
            JobKind::Short | JobKind::Writes => Duration::ZERO,
            // The time that the database gives to a statement
            JobKind::Long => WHOLE_TABLE_TIMEOUT + REQUEST_TIMEOUT,
        };
        let result = pending.result(left, run_timeout).await;
        result.ok_or_else(|| {
            DbError::Unavailable("no answer before the deadline, or a panic".to_owned())
        })
    }
}
