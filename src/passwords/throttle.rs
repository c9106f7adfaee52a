//! The limit to failed logins: per client address, and per user name, whether or not the user exists.
//!
//! Each has a leaky bucket, which a failure fills and time empties. A client that logged in under a name within a day is not
//! limited by other clients' failures under that name.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::client_address::network_of;
use crate::config::Rate;

/// The most buckets that are kept.
const MOST_BUCKETS: usize = 100_000;

/// How many successful clients are remembered, and for how long.
const MOST_KNOWN_CLIENTS: usize = 10_000;
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);

/// The longest name in characters: no column that holds user names is longer.
pub const LONGEST_NAME: usize = 254;

/// The limit and the failures so far.
pub struct Throttle {
    rate: Option<Rate>,
    /// Seeded at random, so a client can't find two names that share a bucket
    hashing: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When each bucket will be empty; empty ones are not kept
    buckets: HashMap<u64, Instant>,
    /// Until when a client counts as known under a name
    known_clients: HashMap<u64, Instant>,
}

/// A login attempt: the keys of its buckets.
#[derive(Clone, Copy)]
pub struct LoginAttempt {
    address: u64,
    name: Option<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    bucket: u64,
    /// The name together with the client's address
    known_client: u64,
}

impl Throttle {
    /// A throttle with this limit; `None` limits nothing and keeps nothing.
    pub fn new(rate: Option<Rate>) -> Throttle {
        Throttle {
            rate,
            hashing: RandomState::new(),
            seen: Mutex::default(),
        }
    }

    /// A login attempt of the client at this address (`None`: of the unix socket).
    ///
    /// # Errors
    /// The time until the next attempt, where too many have failed.
    pub fn attempt(&self, address: Option<IpAddr>) -> Result<LoginAttempt, Duration> {
        self.admit(LoginAttempt {
            address: self.hashing.hash_one(("address", address.map(network_of))),
            name: None,
        })
    }

    /// The same attempt under a name; spellings that [`folded`] unites share a bucket.
    ///
    /// # Errors
    /// As [`Throttle::attempt`].
    pub fn under_name(&self, attempt: LoginAttempt, name: &str) -> Result<LoginAttempt, Duration> {
        let bucket = self.hashing.hash_one(("name", folded(name)));
        self.admit(LoginAttempt {
            name: Some(Name {
                bucket,
                known_client: self.hashing.hash_one((attempt.address, bucket)),
            }),
            ..attempt
        })
    }

    /// The attempt, unless it must wait.
    pub(super) fn admit(&self, attempt: LoginAttempt) -> Result<LoginAttempt, Duration> {
        let Some(rate) = self.rate else {
            return Ok(attempt);
        };
        let now = Instant::now();
        let seen = self.lock();
        let name = attempt.name.filter(|name| {
            let known_until = seen.known_clients.get(&name.known_client);
            known_until.is_none_or(|until| *until <= now)
        });
        let buckets = [Some(attempt.address), name.map(|name| name.bucket)];
        let fills = buckets
            .iter()
            .flatten()
            .filter_map(|bucket| seen.buckets.get(bucket));
        // A bucket has room for one more failure.
        let room = rate.per - rate.per / rate.most;
        let waits = fills.map(|empty| empty.saturating_duration_since(now).saturating_sub(room));
        match waits.max() {
            None | Some(Duration::ZERO) => Ok(attempt),
            Some(wait) => Err(wait),
        }
    }

    /// Counts a failed attempt.
    pub fn record_failure(&self, attempt: LoginAttempt) {
        let Some(rate) = self.rate else {
            return;
        };
        let now = Instant::now();
        let mut seen = self.lock();
        let buckets = [Some(attempt.address), attempt.name.map(|name| name.bucket)];
        for bucket in buckets.into_iter().flatten() {
            seen.make_room(now);
            let empty = seen.buckets.entry(bucket).or_insert(now);
            // Attempts that were admitted at the same time may overfill it, by as many as are hashed at a time.
            *empty = (*empty).max(now) + rate.per / rate.most;
        }
    }

    /// Remembers that this client has logged in under this name.
    pub fn record_success(&self, attempt: LoginAttempt) {
        let (Some(_), Some(name)) = (self.rate, attempt.name) else {
            return;
        };
        let now = Instant::now();
        let known_clients = &mut self.lock().known_clients;
        if known_clients.len() >= MOST_KNOWN_CLIENTS {
            known_clients.retain(|_, until| *until > now);
        }
        if known_clients.len() >= MOST_KNOWN_CLIENTS {
            known_clients.clear();
        }
        known_clients.insert(name.known_client, now + KNOWN_FOR);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // No code that can panic runs under the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name in compatibility form, without accents, case and blanks, so that spellings that a database's collation may unite share
/// a bucket. MySQL's collations unite more; the limit by address holds what this misses. At most [`LONGEST_NAME`] characters.
fn folded(name: &str) -> String {
    name.nfkd()
        .filter(|character| !is_combining_mark(*character) && !character.is_whitespace())
        .flat_map(char::to_lowercase)
        .take(LONGEST_NAME)
        .collect()
}

impl Seen {
    /// When there are too many buckets, drops the empty ones, and then the emptier half of the rest.
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

    #[test]
    fn a_flood_does_not_grow_the_table_and_without_a_limit_nothing_is_kept() {
        let throttle = Throttle::new(Some(Rate {
            most: 3,
            per: Duration::from_secs(3600),
        }));
        let unlimited = Throttle::new(None);
        for number in 0..60_000 {
            for throttle in [&throttle, &unlimited] {
                let address = Some(IpAddr::V4(u32::into(number)));
                let attempt = throttle.attempt(address).expect("a first attempt");
                let attempt = throttle.under_name(attempt, &format!("user{number}"));
                throttle.record_failure(attempt.expect("a first attempt"));
            }
        }
        let buckets = throttle.lock().buckets.len();
        assert!((1..=MOST_BUCKETS).contains(&buckets), "{buckets}");
        assert!(unlimited.lock().buckets.is_empty());
    }
}
