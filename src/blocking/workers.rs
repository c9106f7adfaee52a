//! A queue of blocking jobs and a bounded number of threads. Each thread takes the next job by itself, so a waiting job holds no
//! thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Thread, current, park_timeout};
use std::time::Duration;

use super::pending_job::{Callers, PendingJob, pending_job};

/// How long a thread waits for the next job before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A queue of jobs and the threads that run them.
pub struct Workers {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// The threads without a job. The latest is woken first, so that the others end after a flood
    idle: Vec<Thread>,
    /// A thread was woken or started for the queued jobs, and has not looked at them yet
    is_waking: bool,
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
        self.wake(queue);
    }

    /// Wakes or starts a thread for the queued jobs. One at a time: it wakes the next when it has taken a job, and threads that
    /// end a job meanwhile take the next one without a system call.
    fn wake(self: &Arc<Self>, mut queue: MutexGuard<Queue>) {
        if queue.is_waking || queue.jobs.is_empty() {
            return;
        }
        if let Some(thread) = queue.idle.pop() {
            queue.is_waking = true;
            drop(queue);
            thread.unpark();
        } else if queue.threads < self.most {
            queue.is_waking = true;
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
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        idle.iter().for_each(Thread::unpark);
        drop(jobs);
    }

    /// How many threads run a job.
    pub fn busy(&self) -> usize {
        let queue = self.lock();
        queue.threads - queue.idle.len()
    }

    /// Frees the slot of a thread that was not made. An idle thread looks at the jobs instead. If there is no other thread, drops
    /// the queue, so that callers fail at once.
    fn lose_thread(&self) {
        let mut queue = self.lock();
        queue.threads -= 1;
        let idle = queue.idle.pop();
        queue.is_waking = idle.is_some();
        let jobs = match queue.threads {
            0 => std::mem::take(&mut queue.jobs),
            _ => VecDeque::new(),
        };
        drop(queue);
        idle.iter().for_each(Thread::unpark);
        drop(jobs);
    }

    fn work(self: &Arc<Self>) {
        let mut is_woken = true;
        loop {
            let mut queue = self.lock();
            queue.is_waking &= !is_woken;
            is_woken = false;
            if let Some(job) = queue.jobs.pop_front() {
                self.wake(queue);
                // A panic drops the job's result, which tells its caller; the thread goes on.
                let _ = catch_unwind(AssertUnwindSafe(job));
                continue;
            }
            if queue.is_closed {
                queue.threads -= 1;
                return;
            }
            queue.idle.push(current());
            drop(queue);
            park_timeout(KEEP_ALIVE);
            let mut queue = self.lock();
            let own = current().id();
            match queue.idle.iter().position(|thread| thread.id() == own) {
                None => is_woken = true,
                Some(index) => {
                    queue.idle.remove(index);
                    if queue.jobs.is_empty() {
                        queue.threads -= 1;
                        return;
                    }
                }
            }
        }
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
