//! Log lines: text or JSON, to standard error and, when one is configured, appended to a file.
//!
//! A record is always one line: control characters in it are escaped, and text is cut, so that no user can forge a line. A
//! thread of its own writes them to standard error, which may be a pipe that nobody reads. That, a closed pipe and a full
//! disk lose lines and hold nobody up.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use env_logger::{Builder, Target};
use log::Record;

use crate::config::{LogFormat, Logging};

/// The longest message that is written, in characters.
const LONGEST_MESSAGE: usize = 4096;

/// The longest text of a user's that a message holds, in characters.
const LONGEST_TEXT: usize = 256;

/// Lines that wait to be written; when there are more, they are lost.
const LONGEST_QUEUE: usize = 4096;

/// Text that came from a user or from a database, cut: for a log message.
pub fn shown(text: &str) -> &str {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Starts logging for the process.
///
/// # Errors
/// The log file can't be opened.
pub fn start(logging: &Logging) -> io::Result<Log> {
    let file = match &logging.file {
        None => None,
        Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
    };
    let (lines, queue) = sync_channel(LONGEST_QUEUE);
    let log = Log(lines);
    let tee = Tee {
        log: log.clone(),
        lost: Arc::default(),
        file,
    };
    let lost = Arc::clone(&tee.lost);
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || write_all(&queue, &lost))?;
    let format = logging.format;
    // A second start, as in tests, keeps the first logger.
    let mut builder = Builder::new();
    if !logging.filter.contains("actix_http") {
        // A line for every request that is none: any client could fill the log.
        builder.filter_module("actix_http", log::LevelFilter::Off);
    }
    let _ = builder
        .parse_filters(&logging.filter)
        .target(Target::Pipe(Box::new(tee)))
        .format(move |out, record| out.write_all(line(format, record).as_bytes()))
        .try_init();
    Ok(log)
}

/// The queue of lines for standard error.
#[derive(Clone)]
pub struct Log(SyncSender<Entry>);

enum Entry {
    Line(Vec<u8>),
    /// Tells that all that came before is written
    Flush(SyncSender<()>),
}

impl Log {
    /// Waits until all lines are written, but no longer than a second: at the end of the process.
    pub fn flush(&self) {
        let (done, is_done) = sync_channel(1);
        // Where the queue is full, nobody takes lines anyway.
        if self.0.try_send(Entry::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(Duration::from_secs(1));
        }
    }
}

/// Standard error and a file.
struct Tee {
    log: Log,
    lost: Arc<AtomicU64>,
    file: Option<File>,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(bytes);
        }
        if self.log.0.try_send(Entry::Line(bytes.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines to standard error as they come.
fn write_all(queue: &Receiver<Entry>, lost: &AtomicU64) {
    for entry in queue {
        match entry {
            Entry::Line(bytes) => drop(io::stderr().write_all(&bytes)),
            Entry::Flush(done) => drop(done.send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                io::stderr(),
                "{lost} log lines were lost: more came than could be written"
            );
        }
    }
}

/// Remembers what was complained of, so that one broken row can't fill the log: a line an hour for each subject.
#[derive(Debug, Default)]
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
    fn text_of_a_users_is_cut() {
        assert_eq!(shown(&"é".repeat(10_000)), "é".repeat(LONGEST_TEXT));
    }

    #[test]
    fn an_endless_message_is_cut() {
        assert_eq!(one_line(&"x".repeat(10_000)).len(), LONGEST_MESSAGE);
    }
}
