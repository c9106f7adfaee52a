//! Log lines that requests, rows and outages can repeat: at most one a minute or an hour, with the number of lines left out.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

/// Limits how often a line is logged. It stores only hashes of keys: a subject may be a secret.
#[derive(Debug)]
pub struct RateLimitedLog {
    causes: Limit,
    subjects: Limit,
}

impl Default for RateLimitedLog {
    fn default() -> Self {
        RateLimitedLog {
            causes: Limit::new(Duration::from_secs(60), 100),
            subjects: Limit::new(Duration::from_secs(3600), 1_000),
        }
    }
}

impl RateLimitedLog {
    /// Logs `message` at most once a minute, and at most a hundred different ones: for lines that an outage or any client can
    /// cause.
    pub fn every_minute(&self, level: Level, target: &str, message: impl Display) {
        let message = message.to_string();
        if let Some(left_out) = self.causes.admit((target, &message)) {
            log(level, target, &message, left_out);
        }
    }

    /// Whether the caller may log a line of this cause: one a minute. Returns how many were left out before.
    pub fn admit(&self, cause: impl Hash) -> Option<u64> {
        self.causes.admit(cause)
    }

    /// Logs `message` as a warning at most once an hour for each `subject`, and a thousand an hour in all: for lines that rows of
    /// the database cause.
    pub fn warn_hourly(&self, target: &str, subject: impl Hash, message: &str) {
        if let Some(left_out) = self.subjects.admit((subject, message)) {
            log(Level::Warn, target, message, left_out);
        }
    }
}

fn log(level: Level, target: &str, message: &str, left_out: u64) {
    match left_out {
        0 => log::log!(target: target, level, "{message}"),
        _ => {
            log::log!(target: target, level, "{message} ({left_out} more since the last such line)")
        }
    }
}

/// At most one line for each key in each interval, and a bounded number of keys at a time.
#[derive(Debug)]
struct Limit {
    interval: Duration,
    most: usize,
    /// By the hash of a key: when its last line was logged, and how many were left out since
    seen: Mutex<HashMap<u64, (Instant, u64)>>,
}

impl Limit {
    fn new(interval: Duration, most: usize) -> Limit {
        Limit {
            interval,
            most,
            seen: Mutex::default(),
        }
    }

    /// How many lines of this key were left out since the last one that was logged; `None`: this one is left out, too.
    fn admit(&self, key: impl Hash) -> Option<u64> {
        let key = BuildHasherDefault::<DefaultHasher>::new().hash_one(key);
        let now = Instant::now();
        let is_recent = |logged: Instant| now.duration_since(logged) < self.interval;
        // A panic under the lock leaves the map usable.
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.most && !all.contains_key(&key) {
            all.retain(|_, (logged, _)| is_recent(*logged));
        }
        let has_room = all.len() < self.most;
        match all.get_mut(&key) {
            Some((logged, left_out)) if is_recent(*logged) => {
                *left_out += 1;
                None
            }
            None if !has_room => None,
            _ => Some(
                all.insert(key, (now, 0))
                    .map_or(0, |(_, left_out)| left_out),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_admitted_once_in_an_interval_and_then_with_the_number_left_out() {
        let limit = Limit::new(Duration::from_secs(60), 2);
        let admitted = [1, 1, 2, 1, 3].map(|key| limit.admit(key));
        assert_eq!(admitted, [Some(0), None, Some(0), None, None]);
        for (logged, _) in limit.seen.lock().unwrap().values_mut() {
            *logged = logged.checked_sub(limit.interval).unwrap();
        }
        // The third key found no room.
        assert_eq!([1, 3].map(|key| limit.admit(key)), [Some(2), Some(0)]);
    }
}
