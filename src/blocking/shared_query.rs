//! One run of a query for all concurrent callers, like group commit: callers that come while it runs share the next run. So no
//! result is older than its caller's question.

use std::sync::{Mutex, PoisonError};

use super::pending_job::{Caller, Callers, PendingJob, pending_job};

/// The callers that wait for the next run of a query. A lane with one worker runs it.
pub struct SharedQuery<T>(Mutex<Vec<Caller<T>>>);

impl<T> Default for SharedQuery<T> {
    fn default() -> Self {
        SharedQuery(Mutex::default())
    }
}

impl<T: Clone> SharedQuery<T> {
    /// Adds a caller, which gets the result of the next run. A run must be queued after this.
    pub fn join(&self) -> PendingJob<T> {
        let (caller, pending) = pending_job();
        self.lock().push(caller);
        pending
    }

    /// Runs `query` for all callers that wait; not at all if an earlier run has answered them.
    pub fn run(&self, query: impl FnOnce(&dyn Callers) -> T) {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Caller<T>>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Duration = Duration::ZERO;

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
        });
    }
}
