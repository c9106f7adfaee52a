//! Log lines, text or JSON, to standard error and to a file if one is configured. [`trace`]: the data collected about each request;
//! [`audit`]: which users were shown to whom, and logins; [`metrics`]: metrics for Prometheus.
//!
//! Standard error may be a pipe that is never read, and the file's disk may hang: each has a queue and a thread (`sinks`), and
//! loses lines instead of holding up the service. Lines that requests and outages can repeat go through [`RateLimitedLog`].

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use env_logger::{Builder, Target};
use log::LevelFilter;

use crate::config::Logging;
use log_file::LogFile;
use sinks::{Sink, flush_all};

pub mod audit;
mod lines;
mod log_file;
pub mod metrics;
mod rate_limited_log;
mod sinks;
pub mod trace;

pub use rate_limited_log::RateLimitedLog;

/// Levels of targets, unless `SIDECAR_LOG` names them. `audit` is written at any level of the rest. `actix_http` would log a
/// line for each malformed request, with which any client could fill the log; `actix_server` logs its own starts.
const LEVELS: [(&str, LevelFilter); 3] = [
    ("audit", LevelFilter::Info),
    ("actix_http", LevelFilter::Off),
    ("actix_server", LevelFilter::Warn),
];

/// How many characters a log message holds of a text that a user can choose.
const LONGEST_TEXT: usize = 256;

/// Starts logging for the process.
///
/// # Errors
/// The log file can't be opened, or is not a regular file.
pub fn start(logging: &Logging) -> io::Result<Log> {
    let format = logging.format;
    let mut sinks = vec![Sink::start(
        "log",
        format,
        |lines: &[u8]| match io::stderr().write_all(lines) {
            Ok(()) => 0,
            Err(_) => sinks::count_lines(lines),
        },
    )?];
    let reopens_file = Arc::new(AtomicBool::new(false));
    if let Some(path) = &logging.file {
        let mut file = LogFile::open(path, Arc::clone(&reopens_file))?;
        let write = move |lines: &[u8]| file.write(lines);
        sinks.push(Sink::start("log file", format, write)?);
    }
    let log = Log {
        sinks: sinks.into(),
        reopens_file,
    };
    let mut builder = Builder::new();
    for (target, level) in LEVELS {
        builder.filter_module(target, level);
    }
    // A second start, as in tests, keeps the first logger.
    let _ = builder
        .parse_filters(&logging.filter)
        .target(Target::Pipe(Box::new(log.clone())))
        .format(move |out, record| out.write_all(lines::line(format, record).as_bytes()))
        .try_init();
    Ok(log)
}

/// Text that came from a user or from a database, truncated for a log message.
pub fn truncated(text: &str) -> &str {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Writes a line to standard error, which may be closed: for commands, which have no log.
pub fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The queues of lines: standard error's, and the file's if there is one.
#[derive(Clone)]
pub struct Log {
    sinks: Arc<[Sink]>,
    reopens_file: Arc<AtomicBool>,
}

impl Log {
    /// Waits until all lines are written, but not longer than a second in all: at the end of the process.
    pub fn flush(&self) {
        flush_all(&self.sinks);
    }

    /// Has the file's thread open the path again before the next line: after logrotate has renamed the file.
    pub fn reopen_file(&self) {
        self.reopens_file.store(true, Ordering::Relaxed);
    }
}

impl Write for Log {
    /// Queues one line, as env_logger writes it, and never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shared: Arc<[u8]> = line.into();
        self.sinks
            .iter()
            .for_each(|sink| sink.push(Arc::clone(&shared)));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
