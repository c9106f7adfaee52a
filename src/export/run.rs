//! A sorted run of exported rows, read row by row.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The bytes of a rank and a length, which stand before each row.
pub(super) const ROW_HEAD: usize = 12;

/// The key at the start of a row.
pub(super) fn key(row: &[u8]) -> &[u8] {
    let end = row.iter().position(u8::is_ascii_control);
    &row[..end.unwrap_or(row.len())]
}

/// Compares integers by value, and UUIDs, which all have the same length, by their digits.
pub(super) fn compare_keys(a: &[u8], b: &[u8]) -> Ordering {
    let by_digits = || a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.starts_with(b"-"), b.starts_with(b"-")) {
        (false, false) => by_digits(),
        (true, true) => by_digits().reverse(),
        (a_is_negative, b_is_negative) => b_is_negative.cmp(&a_is_negative),
    }
}

/// A sorted run and its current row. A run in the file is in memory as far as its buffer goes, another one as a whole.
#[derive(Default)]
pub(super) struct Run {
    buffer: Vec<u8>,
    /// Where the current row's head starts in the buffer
    position: usize,
    rank: i64,
    row_length: usize,
    /// Where the run starts in the file
    start: u64,
    /// Where the bytes start that were not read into the buffer yet
    unread: u64,
    end: u64,
    buffer_size: usize,
}

impl Run {
    /// A run that is in memory as a whole.
    pub(super) fn in_memory(buffer: Vec<u8>) -> Run {
        Run {
            buffer,
            ..Run::default()
        }
    }

    /// A run from `start` to `end` of the file, read by `buffer_size` bytes.
    pub(super) fn in_file(start: u64, end: u64, buffer_size: usize) -> Run {
        Run {
            start,
            unread: start,
            end,
            buffer_size,
            ..Run::default()
        }
    }

    /// The current row; nothing where reading it failed.
    pub(super) fn row(&self) -> &[u8] {
        let start = self.position + ROW_HEAD;
        let row = self.buffer.get(start..start + self.row_length);
        row.unwrap_or_default()
    }

    /// Goes on to the next row, and returns whether there is one.
    pub(super) fn next(&mut self, file: Option<&File>) -> io::Result<bool> {
        self.position += ROW_HEAD + self.row_length;
        self.load(file)
    }

    /// Goes back to the first row, and returns whether there is one.
    pub(super) fn rewind(&mut self, file: Option<&File>) -> io::Result<bool> {
        self.position = 0;
        if self.end > 0 {
            self.buffer.clear();
            self.unread = self.start;
        }
        self.load(file)
    }

    /// Reads the row at `position` into the buffer, and returns whether there is one.
    fn load(&mut self, file: Option<&File>) -> io::Result<bool> {
        self.fill(file, ROW_HEAD)?;
        let Some((rank, rest)) = self.buffer[self.position..].split_first_chunk::<8>() else {
            return Ok(false);
        };
        let Some((length, _)) = rest.split_first_chunk::<4>() else {
            return Ok(false);
        };
        self.rank = i64::from_le_bytes(*rank);
        self.row_length = u32::from_le_bytes(*length) as usize;
        self.fill(file, ROW_HEAD + self.row_length)?;
        Ok(true)
    }

    /// Reads from the file until `wanted` bytes follow `position`, or all that the run has.
    fn fill(&mut self, file: Option<&File>, wanted: usize) -> io::Result<()> {
        let (Some(file), true) = (file, self.unread < self.end) else {
            return Ok(());
        };
        if self.buffer.len() - self.position >= wanted {
            return Ok(());
        }
        self.buffer.drain(..self.position);
        self.position = 0;
        let kept = self.buffer.len();
        let room = wanted.max(self.buffer_size) - kept;
        let more = usize::try_from(self.end - self.unread).map_or(room, |left| left.min(room));
        self.buffer.resize(kept + more, 0);
        file.read_exact_at(&mut self.buffer[kept..], self.unread)?;
        self.unread += more as u64;
        Ok(())
    }
}

impl Ord for Run {
    fn cmp(&self, other: &Run) -> Ordering {
        let ranks = self.rank.cmp(&other.rank);
        ranks.then_with(|| compare_keys(key(self.row()), key(other.row())))
    }
}

impl PartialOrd for Run {
    fn partial_cmp(&self, other: &Run) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Run {
    fn eq(&self, other: &Run) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Run {}
