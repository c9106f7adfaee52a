//! A queue of blocking jobs and a bounded number of threads. Each thread takes the next job by itself, so a waiting job holds no
//! thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use super::pending_job::{Callers, PendingJob, pending_job};

/// How long a thread waits for the next job before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A queue of jobs and the threads that run them.
pub struct Workers {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
    job_queued: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// A queue with at most `most` threads of this name, which start when jobs come.
    pub fn new(name: &'static str, most: usize) -> Arc<Workers> {
        Arc::new(Workers {
            name,
            most,
            queue: Mutex::default(),
            job_queued: Condvar::new(),
        })
    }

    /// Queues `job`, which is dropped if its caller no longer waits when its turn comes.
    pub fn start<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&dyn Callers) -> T + Send + 'static,
    ) -> PendingJob<T> {
        let (caller, pending) = pending_job();
        self.queue(move || {
            if caller.are_waiting() {
                let result = job(&caller);
                caller.send(result);
            }
        });
        pending
    }

    /// Queues `job`. Drops it after [`Workers::close`], or if the system gives no thread to any worker.
    pub fn queue(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.lock();
        if queue.is_closed {
            return;
        }
        queue.jobs.push_back(Box::new(job));
        if queue.jobs.len() <= queue.idle {
            self.job_queued.notify_one();
        } else if queue.threads < self.most {
            queue.threads += 1;
            drop(queue);
            let workers = Arc::clone(self);
            let thread = Builder::new().name(self.name.to_owned());
            if thread.spawn(move || workers.work()).is_err() {
                self.lose_thread();
            }
        }
    }

    /// Drops the queued jobs and ends each thread after its present job. Callers of dropped jobs fail at once.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.is_closed = true;
        let jobs = std::mem::take(&mut queue.jobs);
        drop(queue);
        self.job_queued.notify_all();
        drop(jobs);
    }

    /// How many threads run a job.
    pub fn busy(&self) -> usize {
        let queue = self.lock();
        queue.threads - queue.idle
    }

    /// Frees the slot of a thread that was not made. If there is no other, drops the queue, so that callers fail at once.
    fn lose_thread(&self) {
        let mut queue = self.lock();
        queue.threads -= 1;
        if queue.threads == 0 {
            let jobs = std::mem::take(&mut queue.jobs);
            drop(queue);
            drop(jobs);
        }
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A panic drops the job's result, which tells its caller; the thread goes on.
                let _ = catch_unwind(AssertUnwindSafe(job));
                queue = self.lock();
                continue;
            }
            if queue.is_closed {
                break;
            }
            queue.idle += 1;
            let (woken, wait) = self
                .job_queued
                .wait_timeout(queue, KEEP_ALIVE)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if wait.timed_out() && queue.jobs.is_empty() {
                break;
            }
        }
        queue.threads -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn no_more_jobs_run_at_once_than_there_are_threads_and_all_are_done() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new("test", 3);
            let running = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            let jobs = (0..500).map(|number| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                let job = workers.start(move |_| {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    number
                });
                job.result(LONG, LONG)
            });
            let done = join_all(jobs).await;
            assert_eq!(done, (0..500).map(Some).collect::<Vec<_>>());
            assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
        });
    }

    #[test]
    fn a_job_that_panics_costs_no_thread() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new("test", 1);
            let panics = workers.start(|_| -> u8 { panic!("on purpose") });
            assert_eq!(panics.result(LONG, LONG).await, None);
            assert_eq!(workers.start(|_| 7).result(LONG, LONG).await, Some(7));
        });
    }

    #[test]
    fn without_a_thread_callers_fail_at_once_and_the_slot_is_free() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new("test", 1);
            let (caller, pending) = pending_job::<u8>();
            workers
                .lock()
                .jobs
                .push_back(Box::new(move || drop(caller)));
            workers.lock().threads = 1;
            workers.lose_thread();
            assert_eq!(pending.result(LONG, LONG).await, None);
            assert_eq!(workers.start(|_| 7).result(LONG, LONG).await, Some(7));
        });
    }

    #[test]
    fn a_queue_that_is_closed_drops_its_jobs_and_finishes_the_present_one() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new("test", 1);
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let present = workers.start(move |_| {
                begin.send(()).unwrap();
                may_end.recv().is_ok()
            });
            has_begun.recv().unwrap();
            let queued = workers.start(|_| 7);
            workers.close();
            assert_eq!(queued.result(LONG, LONG).await, None);
            assert_eq!(workers.start(|_| 8).result(LONG, LONG).await, None);
            assert_eq!(workers.busy(), 1);
            end.send(()).unwrap();
            assert_eq!(present.result(LONG, LONG).await, Some(true));
            while workers.busy() > 0 {
                std::thread::yield_now();
            }
        });
    }

    #[test]
    fn a_job_whose_caller_has_left_is_dropped_and_one_that_has_begun_gets_its_time() {
        actix_web::rt::System::new().block_on(async {
            let workers = Workers::new("test", 1);
            let (end, may_end) = mpsc::channel::<()>();
            let first = workers.start(move |callers| {
                callers.begin();
                may_end.recv().is_ok()
            });
            // It waits for the first job, which ends only after its caller has left.
            let ran = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&ran);
            let late = workers.start(move |_| counted.fetch_add(1, Ordering::SeqCst));
            assert_eq!(late.result(SHORT, LONG).await, None);
            end.send(()).unwrap();
            assert_eq!(first.result(SHORT, LONG).await, Some(true));
            let slow = workers.start(|callers| {
                callers.begin();
                std::thread::sleep(4 * SHORT);
            });
            assert_eq!(slow.result(SHORT, LONG).await, Some(()));
            assert_eq!(ran.load(Ordering::SeqCst), 0);
        });
    }
}
