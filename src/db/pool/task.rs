//! A job's kind and its limits.

use std::time::{Duration, Instant};

use super::lifeline::Lifeline;
use crate::db::connection::job_kind::JobKind;

/// A job's kind and its limits.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) kind: JobKind,
    /// When the job stops waiting for a connection or a lock
    pub(crate) deadline: Instant,
    pub(crate) lifeline: Lifeline,
}

impl Task {
    /// A job of this kind whose caller waits until `deadline`.
    pub(crate) fn new(kind: JobKind, deadline: Instant) -> Task {
        Task::shared(kind, deadline, Lifeline::default())
    }

    /// A job of this kind for all callers who hold the lifeline.
    pub(super) fn shared(kind: JobKind, deadline: Instant, lifeline: Lifeline) -> Task {
        Task {
            kind,
            deadline,
            lifeline,
        }
    }

    /// A short job that must run before this one, with the same deadline.
    pub(crate) fn preparing(&self) -> Task {
        Task {
            kind: JobKind::Short,
            ..self.clone()
        }
    }
}

/// The time that a request may wait for the database, all in all.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The deadline of a request that arrives now. All of its queries share it.
pub fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}
