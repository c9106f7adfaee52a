//! One run of a query for all concurrent callers, like group commit: callers that come while it runs share the next run. So no
//! result is older than its caller's question, and at most one run is in progress.

use std::sync::{Arc, Mutex, PoisonError};

use super::pending_job::{JobResult, PendingJob, pending_job};
use super::workers::Workers;

/// The callers that wait for a query, and its one worker.
pub struct SharedQuery<T> {
    worker: Arc<Workers>,
    callers: Mutex<Vec<JobResult<T>>>,
}

impl<T: Clone + Send + 'static> SharedQuery<T> {
    /// A query without callers.
    pub fn new() -> Arc<Self> {
        Arc::new(SharedQuery {
            worker: Workers::new(1),
            callers: Mutex::default(),
        })
    }

    /// The result of a run that begins after this call: of this `query`, or of another caller's.
    pub fn ask(self: &Arc<Self>, query: impl FnOnce() -> T + Send + 'static) -> PendingJob<T> {
        let (caller, pending) = pending_job();
        self.lock().push(caller);
        let shared = Arc::clone(self);
        self.worker.queue(move || {
            // Callers that the run before has answered are no longer here.
            let callers = std::mem::take(&mut *shared.lock());
            let callers: Vec<_> = callers.into_iter().filter_map(JobResult::begin).collect();
            if callers.is_empty() {
                return;
            }
            let answer = query();
            for caller in callers {
                let _ = caller.send(answer.clone());
            }
        });
        pending
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<JobResult<T>>> {
        // No code that can panic runs under the lock.
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn callers_that_come_while_it_runs_share_the_next_run() {
        actix_web::rt::System::new().block_on(async {
            let shared = SharedQuery::new();
            let runs = Arc::new(AtomicU64::new(0));
            let count = {
                let runs = Arc::clone(&runs);
                move || runs.fetch_add(1, Ordering::SeqCst) + 1
            };
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let first = actix_web::rt::spawn({
                let (shared, count) = (Arc::clone(&shared), count.clone());
                let query = move || {
                    begin.send(()).unwrap();
                    may_end.recv().unwrap();
                    count()
                };
                shared.ask(query).once_begun(LONG)
            });
            let has_begun = actix_web::web::block(move || has_begun.recv()).await;
            has_begun.unwrap().unwrap();
            let late: Vec<_> = (0..5)
                .map(|_| {
                    let (shared, count) = (Arc::clone(&shared), count.clone());
                    actix_web::rt::spawn(shared.ask(count).once_begun(LONG))
                })
                .collect();
            // All of them wait before the first run may end.
            while shared.lock().len() < late.len() {
                actix_web::rt::task::yield_now().await;
            }
            end.send(()).unwrap();
            assert_eq!(first.await.unwrap(), Some(1));
            for caller in late {
                assert_eq!(caller.await.unwrap(), Some(2));
            }
            assert_eq!(runs.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_query_that_panics_fails_its_callers_and_the_next_one_runs() {
        actix_web::rt::System::new().block_on(async {
            let shared = SharedQuery::<u8>::new();
            assert_eq!(
                shared.ask(|| panic!("on purpose")).once_begun(LONG).await,
                None
            );
            assert_eq!(shared.ask(|| 7).once_begun(LONG).await, Some(7));
        });
    }
}
