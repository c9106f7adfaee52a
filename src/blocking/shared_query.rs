//! One run of a query for all concurrent callers, like group commit: callers that come while it runs share the next run. So no
//! result is older than its caller's question.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pending_job::{Caller, Callers, PendingJob, pending_job};

/// A caller whose deadline is nearer when a run begins is not answered: the run might wait for a lock.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// The callers that wait for the next run of a query, with their deadlines. A lane with one worker runs it.
pub struct SharedQuery<T>(Mutex<Vec<(Instant, Caller<T>)>>);

impl<T> Default for SharedQuery<T> {
    fn default() -> Self {
        SharedQuery(Mutex::default())
    }
}

impl<T> SharedQuery<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Caller<T>)>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> SharedQuery<T> {
    /// Adds a caller, which gets the result of the next run. A run must be queued after this.
    pub fn join(&self, deadline: Instant) -> PendingJob<T> {
        let (caller, pending) = pending_job();
        self.lock().push((deadline, caller));
        pending
    }

    /// The turn of a run that is being queued.
    pub fn turn(self: &Arc<Self>) -> Turn<T> {
        Turn(Some(Arc::clone(self)))
    }

    fn run(&self, query: impl FnOnce(&dyn Callers, Instant) -> T) {
        let mut callers = std::mem::take(&mut *self.lock());
        let now = Instant::now();
        callers.retain(|(deadline, caller)| *deadline >= now + LEAST_TIME && caller.are_waiting());
        let Some(deadline) = callers.iter().map(|(deadline, _)| *deadline).min() else {
            return;
        };
        let callers: Vec<_> = callers.into_iter().map(|(_, caller)| caller).collect();
        let answer = query(&callers, deadline);
        for caller in callers {
            caller.send(answer.clone());
        }
    }
}

/// A queued run. Dropping it without a run fails the callers that wait.
pub struct Turn<T>(Option<Arc<SharedQuery<T>>>);

impl<T: Clone> Turn<T> {
    /// Runs `query` for all callers that wait, with the earliest of their deadlines; not at all if an earlier run has answered them.
    pub fn run(mut self, query: impl FnOnce(&dyn Callers, Instant) -> T) {
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
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn callers_that_come_while_it_runs_share_the_next_run() {
        actix_web::rt::System::new().block_on(async {
            let shared = Arc::new(SharedQuery::default());
            let soon = Instant::now() + LONG;
            let (first, left) = (shared.join(soon + LONG), shared.join(soon));
            let (second, late) = (shared.join(soon), shared.join(Instant::now()));
            drop(left);
            let mut next = Vec::new();
            shared.turn().run(|callers, deadline| {
                assert!(callers.are_waiting());
                assert_eq!(deadline, soon);
                next.extend([shared.join(soon), shared.join(soon)]);
                1
            });
            assert_eq!(first.result(NOW, NOW).await, Some(1));
            assert_eq!(second.result(NOW, NOW).await, Some(1));
            assert_eq!(late.result(LONG, LONG).await, None);
            shared.turn().run(|_, _| 2);
            for caller in next {
                assert_eq!(caller.result(NOW, NOW).await, Some(2));
            }
            shared
                .turn()
                .run(|_, _| unreachable!("all callers have their answers"));
            // A queue that is closed drops the turns in it.
            let caller = shared.join(soon);
            drop(shared.turn());
            assert_eq!(caller.result(LONG, LONG).await, None);
        });
    }
}
