//! Names and passwords: the one path for HTTP Basic and for login (`django.contrib.auth.authenticate` with
//! `ModelBackend`), so that unknown, inactive and unusable accounts cost what a wrong password costs.
//!
//! What is refused is refused after the same time, whatever was computed for it: after the time that the slowest of the
//! stored kinds of hash takes, as far as any of them has been seen since the start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::rt::time::sleep;
use log::Level;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::throttle::{Attempt, LONGEST_NAME, Throttle};
use crate::blocking::Lanes;
use crate::config::Rate;
use crate::db::{DbError, User};
use crate::django::backends::authenticating;
use crate::django::hashers::{EncodedPassword, Unusable, Verification, Work, verify_nobody};
use crate::django::sessions::UserId;
use crate::django::settings::Settings;
use crate::request::{client, deadline, postpone_deadline};
use crate::state::State;
use crate::telemetry::trace::Trace;

/// Passwords that wait for each one that is hashed: some seconds' worth of Django's current hashes.
const QUEUE_EACH: usize = 24;

/// How long a password waits for its turn: after a flood the queue is empty by then, whatever a hash costs.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where passwords are checked: one core stays free for everything else, a flood of them is turned away, and who guesses
/// is held up.
pub struct Passwords {
    lanes: Arc<Lanes>,
    room: Arc<Semaphore>,
    places: usize,
    throttle: Throttle,
    pace: Pace,
}

/// Why a password was not checked.
pub enum Unchecked {
    /// Too many failed before: again after so long
    Throttled(Duration),
    /// Too many wait already
    Busy,
    /// The database's fault
    Unavailable(DbError),
}

impl Unchecked {
    /// Its name in the metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Unchecked::Throttled(_) => "throttled",
            Unchecked::Busy => "busy",
            Unchecked::Unavailable(_) => "unavailable",
        }
    }
}

impl Passwords {
    /// For so many cores, with this limit to failures.
    pub fn new(cores: usize, rate: Option<Rate>) -> Arc<Passwords> {
        let most = cores.saturating_sub(1).max(1);
        let places = most + most * QUEUE_EACH;
        Arc::new(Passwords {
            lanes: Lanes::new(most),
            room: Arc::new(Semaphore::new(places)),
            places,
            throttle: Throttle::new(rate),
            pace: Pace::default(),
        })
    }

    /// How many are being checked, or wait for it.
    pub fn queue_length(&self) -> usize {
        self.places - self.room.available_permits()
    }
}

/// The user of this name and password whom a backend admits. The connection is back in the pool before hashing begins.
/// The database is not asked while the queue is full, nor after too many failures, nor for a name that is too long to be
/// any user's: that one is a failure of its address, and needs no hash, for it says nothing about who exists.
///
/// # Errors
/// Why it can't be told.
pub async fn authenticate(
    state: &State,
    req: &HttpRequest,
    username: String,
    password: Zeroizing<String>,
) -> Result<Option<User>, Unchecked> {
    let passwords = Arc::clone(&state.passwords);
    let address = client(state, req);
    let attempt = passwords.throttle.attempt(address);
    let (log, trace) = (&state.rate_limited_log, Trace::of(req));
    let throttled = |wait: Duration| {
        let message =
            "too many logins of one client, or under one name, have failed: answering 429";
        log.every_minute(Level::Warn, module_path!(), message);
        Unchecked::Throttled(wait)
    };
    // The address decides before anything that costs.
    if let Some(wait) = passwords.throttle.retry_after(attempt) {
        return Err(throttled(wait));
    }
    if username.chars().nth(LONGEST_NAME).is_some() {
        passwords.throttle.record_failure(attempt);
        trace.audit_refused_password(None::<&UserId>, Why::NoSuchUser.label());
        return Ok(None);
    }
    let attempt = passwords.throttle.under_name(attempt, &username);
    if let Some(wait) = passwords.throttle.retry_after(attempt) {
        return Err(throttled(wait));
    }
    let Ok(room) = Arc::clone(&passwords.room).try_acquire_owned() else {
        let message = "the queue of passwords is full: answering 503";
        log.every_minute(Level::Warn, module_path!(), message);
        return Err(Unchecked::Busy);
    };
    let find = move |connection: &mut _, table: &crate::db::UserTable| {
        table.find_by_username(connection, &username)
    };
    let user = trace
        .in_database(state.db.run(deadline(req), find))
        .await
        .map_err(Unchecked::Unavailable)?;
    let verify = verification(state, user, password);
    let (judge, began) = (Arc::clone(&passwords), Instant::now());
    let judged = passwords.lanes.start(move || {
        // The one before may have been the one too many.
        match judge.throttle.retry_after(attempt) {
            Some(wait) => Err(wait),
            None => Ok(judge.judge(attempt, verify)),
        }
    });
    let judged = judged.once_begun(PATIENCE).await.ok_or(Unchecked::Busy)?;
    drop(room);
    trace.was_hashing(began.elapsed());
    let Judged {
        verdict,
        took,
        pause,
    } = judged.map_err(throttled)?;
    state.metrics.hashed(took);
    if verdict.user.is_none() {
        trace.audit_refused_password(verdict.id.as_ref(), verdict.why.label());
    }
    sleep(pause).await;
    postpone_deadline(req, began.elapsed());
    Ok(verdict.user)
}

