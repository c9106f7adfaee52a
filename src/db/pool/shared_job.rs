//! One job for all callers who ask for the same answer at the same time.

use std::sync::Arc;
use std::time::Instant;

use super::database::Database;
use super::lifeline::Lifeline;
use super::task::{self, Task};
use crate::blocking::shared_query::SharedQuery;
use crate::db::connection::job_kind::JobKind;

/// A job whose answer several callers get. Each of them gets an answer from a run that began after its call.
pub(crate) struct SharedJob<T> {
    query: Arc<SharedQuery<T>>,
    lifeline: Lifeline,
}

impl<T: Clone + Send + 'static> SharedJob<T> {
    /// A job without callers.
    pub(crate) fn new() -> SharedJob<T> {
        SharedJob {
            query: SharedQuery::new(),
            lifeline: Lifeline::default(),
        }
    }

    /// The answer of a run of `job`; `None` if it did not end before the deadline, or panicked. Each run gets a deadline of its
    /// own when it begins, which may be later than those of its callers.
    pub(crate) async fn ask(
        &self,
        database: &Arc<Database>,
        kind: JobKind,
        deadline: Instant,
        job: impl FnOnce(&Task) -> T + Send + 'static,
    ) -> Option<T> {
        let lifeline = self.lifeline.clone();
        let task = Task::shared(kind, deadline, lifeline.clone());
        let answer = self.query.ask(move || {
            let limits = Task::shared(kind, task::deadline(), lifeline);
            limits.lifeline.begin(limits.deadline);
            job(&limits)
        });
        database.supervise(task, answer).await
    }
}
