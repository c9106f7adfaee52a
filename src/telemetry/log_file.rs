//! The log file: whole lines are appended to a regular file that only its owner may read, unless it was there with another
//! mode. Links and other kinds of files are refused: a FIFO could hang, and a link could lead to another file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::OFlag;

use super::sinks::count_lines;

/// An open log file, written by one thread.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The file ends within a line, so that the next one needs a line break before it
    is_torn: bool,
    /// Set by SIGHUP: the path is opened again before the next write
    reopens: Arc<AtomicBool>,
}

impl LogFile {
    /// Opens the file for appending, or creates it.
    pub(super) fn open(path: &Path, reopens: Arc<AtomicBool>) -> io::Result<LogFile> {
        // `O_NONBLOCK`: opening a FIFO or a device must not hang.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags.bits())
            .open(path)
            .map_err(|error| match path.is_symlink() {
                true => io::Error::other("it is a symbolic link, which is not followed"),
                false => error,
            })?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(
                "it is not a regular file; standard error has every line in any case",
            ));
        }
        let mut last = [b'\n'];
        if let Some(at) = metadata.len().checked_sub(1) {
            file.read_at(&mut last, at)?;
        }
        Ok(LogFile {
            path: path.to_owned(),
            file,
            is_torn: last != [b'\n'],
            reopens,
        })
    }

    /// Appends whole lines, and gives the number of those that could not be written. What a full disk took of them is cut off
    /// again.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        if self.reopens.swap(false, Ordering::Relaxed) {
            match LogFile::open(&self.path, Arc::clone(&self.reopens)) {
                Ok(file) => *self = file,
                Err(error) => log::error!(
                    "SIDECAR_LOG_FILE can't be opened again, the log goes to the file that was open: {error}"
                ),
            }
        }
        if lines.is_empty() {
            return 0;
        }
        if self.is_torn && self.file.write_all(b"\n").is_err() {
            return count_lines(lines);
        }
        self.is_torn = false;
        let length = self.file.metadata().map(|metadata| metadata.len());
        if self.file.write_all(lines).is_ok() {
            return 0;
        }
        let cut = length.and_then(|length| self.file.set_len(length));
        self.is_torn = cut.is_err();
        count_lines(lines)
    }
}
