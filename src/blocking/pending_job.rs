//! The two ends of a pending job. A caller that stops waiting before the job begins cancels it; after that, the caller learns
//! that it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::rt::time::timeout;
use tokio::sync::oneshot;

/// The worker's end of a pending job: sends the result if the caller still waits.
pub(super) struct JobResult<T> {
    is_decided: Arc<AtomicBool>,
    result: oneshot::Sender<T>,
}

/// The caller's end: the result to come.
pub struct PendingJob<T> {
    is_decided: Arc<AtomicBool>,
    result: oneshot::Receiver<T>,
}

/// The result of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait<T> {
    /// The job's result
    Done(T),
    /// The job has begun and still runs: wait again, or leave
    Running,
    /// There will be no result: the job had not begun, and now never will; or it panicked
    Dropped,
}

/// Both ends.
pub(super) fn pending_job<T>() -> (JobResult<T>, PendingJob<T>) {
    let is_decided = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = oneshot::channel();
    let job_result = JobResult {
        is_decided: Arc::clone(&is_decided),
        result: sender,
    };
    let pending = PendingJob {
        is_decided,
        result: receiver,
    };
    (job_result, pending)
}

impl<T> JobResult<T> {
    /// Marks the job as begun; `None` if the caller has stopped waiting.
    pub(super) fn begin(self) -> Option<oneshot::Sender<T>> {
        let is_cancelled = self.is_decided.swap(true, Ordering::AcqRel);
        (!is_cancelled && !self.result.is_closed()).then_some(self.result)
    }
}

impl<T> PendingJob<T> {
    /// Waits for at most `limit`. Must not be called again after a result other than [`Wait::Running`].
    pub async fn wait(&mut self, limit: Duration) -> Wait<T> {
        match timeout(limit, &mut self.result).await {
            Ok(Ok(answer)) => Wait::Done(answer),
            Ok(Err(_)) => Wait::Dropped,
            Err(_) if self.is_decided.swap(true, Ordering::AcqRel) => Wait::Running,
            Err(_) => Wait::Dropped,
        }
    }

    /// The result; `None` if the job did not begin within `queue_timeout`, or panicked.
    pub async fn once_begun(mut self, queue_timeout: Duration) -> Option<T> {
        loop {
            match self.wait(queue_timeout).await {
                Wait::Done(answer) => return Some(answer),
                Wait::Dropped => return None,
                Wait::Running => {}
            }
        }
    }
}
