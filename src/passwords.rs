//! Checks passwords on dedicated worker threads behind a bounded queue, and limits failed logins.
//!
//! Every refusal is held back until the slowest kind of hash that was checked since the start would be done. So its time does not
//! tell whether a user exists. (A name that is longer than any column holds is refused at once.)

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blocking::workers::Workers;
use crate::config::Rate;
use crate::db::error::DbError;
use crate::db::models::users::User;
use crate::django::backends::authenticating;
use crate::django::hashers::{EncodedPassword, Unusable, Verification, Work, verify_unknown_user};
use crate::django::negotiation::Renderer;
use crate::django::sessions::UserId;
use crate::django::settings::Settings;
use crate::error::{Error, ErrorKind, whole_seconds};

mod throttle;

use throttle::Throttle;
pub use throttle::{LONGEST_NAME, LoginAttempt};

/// Queue slots per worker thread. A full queue takes some seconds at Django's default cost.
const QUEUE_PER_WORKER: usize = 24;

/// How long a password waits for a worker thread. After a flood the queue is empty by then, whatever a hash costs.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a check may take: the hashers refuse costs that would come near it.
const LONGEST_CHECK: Duration = Duration::from_secs(60);

/// The worker threads that check passwords, their queue, and the limit to failed logins. One core stays free for all other
/// work; passwords beyond the queue's length are refused.
pub struct Passwords {
    workers: Arc<Workers>,
    queue: Arc<Semaphore>,
    queue_size: usize,
    throttle: Throttle,
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
            NotChecked::Throttled(wait) => {
                Error::rendered(ErrorKind::Throttled(whole_seconds(wait)), renderer)
            }
            NotChecked::Busy => Error::rendered(ErrorKind::Unavailable, renderer),
            NotChecked::Unavailable(error) => Error::unavailable(&error, renderer),
        }
    }
}

/// The result of a check, and its duration.
pub struct TimedCheck {
    /// The check
    pub check: PasswordCheck,
    /// How long the hash took
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
            throttle: Throttle::new(rate),
            pace: Pace::default(),
        })
    }

    /// How many passwords are being checked or wait in the queue.
    pub fn queue_length(&self) -> usize {
        self.queue_size - self.queue.available_permits()
    }

    /// A login attempt of the client at this address (`None`: of the unix socket).
    ///
    /// # Errors
    /// The time until the next attempt, where too many have failed.
    pub fn attempt(&self, address: Option<IpAddr>) -> Result<LoginAttempt, Duration> {
        self.admitted(self.throttle.attempt(address))
    }

    /// The same attempt under a user name.
    ///
    /// # Errors
    /// As [`Passwords::attempt`].
    pub fn under_name(
        &self,
        attempt: LoginAttempt,
        username: &str,
    ) -> Result<LoginAttempt, Duration> {
        self.admitted(self.throttle.under_name(attempt, username))
    }

    fn admitted(&self, attempt: LoginAttempt) -> Result<LoginAttempt, Duration> {
        match self.throttle.retry_after(attempt) {
            Some(wait) => Err(wait),
            None => Ok(attempt),
        }
    }

    /// Counts a failed attempt for which nothing had to be hashed.
    pub fn record_failure(&self, attempt: LoginAttempt) {
        self.throttle.record_failure(attempt);
    }

    /// A permit for the queue; `None`: the queue is full.
    pub fn try_enqueue(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.queue).try_acquire_owned().ok()
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
            passwords.admitted(attempt)?;
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
        let floor = self.pace.learn(check.work, took);
        let pause = match check.user {
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

/// The result of checking a name and a password.
pub struct PasswordCheck {
    /// The user, where the password is right and a backend admits the user
    pub user: Option<User>,
    /// The id of the user who has this name, admitted or not
    pub id: Option<UserId>,
    /// The step that decided it
    pub outcome: PasswordOutcome,
    /// What was computed
    pub work: Work,
}

/// The step at which a name and a password are refused, in the order of the steps; the last is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordOutcome {
    /// No user has this name
    NoSuchUser,
    /// No password matches what is stored
    Unusable(Unusable),
    /// The password is wrong
    WrongPassword,
    /// The password is right, but no backend that checks passwords admits this user, who may be inactive
    NotAdmitted,
    /// The password is right
    Good,
}

impl PasswordOutcome {
    /// Its name in the log.
    pub fn label(self) -> &'static str {
        match self {
            PasswordOutcome::NoSuchUser => "no_such_user",
            PasswordOutcome::Unusable(_) => "unusable_password",
            PasswordOutcome::WrongPassword => "wrong_password",
            PasswordOutcome::NotAdmitted => "not_admitted",
            PasswordOutcome::Good => "good",
        }
    }
}

/// Whether `password` is this user's, and whether a backend admits the user (`ModelBackend.authenticate`, Django 5.2). Without a
/// user it hashes as well, as Django does. Blocking: it takes as long as the hash.
pub fn check_password(settings: &Settings, user: Option<User>, password: &str) -> PasswordCheck {
    let id = user.as_ref().map(|user| user.id);
    let refused = |outcome, work| PasswordCheck {
        user: None,
        id,
        outcome,
        work,
    };
    let Some(user) = user else {
        let work = verify_unknown_user(password, &settings.hashing).work;
        return refused(PasswordOutcome::NoSuchUser, work);
    };
    let encoded = EncodedPassword::parse(&user.password);
    let Verification { correct, work } = encoded.verify(password, &settings.hashing);
    let backends = &settings.authentication_backends;
    match encoded.unusable() {
        Some(unusable) => refused(PasswordOutcome::Unusable(unusable), work),
        None if !correct => refused(PasswordOutcome::WrongPassword, work),
        None if authenticating(backends, user.is_active).is_none() => {
            refused(PasswordOutcome::NotAdmitted, work)
        }
        None => PasswordCheck {
            user: Some(user),
            id,
            outcome: PasswordOutcome::Good,
            work,
        },
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
