//! A queue of blocking jobs and a bounded number of workers, each on a thread of tokio's blocking pool. A worker takes the next
//! job from the queue by itself, so a waiting job holds no thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pending_job::{PendingJob, pending_job};

/// A queue of jobs and the workers that run them.
pub struct Workers {
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    running: usize,
    jobs: VecDeque<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// A queue with at most `most` workers, which start when jobs come.
    pub fn new(most: usize) -> Arc<Workers> {
        Arc::new(Workers {
            most,
            queue: Mutex::default(),
        })
    }

    /// Queues `job`.
    pub fn start<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> PendingJob<T> {
        let (result, pending) = pending_job();
        self.queue(move || {
            if let Some(sender) = result.begin() {
                let _ = sender.send(job());
            }
        });
        pending
    }

    /// Queues a job. If the system has no thread for any worker, the job is dropped.
    pub(super) fn queue(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.running == self.most {
            return;
        }
        queue.running += 1;
        drop(queue);
        let worker = Worker {
            workers: Arc::clone(self),
            is_claimed: Arc::default(),
        };
        let is_claimed = Arc::clone(&worker.is_claimed);
        // Without a thread tokio panics, but keeps the worker and may run it later.
        let spawned = catch_unwind(AssertUnwindSafe(|| {
            drop(actix_web::web::block(move || worker.run()));
        }));
        if spawned.is_err() {
            self.free_slot(&is_claimed);
        }
    }

    /// Frees the slot of a worker that got no thread. If no worker is left, drops the queue, so that callers fail at once.
    fn free_slot(&self, is_claimed: &AtomicBool) {
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

/// One worker. It runs or its slot is freed, whichever claims it first.
struct Worker {
    workers: Arc<Workers>,
    is_claimed: Arc<AtomicBool>,
}

impl Worker {
    fn run(&self) {
        if self.is_claimed.swap(true, Ordering::AcqRel) {
            return;
        }
        while let Some(job) = self.next_job() {
            // A panic drops the job's result, which tells its caller; the worker goes on.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; without one, frees the worker's slot.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.workers.lock();
        let job = queue.jobs.pop_front();
        queue.running -= usize::from(job.is_none());
        job
    }
}

impl Drop for Worker {
    /// A runtime that ends drops a worker before it has run.
    fn drop(&mut self) {
        self.workers.free_slot(&self.is_claimed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::super::pending_job::Wait;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn no_more_jobs_run_at_once_than_there_are_workers_and_all_are_done() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new(3);
            let running = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            let jobs = (0..500).map(|number| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                workers
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
            // A worker sends the result before it looks for the next job.
            while workers.lock().running > 0 {
                actix_web::rt::task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_job_that_panics_costs_no_worker() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new(1);
            let panics = workers.start(|| -> u8 { panic!("on purpose") });
            assert_eq!(panics.once_begun(LONG).await, None);
            assert_eq!(workers.start(|| 7).once_begun(LONG).await, Some(7));
        });
    }

    #[test]
    fn a_worker_that_got_no_thread_fails_its_callers_and_frees_its_slot() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new(1);
            let (result, pending) = pending_job::<u8>();
            workers
                .lock()
                .jobs
                .push_back(Box::new(move || drop(result)));
            workers.lock().running = 1;
            let lost = Worker {
                workers: Arc::clone(&workers),
                is_claimed: Arc::default(),
            };
            workers.free_slot(&lost.is_claimed);
            assert_eq!(pending.once_begun(LONG).await, None);
            assert_eq!(workers.start(|| 7).once_begun(LONG).await, Some(7));
            // It may get a thread after all, later, or be dropped.
            lost.run();
            drop(lost);
            assert_eq!(workers.start(|| 8).once_begun(LONG).await, Some(8));
            while workers.lock().running > 0 {
                actix_web::rt::task::yield_now().await;
            }
        });
    }

    #[test]
    fn the_timeout_counts_for_the_wait_in_the_queue_and_not_for_the_run() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new(1);
            let short = Duration::from_millis(20);
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let mut first = workers.start(move || {
                begin.send(()).unwrap();
                may_end.recv().is_ok()
            });
            let begun = actix_web::web::block(move || has_begun.recv()).await;
            begun.unwrap().unwrap();
            assert_eq!(first.wait(short).await, Wait::Running);
            // It waits for the first job, which ends only when it has given up.
            let ran = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&ran);
            let mut late = workers.start(move || counted.fetch_add(1, Ordering::SeqCst));
            assert_eq!(late.wait(short).await, Wait::Dropped);
            end.send(()).unwrap();
            assert_eq!(first.once_begun(short).await, Some(true));
            let slow = workers.start(move || std::thread::sleep(4 * short));
            assert_eq!(slow.once_begun(short).await, Some(()));
            assert_eq!(ran.load(Ordering::SeqCst), 0);
        });
    }
}
