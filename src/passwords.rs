//! Checks passwords on dedicated worker threads behind a bounded queue, and limits failed logins.
//!
//! Every refusal is held back until the slowest kind of hash that was checked since the start would be done. So its time does not
//! tell whether a user exists. (A name that is longer than any column holds is refused at once.)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::blocking::workers::Workers;
use crate::config::Rate;
use crate::db::error::DbError;
use crate::django::hashers::Work;
use crate::django::negotiation::Renderer;
use crate::error::{Error, ErrorKind};

pub mod check;
pub mod throttle;

use check::PasswordCheck;
use throttle::{LoginAttempt, Throttle};

/// Queue slots per worker thread. A full queue takes some seconds at Django's default cost.
const QUEUE_PER_WORKER: usize = 24;

/// How long a password waits for a worker thread. After a flood the queue is empty by then, whatever a hash costs.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);

/// How many names are looked up at a time by reading the whole user table, as Django's `iexact` does. They leave most of the
/// connections to other queries.
const SCANS_AT_A_TIME: usize = 2;

/// How long a check may take: the hashers refuse costs that would come near it.
const LONGEST_CHECK: Duration = Duration::from_secs(60);

/// The worker threads that check passwords, their queue, and the limit to failed logins. One core stays free for all other
/// work; passwords beyond the queue's length are refused.
pub struct Passwords {
    workers: Arc<Workers>,
    queue: Arc<Semaphore>,
    queue_size: usize,
    scans: Arc<Semaphore>,
    /// The limit to failed logins
    pub throttle: Throttle,
    pace: Pace,
}

/// Why a password was not checked.
pub enum NotChecked {
    /// Too many logins failed before: the time until the next may be tried
    Throttled(Duration),
    /// The queue is full
    Busy,
    /// The database did not answer
    Unavailable(DbError),
}

impl NotChecked {
    /// Its name in the metrics.
    pub fn label(&self) -> &'static str {
        match self {
            NotChecked::Throttled(_) => "throttled",
            NotChecked::Busy => "busy",
            NotChecked::Unavailable(_) => "unavailable",
        }
    }

    /// The answer to the client: 429, or 503.
    pub fn into_error(self, renderer: Renderer) -> Error {
        match self {
            NotChecked::Throttled(wait) => Error::rendered(ErrorKind::Throttled(wait), renderer),
            NotChecked::Busy => Error::rendered(ErrorKind::Unavailable, renderer),
            NotChecked::Unavailable(error) => Error::unavailable(&error, renderer),
        }
    }
}

/// The result of a check, and its duration.
pub struct TimedCheck {
    /// The check
    pub check: PasswordCheck,
    /// How long the hashes took
    pub took: Duration,
    /// How long the answer is held back, so that every refusal takes the same time
    pub pause: Duration,
}

impl Passwords {
    /// Workers for a machine with this number of cores, under this limit to failed logins.
    pub fn new(cores: usize, rate: Option<Rate>) -> Arc<Passwords> {
        let workers = cores.saturating_sub(1).max(1);
        let queue_size = workers + workers * QUEUE_PER_WORKER;
        Arc::new(Passwords {
            workers: Workers::new("password", workers),
            queue: Arc::new(Semaphore::new(queue_size)),
            queue_size,
            scans: Arc::new(Semaphore::new(SCANS_AT_A_TIME)),
            throttle: Throttle::new(rate),
            pace: Pace::default(),
        })
    }

    /// How many passwords are being checked or wait in the queue.
    pub fn queue_length(&self) -> usize {
        self.queue_size - self.queue.available_permits()
    }

    /// A permit for the queue; `None`: the queue is full.
    pub fn try_enqueue(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.queue).try_acquire_owned().ok()
    }

    /// A permit to look a name up by reading the whole user table; `None`: the deadline is over.
    pub async fn permit_scan(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let acquired = Arc::clone(&self.scans).acquire_owned();
        let permit = timeout_at(deadline.into(), acquired).await;
        // The semaphore is never closed.
        permit.ok()?.ok()
    }

    /// Runs `check` on a worker thread, counts its outcome for the throttle, and says how long a refusal is held back.
    ///
    /// # Errors
    /// The queue's timeout is over, or attempts that ran meanwhile have reached the limit.
    pub async fn run(
        self: &Arc<Self>,
        attempt: LoginAttempt,
        check: impl FnOnce() -> PasswordCheck + Send + 'static,
    ) -> Result<TimedCheck, NotChecked> {
        let passwords = Arc::clone(self);
        let result = self.workers.start(move |callers| {
            callers.begin();
            // The attempt that ran before this one may have reached the limit.
            passwords.throttle.admit(attempt)?;
            Ok(passwords.timed(attempt, check))
        });
        let result = result.result(QUEUE_TIMEOUT, LONGEST_CHECK).await;
        result
            .ok_or(NotChecked::Busy)?
            .map_err(NotChecked::Throttled)
    }

    fn timed(&self, attempt: LoginAttempt, check: impl FnOnce() -> PasswordCheck) -> TimedCheck {
        let began = Instant::now();
        let check = check();
        let took = began.elapsed();
        let floors = check.hashes.iter();
        let floors = floors.map(|(work, took)| self.pace.learn(*work, *took));
        let floor = floors.max().unwrap_or_default();
        let pause = match check.admitted {
            Some(_) => {
                self.throttle.record_success(attempt);
                Duration::ZERO
            }
            None => {
                self.throttle.record_failure(attempt);
                floor.saturating_sub(took)
            }
        };
        TimedCheck { check, took, pause }
    }
}

/// The shortest time that each kind of hash has taken.
#[derive(Default)]
struct Pace {
    fastest: Mutex<HashMap<Work, Duration>>,
}

impl Pace {
    /// Kinds that are remembered.
    const MOST: usize = 64;

    /// The longest that a refusal takes for this reason.
    const LONGEST: Duration = Duration::from_secs(1);

    /// Notes how long this work took, and returns how long every refusal takes: as long as the slowest kind, plus a tenth, within
    /// which the times of an idle machine vary.
    fn learn(&self, work: Work, took: Duration) -> Duration {
        // No code that can panic runs under the lock.
        let mut fastest = self.fastest.lock().unwrap_or_else(PoisonError::into_inner);
        if fastest.len() < Self::MOST || fastest.contains_key(&work) {
            let known = fastest.entry(work).or_insert(took);
            *known = took.min(*known);
        }
        let slowest = fastest.values().max().copied().unwrap_or_default();
        (slowest + slowest / 10).min(Self::LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_take_as_long_as_the_slowest_kind_of_hash_at_its_best() {
        let pace = Pace::default();
        let (cheap, dear) = (Work::Pbkdf2Sha256(1), Work::Pbkdf2Sha256(2));
        let milliseconds = Duration::from_millis;
        assert_eq!(pace.learn(cheap, milliseconds(10)), milliseconds(11));
        assert_eq!(pace.learn(dear, milliseconds(900)), milliseconds(990));
        assert_eq!(pace.learn(dear, milliseconds(20)), milliseconds(22));
        assert_eq!(pace.learn(cheap, milliseconds(500)), milliseconds(22));
        let hostile = Work::Pbkdf2Sha256(9_999_999);
        assert_eq!(pace.learn(hostile, milliseconds(5000)), Pace::LONGEST);
    }
}
