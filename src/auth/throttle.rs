//! How many logins may fail: so many of one client address, and so many under one name, whether or not there is such a user.
//!
//! Each has a bucket that a failure fills and time empties. A client that has logged in under a name lately is not held
//! up by others who guess that name's password.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client_address::network_of;
use crate::config::Rate;

mod names;

use names::Folded;

/// The most buckets that are kept.
const MOST_BUCKETS: usize = 100_000;

/// The most clients that are remembered for having logged in, and for how long.
const MOST_ACQUAINTANCES: usize = 10_000;
const ACQUAINTANCE: Duration = Duration::from_secs(24 * 3600);

/// The limit and what has come of it so far.
pub struct Throttle {
    rate: Option<Rate>,
    /// Keyed anew at each start: nobody can find two names that share a bucket.
    hashing: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When each bucket will be empty; an empty one is none
    buckets: HashMap<u64, Instant>,
    /// Until when a client is known under a name
    acquaintances: HashMap<u64, Instant>,
}

/// Who tries to log in, as the buckets know it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    address: u64,
    name: u64,
    /// All names share it that may be equal to another, nobody knows to which
    odd: Option<u64>,
    both: u64,
}

impl Attempt {
    /// Its buckets, the client's own first.
    fn buckets(self) -> impl Iterator<Item = u64> {
        [self.address, self.name].into_iter().chain(self.odd)
    }
}

impl Throttle {
    /// With `None` nothing is limited, and nothing kept.
    pub fn new(rate: Option<Rate>) -> Throttle {
        Throttle {
            rate,
            hashing: RandomState::new(),
            seen: Mutex::default(),
        }
    }

    /// An attempt of this client under this name, however it is spelled.
    pub fn attempt(&self, address: Option<IpAddr>, name: &str) -> Attempt {
        let address = address.map(network_of);
        let Folded { name, is_odd } = Folded::new(name);
        let hash = |what: &str, key: &dyn Fn() -> u64| self.hashing.hash_one((what, key()));
        Attempt {
            address: hash("address", &|| self.hashing.hash_one(address)),
            name: hash("name", &|| self.hashing.hash_one(&name)),
            odd: is_odd.then(|| hash("odd", &|| 0)),
            both: hash("both", &|| self.hashing.hash_one((address, &name))),
        }
    }

    /// How long this attempt must wait; `None`: it may go on.
    pub fn wait(&self, attempt: Attempt) -> Option<Duration> {
        let rate = self.rate?;
        let now = Instant::now();
        let seen = self.lock();
        let is_known = seen
            .acquaintances
            .get(&attempt.both)
            .is_some_and(|until| *until > now);
        let fullest = attempt
            .buckets()
            .take(if is_known { 1 } else { usize::MAX })
            .filter_map(|bucket| seen.buckets.get(&bucket))
            .max()?;
        // There is room while one more failure would not overfill it.
        let room = rate.per - rate.per / rate.most;
        let wait = fullest.saturating_duration_since(now).saturating_sub(room);
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a failure.
    pub fn failed(&self, attempt: Attempt) {
        let Some(rate) = self.rate else {
            return;
        };
        let now = Instant::now();
        let mut seen = self.lock();
        for bucket in attempt.buckets() {
            seen.make_room(now);
            let empty = seen.buckets.entry(bucket).or_insert(now);
            // Those who were let in at the same time may overfill it, but no more than a few times.
            *empty = (*empty).max(now) + rate.per / rate.most;
        }
    }

    /// Remembers who has logged in.
    pub fn succeeded(&self, attempt: Attempt) {
        if self.rate.is_none() {
            return;
        }
        let now = Instant::now();
        let acquaintances = &mut self.lock().acquaintances;
        if acquaintances.len() >= MOST_ACQUAINTANCES {
            acquaintances.retain(|_, until| *until > now);
        }
        if acquaintances.len() >= MOST_ACQUAINTANCES {
            acquaintances.clear();
        }
        acquaintances.insert(attempt.both, now + ACQUAINTANCE);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // No code that can panic runs under the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Forgets, when there are too many, the buckets that are empty, and then the emptier half of the others.
    fn make_room(&mut self, now: Instant) {
        if self.buckets.len() < MOST_BUCKETS {
            return;
        }
        self.buckets.retain(|_, empty| *empty > now);
        if self.buckets.len() < MOST_BUCKETS / 2 {
            return;
        }
        let mut times: Vec<Instant> = self.buckets.values().copied().collect();
        let half = times.len() / 2;
        let median = *times.select_nth_unstable(half).1;
        self.buckets.retain(|_, empty| *empty > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(Some(Rate {
            most: 3,
            per: Duration::from_secs(3600),
        }))
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    fn fail(throttle: &Throttle, address: Option<IpAddr>, name: &str, times: usize) {
        for _ in 0..times {
            let attempt = throttle.attempt(address, name);
            assert_eq!(throttle.wait(attempt), None);
            throttle.failed(attempt);
        }
    }

    fn is_held_up(throttle: &Throttle, address: Option<IpAddr>, name: &str) -> bool {
        throttle.wait(throttle.attempt(address, name)).is_some()
    }

    #[test]
    fn one_failure_too_many_holds_up_the_address_and_the_name_and_nobody_else() {
        let throttle = throttle();
        fail(&throttle, address(1), "alice", 3);
        assert!(is_held_up(&throttle, address(1), "alice"));
        assert!(is_held_up(&throttle, address(1), "bob"));
        assert!(is_held_up(&throttle, address(2), "\u{c1}lic\u{e8} "));
        assert!(!is_held_up(&throttle, address(2), "bob"));
        let wait = throttle
            .wait(throttle.attempt(address(1), "alice"))
            .unwrap();
        assert!((1190..=1200).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn names_that_may_be_equal_to_any_other_are_held_up_together() {
        let throttle = throttle();
        for (number, name) in (1..).zip(["\u{363}lice", "𝐚lice", "a\u{200b}lice"]) {
            fail(&throttle, address(number), name, 1);
        }
        assert!(is_held_up(&throttle, address(9), "ali\u{368}e"));
        assert!(!is_held_up(&throttle, address(9), "bob"));
    }

    #[test]
    fn who_has_logged_in_under_a_name_is_held_up_for_failures_of_his_own_alone() {
        let throttle = throttle();
        throttle.succeeded(throttle.attempt(address(1), "alice"));
        fail(&throttle, address(2), "alice", 3);
        assert!(!is_held_up(&throttle, address(1), "alice"));
        assert!(is_held_up(&throttle, address(3), "alice"));
        fail(&throttle, address(1), "alice", 3);
        assert!(is_held_up(&throttle, address(1), "alice"));
    }

    #[test]
    fn a_flood_of_names_and_addresses_neither_grows_the_table_nor_frees_the_worst() {
        let throttle = throttle();
        fail(&throttle, address(0), "alice", 3);
        for number in 1..=60_000 {
            throttle.failed(throttle.attempt(address(number), &format!("user{number}")));
        }
        let buckets = throttle.lock().buckets.len();
        assert!((1..=MOST_BUCKETS).contains(&buckets), "{buckets}");
        assert!(is_held_up(&throttle, address(0), "bob"));
        assert!(is_held_up(&throttle, address(99_999), "alice"));
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let throttle = Throttle::new(None);
        fail(&throttle, address(1), "alice", 100);
        assert!(throttle.lock().buckets.is_empty());
    }
}
