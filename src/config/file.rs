//! Reads the file that a `NAME_FILE` names. A FIFO, or a file system whose server is gone, may hang, so a thread reads it and
//! the caller waits no longer than its deadline.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// A secret's text as it came from the environment or a file, wiped when dropped.
pub(super) type SecretText = Zeroizing<String>;

/// How long all files of a configuration may take together.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of a file.
const MOST_BYTES: u64 = 1024 * 1024;

/// The most threads that hang in a file. Each is lost until its read ends.
const MOST_HANGING: usize = 4;

/// One entry for each read that did not end in time, dead once it has ended.
static HANGING: Mutex<Vec<Weak<()>>> = Mutex::new(Vec::new());

/// The text of a file, without the newline at its end.
///
/// # Errors
/// The system's, or that the file is too large or does not end before the deadline.
pub(super) fn read(path: String, deadline: Instant) -> io::Result<SecretText> {
    // No code that can panic runs under the lock.
    let hanging = || HANGING.lock().unwrap_or_else(PoisonError::into_inner);
    hanging().retain(|read| read.strong_count() > 0);
    if hanging().len() >= MOST_HANGING {
        return Err(io::Error::other("too many earlier reads still hang"));
    }
    let running = Arc::new(());
    let read = Arc::downgrade(&running);
    let (sender, text) = channel();
    Builder::new().name("file".into()).spawn(move || {
        let _running = running;
        let _ = sender.send(read_now(&path));
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    text.recv_timeout(left).unwrap_or_else(|_| {
        hanging().push(read);
        let seconds = READ_TIMEOUT.as_secs();
        let message = format!("no end within {seconds} seconds");
        Err(io::Error::new(ErrorKind::TimedOut, message))
    })
}

fn read_now(path: &str) -> io::Result<SecretText> {
    let file = File::open(path)?;
    // With room for all, so that no copy of a secret is left behind.
    let length = file.metadata()?.len().min(MOST_BYTES);
    let mut text = String::with_capacity(length as usize + 1);
    let result = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    if text.ends_with('\n') {
        text.pop();
    }
    let text = SecretText::new(text);
    match result? as u64 {
        0..=MOST_BYTES => Ok(text),
        _ => Err(io::Error::other("it is larger than 1 MiB")),
    }
}
