//! One run of a query for all concurrent callers, like group commit: callers that come while it runs share the next run. So no
//! result is older than its caller's question.

use std::sync::{Arc, Mutex, PoisonError};

use super::pending_job::{Caller, Callers, PendingJob, pending_job};

/// The callers that wait for the next run of a query. A lane with one worker runs it.
pub struct SharedQuery<T>(Mutex<Vec<Caller<T>>>);

impl<T> Default for SharedQuery<T> {
    fn default() -> Self {
        SharedQuery(Mutex::default())
    }
}

impl<T> SharedQuery<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Caller<T>>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> SharedQuery<T> {
    /// Adds a caller, which gets the result of the next run. A run must be queued after this.
    pub fn join(&self) -> PendingJob<T> {
        let (caller, pending) = pending_job();
        self.lock().push(caller);
        pending
    }

    /// The turn of a run that is being queued.
    pub fn turn(self: &Arc<Self>) -> Turn<T> {
        Turn(Some(Arc::clone(self)))
    }

    /// Runs `query` for all callers that wait; not at all if an earlier run has answered them.
    fn run(&self, query: impl FnOnce(&dyn Callers) -> T) {
        let mut callers = std::mem::take(&mut *self.lock());
        callers.retain(Caller::are_waiting);
        if callers.is_empty() {
            return;
        }
        let answer = query(&callers);
        for caller in callers {
            caller.send(answer.clone());
        }
    }
}

/// A queued run. Dropping it without a run fails the callers that wait.
pub struct Turn<T>(Option<Arc<SharedQuery<T>>>);

impl<T: Clone> Turn<T> {
    /// Runs `query` for all callers that wait; not at all if an earlier run has answered them.
    pub fn run(mut self, query: impl FnOnce(&dyn Callers) -> T) {
        if let Some(shared) = self.0.take() {
            shared.run(query);
        }
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            let callers = std::mem::take(&mut *shared.lock());
            drop(callers);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn callers_that_come_while_it_runs_share_the_next_run() {
        actix_web::rt::System::new().block_on(async {
            let shared = SharedQuery::default();
            let (first, left) = (shared.join(), shared.join());
            drop(left);
            let mut late = Vec::new();
            shared.run(|callers| {
                assert!(callers.are_waiting());
                late.extend([shared.join(), shared.join()]);
                1
            });
            assert_eq!(first.result(NOW, NOW).await, Some(1));
            shared.run(|_| 2);
            for caller in late {
                assert_eq!(caller.result(NOW, NOW).await, Some(2));
            }
            shared.run(|_| unreachable!("all callers have their answers"));
            // A queue that is closed drops the turns in it.
            let shared = Arc::new(shared);
            let caller = shared.join();
            drop(shared.turn());
            assert_eq!(caller.result(LONG, LONG).await, None);
        });
    }
}
