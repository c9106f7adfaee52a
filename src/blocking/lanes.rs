//! Jobs that block, so many at a time, each on a thread of the blocking pool. A lane that is done with a job takes up the
//! next one by itself: however many wait, none of them holds a thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::turns::asker;

/// A queue of jobs and the lanes in which they run.
pub struct Lanes {
    most: usize,
    longest_queue: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    running: usize,
    jobs: VecDeque<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Lanes {
    /// At most so many jobs run at once, and at most so many more wait.
    pub fn new(most: usize, longest_queue: usize) -> Arc<Lanes> {
        Arc::new(Lanes {
            most,
            longest_queue,
            queue: Mutex::default(),
        })
    }

    /// Whether a job would be taken now.
    pub fn have_room(&self) -> bool {
        self.lock().jobs.len() < self.longest_queue
    }

    /// What `job` returns; `None` if the queue is full, if its turn did not come within `patience`, or if it panicked.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        patience: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (asker, answer) = asker();
        self.queue(move || {
            if let Some(asker) = asker.begin() {
                let _ = asker.send(job());
            }
        });
        answer.wait(patience).await
    }

    /// Puts a job into the queue. It is dropped unrun if the queue is full, or the system has no thread for any lane.
    pub(super) fn queue(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.lock();
        if queue.jobs.len() >= self.longest_queue {
            return;
        }
        queue.jobs.push_back(Box::new(job));
        if queue.running == self.most {
            return;
        }
        queue.running += 1;
        drop(queue);
        let lane = Lane {
            lanes: Arc::clone(self),
            is_claimed: Arc::default(),
        };
        let is_claimed = Arc::clone(&lane.is_claimed);
        // Where no thread is to be had, tokio panics, and keeps the lane for when it has one again.
        let spawned = catch_unwind(AssertUnwindSafe(|| {
            drop(actix_web::web::block(move || lane.run()));
        }));
        if spawned.is_err() {
            self.close_unclaimed(&is_claimed);
        }
    }

    /// Closes a lane, unless it runs or is closed already. Where it was the last one, nobody is left to run the jobs: those
    /// who wait for them are told so.
    fn close_unclaimed(&self, is_claimed: &AtomicBool) {
        if is_claimed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut queue = self.lock();
        queue.running -= 1;
        if queue.running == 0 {
            let jobs = std::mem::take(&mut queue.jobs);
            drop(queue);
            drop(jobs);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One lane. It runs, or is closed, once: whoever claims it first does that.
struct Lane {
    lanes: Arc<Lanes>,
    is_claimed: Arc<AtomicBool>,
}

impl Lane {
    fn run(&self) {
        if self.is_claimed.swap(true, Ordering::AcqRel) {
            return;
        }
        while let Some(job) = self.next_job() {
            // Whoever waits for the job is told by its end; the lane goes on.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; without one the lane is closed.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.lanes.lock();
        let job = queue.jobs.pop_front();
        queue.running -= usize::from(job.is_none());
        job
    }
}

impl Drop for Lane {
    /// A runtime that ends drops a lane unrun.
    fn drop(&mut self) {
        self.lanes.close_unclaimed(&self.is_claimed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use futures_util::future::{join, join_all};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn no_more_jobs_run_at_once_than_there_are_lanes_and_all_are_done() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(3, usize::MAX);
            let running = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            let jobs = (0..500).map(|number| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                lanes.run(LONG, move || {
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
            let lanes = Lanes::new(1, usize::MAX);
            let panics = lanes.run(LONG, || -> u8 { panic!("on purpose") });
            assert_eq!(panics.await, None);
            assert_eq!(lanes.run(LONG, || 7).await, Some(7));
        });
    }

    #[test]
    fn a_lane_that_got_no_thread_turns_its_askers_away_and_leaves_room_for_the_next() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1, usize::MAX);
            let (asker, answer) = asker::<u8>();
            lanes.lock().jobs.push_back(Box::new(move || drop(asker)));
            lanes.lock().running = 1;
            let lost = Lane {
                lanes: Arc::clone(&lanes),
                is_claimed: Arc::default(),
            };
            lanes.close_unclaimed(&lost.is_claimed);
            assert_eq!(answer.wait(LONG).await, None);
            assert_eq!(lanes.run(LONG, || 7).await, Some(7));
            // It may get a thread after all, later, or be dropped.
            lost.run();
            drop(lost);
            assert_eq!(lanes.run(LONG, || 8).await, Some(8));
            while lanes.lock().running > 0 {
                actix_web::rt::task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_full_queue_turns_the_next_one_away_at_once() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1, 1);
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let first = lanes.run(LONG, move || {
                begin.send(()).unwrap();
                may_end.recv().is_ok()
            });
            let others = async {
                let begun = actix_web::web::block(move || has_begun.recv()).await;
                begun.unwrap().unwrap();
                assert!(lanes.have_room());
                let (asker, second) = asker();
                lanes.queue(move || asker.begin().unwrap().send(2).unwrap());
                assert!(!lanes.have_room());
                assert_eq!(lanes.run(LONG, || 3).await, None);
                end.send(()).unwrap();
                second.wait(LONG).await
            };
            assert_eq!(join(first, others).await, (Some(true), Some(2)));
        });
    }

    #[test]
    fn patience_ends_with_the_wait_for_a_turn_and_not_within_it() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1, usize::MAX);
            let short = Duration::from_millis(20);
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let ran = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&ran);
            let first = lanes.run(LONG, move || {
                begin.send(()).unwrap();
                may_end.recv().is_ok()
            });
            let in_its_turn = async {
                actix_web::web::block(move || has_begun.recv())
                    .await
                    .unwrap()
                    .unwrap();
                // It waits for the first job, which ends only when it has given up.
                let late = lanes
                    .run(short, move || counted.fetch_add(1, Ordering::SeqCst))
                    .await;
                end.send(()).unwrap();
                late
            };
            assert_eq!(join(first, in_its_turn).await, (Some(true), None));
            let slow = lanes.run(short, move || std::thread::sleep(4 * short));
            assert_eq!(slow.await, Some(()));
            assert_eq!(ran.load(Ordering::SeqCst), 0);
        });
    }
}
