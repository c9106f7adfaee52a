//! Log lines: text or JSON, to standard error and, when one is configured, appended to a file.
//!
//! A record is always one line: control characters in it are escaped, and text is cut, so that no user can forge a line.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use env_logger::{Builder, Target};
use log::Record;

use crate::config::{LogFormat, Logging};

/// The longest message that is written, in characters.
const LONGEST_MESSAGE: usize = 4096;

/// Starts logging for the process.
///
/// # Errors
/// The log file can't be opened.
pub fn start(logging: &Logging) -> io::Result<()> {
    let file = match &logging.file {
        None => None,
        Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
    };
    let format = logging.format;
    // A second start, as in tests, keeps the first logger.
    let _ = Builder::new()
        .parse_filters(&logging.filter)
        .target(Target::Pipe(Box::new(Tee { file })))
        .format(move |out, record| out.write_all(line(format, record).as_bytes()))
        .try_init();
    Ok(())
}

/// Remembers what was complained of, so that one broken row can't fill the log: a line an hour for each subject.
#[derive(Default)]
pub struct Complaints {
    latest: Mutex<HashMap<u64, Instant>>,
}

impl Complaints {
    /// How many subjects are remembered; when there are more, it begins anew.
    const MOST: usize = 10_000;

    /// Logs `message` as a warning, unless it has done so for this `subject` within the hour. The subject, which may be
    /// a secret, is kept as a hash only.
    pub fn warn(&self, subject: impl Hash, message: &str) {
        let mut hasher = DefaultHasher::new();
        (subject, message).hash(&mut hasher);
        let now = Instant::now();
        // A thread that panicked while it held the lock leaves a map that is still a map.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= Self::MOST {
            latest.clear();
        }
        let key = hasher.finish();
        if latest
            .get(&key)
            .is_some_and(|earlier| now.duration_since(*earlier) < Duration::from_secs(3600))
        {
            return;
        }
        latest.insert(key, now);
        drop(latest);
        log::warn!("{message}");
    }
}

fn line(format: LogFormat, record: &Record<'_>) -> String {
    let time = jiff::Timestamp::now();
    let (level, logger) = (record.level(), record.target());
    let message = one_line(&record.args().to_string());
    match format {
        LogFormat::Text => format!("{time:.3} {level} {logger}: {message}\n"),
        LogFormat::Json => {
            let time = format!("{time:.3}");
            let fields = serde_json::json!({"time": time, "level": level.as_str(), "logger": logger, "message": message});
            format!("{fields}\n")
        }
    }
}

/// The text without control characters, and not endless.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars().take(LONGEST_MESSAGE) {
        match character {
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                line.extend(c.escape_default())
            }
            c => line.push(c),
        }
    }
    line
}

/// Standard error and a file. A full disk or a closed pipe loses log lines, never requests.
struct Tee {
    file: Option<File>,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        if let Some(file) = &mut self.file {
            let _ = file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_line_breaks_stays_one_line() {
        assert_eq!(
            one_line("a\nb\r\u{2028}c\u{1b}[0m"),
            "a\\nb\\r\\u{2028}c\\u{1b}[0m"
        );
    }

    #[test]
    fn an_endless_message_is_cut() {
        assert_eq!(one_line(&"x".repeat(10_000)).len(), LONGEST_MESSAGE);
    }
}