/// The work that decides whether `password` is the user's.
fn verification(
    state: &State,
    user: Option<User>,
    password: Zeroizing<String>,
) -> impl FnOnce() -> Verdict + use<> {
    let (settings, log) = (state.settings(), Arc::clone(&state.rate_limited_log));
    move || {
        let verdict = judge(&settings, user, &password);
        if let Why::Unusable(Unusable::Malformed | Unusable::TooCostly) = verdict.why
            && let Some(id) = verdict.id
        {
            let message = format!("nobody can log in with the stored password of user {id}");
            log.warn_hourly(module_path!(), (), &message);
        }
        verdict
    }
}

/// What a name and a password come to.
pub struct Verdict {
    /// The user whom they admit
    pub user: Option<User>,
    /// The id of the user who has this name, admitted or not
    pub id: Option<UserId>,
    /// What decided it
    pub why: Why,
    /// What was computed
    pub work: Work,
}

/// Why a name and a password are refused, in the order in which it is looked for; the last is that they are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Nobody has this name
    NoSuchUser,
    /// No password matches what is stored
    Unusable(Unusable),
    /// It is another password
    WrongPassword,
    /// No backend checks passwords and admits this user, who may be inactive
    NotAdmitted,
    /// They are the user's
    Good,
}

impl Why {
    /// Its name in the log.
    fn label(self) -> &'static str {
        match self {
            Why::NoSuchUser => "no_such_user",
            Why::Unusable(_) => "unusable_password",
            Why::WrongPassword => "wrong_password",
            Why::NotAdmitted => "not_admitted",
            Why::Good => "good",
        }
    }
}

/// Decides whether `password` is the user's, and whether a backend admits the user. Takes its time.
pub fn judge(settings: &Settings, user: Option<User>, password: &str) -> Verdict {
    let id = user.as_ref().map(|user| user.id);
    let refused = |why, work| Verdict {
        user: None,
        id,
        why,
        work,
    };
    let Some(user) = user else {
        let work = verify_nobody(password, &settings.hashing).work;
        return refused(Why::NoSuchUser, work);
    };
    let encoded = EncodedPassword::parse(&user.password);
    let Verification { correct, work } = encoded.verify(password, &settings.hashing);
    let backends = &settings.authentication_backends;
    match encoded.unusable() {
        Some(unusable) => refused(Why::Unusable(unusable), work),
        None if !correct => refused(Why::WrongPassword, work),
        None if authenticating(backends, user.is_active).is_none() => {
            refused(Why::NotAdmitted, work)
        }
        None => Verdict {
            user: Some(user),
            id,
            why: Why::Good,
            work,
        },
    }
}

/// What came of a password.
struct Judged {
    verdict: Verdict,
    /// How long that took to tell
    took: Duration,
    /// How long to wait before saying so
    pause: Duration,
}

impl Passwords {
    fn judge(&self, attempt: Attempt, verify: impl FnOnce() -> Verdict) -> Judged {
        let began = Instant::now();
        let verdict = verify();
        let took = began.elapsed();
        let floor = self.pace.learn(verdict.work, took);
        let pause = match verdict.user {
            Some(_) => {
                self.throttle.record_success(attempt);
                Duration::ZERO
            }
            None => {
                self.throttle.record_failure(attempt);
                floor.saturating_sub(took)
            }
        };
        Judged {
            verdict,
            took,
            pause,
        }
    }
}

/// How long each kind of hash takes at its best.
#[derive(Default)]
struct Pace {
    fastest: Mutex<HashMap<Work, Duration>>,
}

impl Pace {
    /// Kinds that are remembered.
    const MOST: usize = 64;

    /// The longest that a refusal is held back for others' sake.
    const LONGEST: Duration = Duration::from_secs(1);

    /// Notes how long this work took; how long every refusal takes, with a tenth on top, within which the times of a quiet
    /// machine lie.
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
