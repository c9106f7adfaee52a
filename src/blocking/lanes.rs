//! Jobs that block, so many at a time, each on a thread of the blocking pool. A lane that is done with a job takes up the
//! next one by itself: however many wait, none of them holds a thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::turns::{Answer, asker};

/// A queue of jobs and the lanes in which they run.
pub struct Lanes {
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    running: usize,
    jobs: VecDeque<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Lanes {
    /// At most so many jobs run at once.
    pub fn new(most: usize) -> Arc<Lanes> {
        Arc::new(Lanes {
            most,
            queue: Mutex::default(),
        })
    }

    /// Queues `job`; what it returns is the answer.
    pub fn start<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<T> {
        let (asker, answer) = asker();
        self.queue(move || {
            if let Some(asker) = asker.begin() {
                let _ = asker.send(job());
            }
        });
        answer
    }

    /// Puts a job into the queue. It is dropped unrun if the system has no thread for any lane.
    pub(super) fn queue(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.lock();
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
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::super::turns::Waited;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn no_more_jobs_run_at_once_than_there_are_lanes_and_all_are_done() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(3);
            let running = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            let jobs = (0..500).map(|number| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                lanes
                    .start(move || {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        number
                    })
                    .once_begun(LONG)
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
            let lanes = Lanes::new(1);
            let panics = lanes.start(|| -> u8 { panic!("on purpose") });
            assert_eq!(panics.once_begun(LONG).await, None);
            assert_eq!(lanes.start(|| 7).once_begun(LONG).await, Some(7));
        });
    }

    #[test]
    fn a_lane_that_got_no_thread_turns_its_askers_away_and_leaves_room_for_the_next() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1);
            let (asker, answer) = asker::<u8>();
            lanes.lock().jobs.push_back(Box::new(move || drop(asker)));
            lanes.lock().running = 1;
            let lost = Lane {
                lanes: Arc::clone(&lanes),
                is_claimed: Arc::default(),
            };
            lanes.close_unclaimed(&lost.is_claimed);
            assert_eq!(answer.once_begun(LONG).await, None);
            assert_eq!(lanes.start(|| 7).once_begun(LONG).await, Some(7));
            // It may get a thread after all, later, or be dropped.
            lost.run();
            drop(lost);
            assert_eq!(lanes.start(|| 8).once_begun(LONG).await, Some(8));
            while lanes.lock().running > 0 {
                actix_web::rt::task::yield_now().await;
            }
        });
    }

    #[test]
    fn patience_ends_with_the_wait_for_a_turn_and_not_within_it() {
        actix_web::rt::System::new().block_on(async {
            let lanes = Lanes::new(1);
            let short = Duration::from_millis(20);
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let mut first = lanes.start(move || {
                begin.send(()).unwrap();
                may_end.recv().is_ok()
            });
            let begun = actix_web::web::block(move || has_begun.recv()).await;
            begun.unwrap().unwrap();
            assert_eq!(first.wait(short).await, Waited::Running);
            // It waits for the first job, which ends only when it has given up.
            let ran = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&ran);
            let mut late = lanes.start(move || counted.fetch_add(1, Ordering::SeqCst));
            assert_eq!(late.wait(short).await, Waited::Nothing);
            end.send(()).unwrap();
            assert_eq!(first.once_begun(short).await, Some(true));
            let slow = lanes.start(move || std::thread::sleep(4 * short));
            assert_eq!(slow.once_begun(short).await, Some(()));
            assert_eq!(ran.load(Ordering::SeqCst), 0);
        });
    }
}
