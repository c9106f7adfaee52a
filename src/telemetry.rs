//! Log lines: text or JSON, to standard error and, when one is configured, appended to a file. [`trace`]: what is told of
//! each request; [`metrics`]: figures for Prometheus.
//!
//! A record is always one line: control characters in it are escaped, and text is cut, so that no user can forge a line. A
//! thread of its own writes them to standard error, which may be a pipe that nobody reads. That, a closed pipe and a full
//! disk lose lines and hold nobody up.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use env_logger::{Builder, Target};
use log::Record;
use log::kv::{Error as FieldError, Key, Value, VisitSource, VisitValue};

use crate::config::{LogFormat, Logging};

pub mod metrics;
pub mod trace;

/// The longest message that is written, in characters.
const LONGEST_MESSAGE: usize = 4096;

/// The longest text of a user's that a message holds, in characters.
const LONGEST_TEXT: usize = 256;

/// Lines that wait to be written; when there are more, they are lost.
const LONGEST_QUEUE: usize = 4096;

/// The most bytes that are written at once.
const LARGEST_WRITE: usize = 64 * 1024;

/// How long lines are gathered before they are written: nobody has to wake the thread that writes for each of them.
const GATHERED_FOR: Duration = Duration::from_millis(5);

/// How many lines were lost since the start. Like the logger itself there is one for the process.
static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// How many log lines were lost since the start: more came than could be written.
pub fn lost_lines() -> u64 {
    LOST_LINES.load(Ordering::Relaxed)
}

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
        file,
    };
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || write_all(&queue))?;
    let format = logging.format;
    // A second start, as in tests, keeps the first logger.
    let mut builder = Builder::new();
    // A line for every request that is none, with which any client could fill the log; and what only Actix's authors ask.
    let quiet = [
        ("actix_http", log::LevelFilter::Off),
        ("actix_server", log::LevelFilter::Warn),
    ];
    for (module, level) in quiet {
        if !logging.filter.contains(module) {
            builder.filter_module(module, level);
        }
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
    file: Option<File>,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(bytes);
        }
        if self.log.0.try_send(Entry::Line(bytes.to_vec())).is_err() {
            LOST_LINES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines to standard error as they come, those that wait together.
fn write_all(queue: &Receiver<Entry>) {
    let mut told = 0;
    let mut lines = Vec::new();
    for first in queue {
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => lines.extend_from_slice(&line),
                Entry::Flush(done) => {
                    write(&mut lines);
                    let _ = done.send(());
                }
            }
            next = match lines.len() < LARGEST_WRITE {
                true => queue.try_recv().ok(),
                false => None,
            };
        }
        write(&mut lines);
        std::thread::sleep(GATHERED_FOR);
        let lost = lost_lines();
        if lost > told {
            let _ = writeln!(
                io::stderr(),
                "{} log lines were lost: more came than could be written",
                lost - told
            );
            told = lost;
        }
    }
}

fn write(lines: &mut Vec<u8>) {
    let _ = io::stderr().write_all(lines);
    lines.clear();
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
    let (time, level) = (jiff::Timestamp::now(), record.level());
    let (logger, message) = (record.target(), record.args().to_string());
    let mut line = match format {
        LogFormat::Text => format!("{time:.3} {level} {logger}: {}", one_line(&message)),
        LogFormat::Json => {
            let [logger, message] = [logger, &message].map(json_text);
            format!(
                r#"{{"time":"{time:.3}","level":"{level}","logger":{logger},"message":{message}"#
            )
        }
    };
    // Our own visitor refuses nothing.
    let _ = record.key_values().visit(&mut Fields {
        format,
        line: &mut line,
    });
    line.push_str(match format {
        LogFormat::Text => "\n",
        LogFormat::Json => "}\n",
    });
    line
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(one_line(text)).to_string()
}

/// Adds the fields of a record to a line, but for those without a value.
struct Fields<'a> {
    format: LogFormat,
    line: &'a mut String,
}

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), FieldError> {
        value.visit(&mut Field { of: self, key })
    }
}

/// Adds one of them.
struct Field<'a, 'b, 'kvs> {
    of: &'a mut Fields<'b>,
    key: Key<'kvs>,
}

impl Field<'_, '_, '_> {
    fn add(&mut self, value: impl Display) -> Result<(), FieldError> {
        let key = self.key.as_str();
        // To a text everything can be written.
        let _ = match self.of.format {
            LogFormat::Text => write!(self.of.line, " {key}={value}"),
            LogFormat::Json => write!(self.of.line, ",\"{key}\":{value}"),
        };
        Ok(())
    }
}

impl<'v> VisitValue<'v> for Field<'_, '_, '_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), FieldError> {
        self.visit_str(&value.to_string())
    }

    fn visit_null(&mut self) -> Result<(), FieldError> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), FieldError> {
        self.add(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), FieldError> {
        self.add(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), FieldError> {
        self.add(value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), FieldError> {
        self.add(value)
    }

    /// In a line of text without quotes where it is one word.
    fn visit_str(&mut self, text: &str) -> Result<(), FieldError> {
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte);
        let is_word = !text.is_empty() && text.bytes().all(legal);
        match self.of.format {
            LogFormat::Text if is_word => self.add(text),
            _ => self.add(json_text(text)),
        }
    }
}

/// The text without control characters, and not endless.
fn one_line(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.to_owned();
    }
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
    fn fields_are_json_or_words_and_a_missing_one_is_left_out() {
        let nobody: Option<&str> = None;
        let fields = [
            ("user", Value::from("a \"b\"\n")),
            ("route", Value::from("export-users")),
            ("nobody", log::kv::ToValue::to_value(&nobody)),
            ("status", Value::from(200_u16)),
            ("ms", Value::from(1.25)),
            ("is_cut", Value::from(false)),
        ];
        let fields: &[(&str, Value)] = &fields;
        let record = |format| {
            let line = line(
                format,
                &Record::builder()
                    .args(format_args!("x"))
                    .level(log::Level::Info)
                    .target("t")
                    .key_values(&fields)
                    .build(),
            );
            line[line
                .find(' ')
                .filter(|_| format == LogFormat::Text)
                .unwrap_or(0)..]
                .to_owned()
        };
        assert_eq!(
            record(LogFormat::Text),
            " INFO t: x user=\"a \\\"b\\\"\\\\n\" route=export-users status=200 ms=1.25 is_cut=false\n"
        );
        let json: serde_json::Value = serde_json::from_str(&record(LogFormat::Json)).unwrap();
        assert_eq!(json["user"], "a \"b\"\\n");
        assert_eq!(json["status"], 200);
        assert_eq!(json["ms"], 1.25);
        assert_eq!(json["message"], "x");
        assert_eq!(json.get("nobody"), None);
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
