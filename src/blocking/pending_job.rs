//! The two ends of a job on a worker thread: the caller waits for the result until its timeout, and the worker can see whether
//! the caller still waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::rt::time::timeout;
use tokio::sync::oneshot;

/// The worker's end.
pub struct Caller<T> {
    has_begun: Arc<AtomicBool>,
    result: oneshot::Sender<T>,
}

/// The caller's end: the result to come. Dropping it cancels a job that has not begun.
pub struct PendingJob<T> {
    has_begun: Arc<AtomicBool>,
    result: oneshot::Receiver<T>,
}

/// The callers of a job, whatever its result.
pub trait Callers {
    /// Whether one of them still waits.
    fn are_waiting(&self) -> bool;

    /// Tells them that the job runs, so that they wait for its end.
    fn begin(&self);
}

/// Both ends.
pub(super) fn pending_job<T>() -> (Caller<T>, PendingJob<T>) {
    let has_begun = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = oneshot::channel();
    let caller = Caller {
        has_begun: Arc::clone(&has_begun),
        result: sender,
    };
    let pending = PendingJob {
        has_begun,
        result: receiver,
    };
    (caller, pending)
}

impl<T> Caller<T> {
    /// Sends the result, if the caller still waits for it.
    pub fn send(self, result: T) {
        let _ = self.result.send(result);
    }
}

impl<T> Callers for Caller<T> {
    fn are_waiting(&self) -> bool {
        !self.result.is_closed()
    }

    fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
    }
}

/// For a job that the program runs for itself.
impl Callers for () {
    fn are_waiting(&self) -> bool {
        true
    }

    fn begin(&self) {}
}

impl<T> Callers for Vec<Caller<T>> {
    fn are_waiting(&self) -> bool {
        self.iter().any(Caller::are_waiting)
    }

    fn begin(&self) {
        self.iter().for_each(Caller::begin);
    }
}

impl<T> PendingJob<T> {
    /// The result. `None` if the job has not begun within `queue_timeout`, or has not ended `run_timeout` later, or panicked.
    pub async fn result(mut self, queue_timeout: Duration, run_timeout: Duration) -> Option<T> {
        match timeout(queue_timeout, &mut self.result).await {
            Ok(result) => result.ok(),
            Err(_) if self.has_begun.load(Ordering::Acquire) => {
                timeout(run_timeout, self.result).await.ok()?.ok()
            }
            Err(_) => None,
        }
    }
}
