//! Jobs that block, so many at a time, each on a thread of the blocking pool. A lane that is done with a job takes up the
//! next one by itself: however many wait, none of them holds a thread, and none is started twice.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// A queue of jobs and the lanes in which they run.
pub(super) struct Lanes {
    most: usize,
    longest_wait: Duration,
    state: Mutex<State>,
}

struct State {
    running: usize,
    jobs: VecDeque<Job>,
}

struct Job {
    queued: Instant,
    run: Box<dyn FnOnce() + Send>,
}

impl Lanes {
    /// At most so many jobs run at once; one that has waited longer than `longest_wait` is not started any more.
    pub(super) fn new(most: usize, longest_wait: Duration) -> Arc<Lanes> {
        Arc::new(Lanes {
            most,
            longest_wait,
            state: Mutex::new(State {
                running: 0,
                jobs: VecDeque::new(),
            }),
        })
    }

    /// What `job` returns; `None` if it waited too long or panicked.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (asker, answer) = oneshot::channel();
        let job = Job {
            queued: Instant::now(),
            run: Box::new(move || {
                // Who has gone away while it waited needs no answer.
                if !asker.is_closed() {
                    let _ = asker.send(job());
                }
            }),
        };
        let has_free_lane = {
            let mut state = self.lock();
            state.jobs.push_back(job);
            let has_free_lane = state.running < self.most;
            state.running += usize::from(has_free_lane);
            has_free_lane
        };
        if has_free_lane {
            let lanes = Arc::clone(self);
            drop(actix_web::web::block(move || lanes.run_queued()));
        }
        answer.await.ok()
    }

    fn run_queued(&self) {
        loop {
            let job = {
                let mut state = self.lock();
                let Some(job) = state.jobs.pop_front() else {
                    state.running -= 1;
                    return;
                };
                job
            };
            if job.queued.elapsed() <= self.longest_wait {
                // The job's own asker is told; the lane goes on.
                let _ = catch_unwind(AssertUnwindSafe(job.run));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::{join_all, join3};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn no_more_jobs_run_at_once_than_there_are_lanes_and_all_are_done() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(3, LONG);
            let running = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            let jobs = (0..500).map(|number| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                lanes.run(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    number
                })
            });
            let done = join_all(jobs).await;
            assert_eq!(done, (0..500).map(Some).collect::<Vec<_>>());
            assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
            // A lane answers first and looks for the next job then.
            while lanes.lock().running > 0 {
                actix_web::rt::task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_job_that_panics_costs_no_lane() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1, LONG);
            assert_eq!(lanes.run(|| -> u8 { panic!("on purpose") }).await, None);
            assert_eq!(lanes.run(|| 7).await, Some(7));
        });
    }

    #[test]
    fn a_job_that_waited_too_long_or_whose_asker_has_gone_is_not_run() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1, Duration::ZERO);
            let (end, may_end) = std::sync::mpsc::channel::<()>();
            let ran = Arc::new(AtomicUsize::new(0));
            let first = lanes.run(move || may_end.recv().is_ok());
            let counted = Arc::clone(&ran);
            let late = lanes.run(move || counted.fetch_add(1, Ordering::SeqCst));
            let (first, late, ()) = join3(first, late, async { end.send(()).unwrap() }).await;
            assert_eq!((late, ran.load(Ordering::SeqCst)), (None, 0));
            // The first one found a free lane; whether that was at once is the machine's affair.
            assert!(matches!(first, Some(true) | None));
        });
    }
}
