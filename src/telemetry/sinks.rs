//! A queue of log lines and the thread that writes them. The caller only queues a line. A full queue or a failed write loses
//! lines; a notice says how many, once the sink can be written again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use super::lines::lost_lines_notice;
use crate::config::LogFormat;

/// Lines that wait to be written; more are lost.
const QUEUE_LENGTH: usize = 4096;

/// How many bytes one write gathers.
const BATCH_BYTES: usize = 64 * 1024;

/// How long lines are gathered between two writes, so that not every line wakes the thread.
const GATHERING_TIME: Duration = Duration::from_millis(5);

/// How long [`flush_all`] waits for all sinks together.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines that any sink has lost since the start. Like the logger itself there is one for the process.
static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// How many log lines were lost since the start, a line that two sinks lost counted twice.
pub fn lost_lines() -> u64 {
    LOST_LINES.load(Ordering::Relaxed)
}

/// How many lines end in these bytes.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The end of a queue at which lines go in.
pub(super) struct Sink {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

enum Entry {
    Line(Arc<[u8]>),
    /// The thread answers when all lines before it are written
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts the thread, which hands whole lines to `write`; that returns the number of lines it could not write.
    pub(super) fn start(
        name: &str,
        format: LogFormat,
        write: impl FnMut(&[u8]) -> u64 + Send + 'static,
    ) -> io::Result<Sink> {
        let (queue, entries) = sync_channel(QUEUE_LENGTH);
        let lost = Arc::new(AtomicU64::new(0));
        let thread_lost = Arc::clone(&lost);
        let thread = Builder::new().name(name.to_owned());
        thread.spawn(move || run(&entries, &thread_lost, format, write))?;
        Ok(Sink { queue, lost })
    }

    /// Queues a line; drops it if the queue is full.
    pub(super) fn push(&self, line: Arc<[u8]>) {
        if self.queue.try_send(Entry::Line(line)).is_err() {
            lose(&self.lost, 1);
        }
    }
}

fn lose(lost: &AtomicU64, count: u64) {
    lost.fetch_add(count, Ordering::Relaxed);
    LOST_LINES.fetch_add(count, Ordering::Relaxed);
}

/// Waits until every sink has written its lines, but not longer than [`FLUSH_TIMEOUT`]. A sink that hangs holds up no other.
pub(super) fn flush_all(sinks: &[Sink]) {
    let end = Instant::now() + FLUSH_TIMEOUT;
    let flush = |sink: &Sink| {
        let (done, is_done) = sync_channel(1);
        let sent = sink.queue.try_send(Entry::Flush(done));
        sent.is_ok().then_some(is_done)
    };
    let answers: Vec<_> = sinks.iter().filter_map(flush).collect();
    for is_done in answers {
        let _ = is_done.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// The thread's work: writes lines as they come, several with one write.
fn run(
    entries: &Receiver<Entry>,
    lost: &AtomicU64,
    format: LogFormat,
    mut write: impl FnMut(&[u8]) -> u64,
) {
    let (mut lines, mut told) = (Vec::new(), 0);
    for first in entries {
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => lines.extend_from_slice(&line),
                Entry::Flush(done) => {
                    lose(lost, write(&lines));
                    lines.clear();
                    let _ = done.send(());
                }
            }
            next = match lines.len() < BATCH_BYTES {
                true => entries.try_recv().ok(),
                false => None,
            };
        }
        lose(lost, write(&lines));
        lines.clear();
        sleep(GATHERING_TIME);
        let all_lost = lost.load(Ordering::Relaxed);
        if all_lost > told {
            let notice = lost_lines_notice(format, all_lost - told);
            // If this fails, too, the next notice counts these lines as well.
            if write(notice.as_bytes()) == 0 {
                told = all_lost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_sink_that_hangs_holds_up_neither_a_caller_nor_the_other_sink_nor_the_end() {
        let (release, hangs) = channel::<()>();
        let hanging = Sink::start("hanging", LogFormat::Text, move |_: &[u8]| {
            let _ = hangs.recv();
            0
        });
        let (written, lines) = channel();
        let other = Sink::start("other", LogFormat::Json, move |lines: &[u8]| {
            written.send(lines.to_vec()).map_or(1, |()| 0)
        });
        let sinks = [hanging.unwrap(), other.unwrap()];
        let began = Instant::now();
        // A hundred bytes each: one batch takes a few hundred of them.
        let line: Arc<[u8]> = format!("{:99}\n", "").as_bytes().into();
        for _ in 0..3 * QUEUE_LENGTH {
            sinks[0].push(Arc::clone(&line));
        }
        sinks[1].push(b"other\n"[..].into());
        flush_all(&sinks);
        assert!(began.elapsed() < FLUSH_TIMEOUT * 3);
        assert_eq!(lines.recv().unwrap(), b"other\n");
        assert!(sinks[0].lost.load(Ordering::Relaxed) >= QUEUE_LENGTH as u64);
        assert_eq!(sinks[1].lost.load(Ordering::Relaxed), 0);
        drop(release);
    }
}
