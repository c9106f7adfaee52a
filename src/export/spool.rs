//! Rows on their way through: they come in any order and leave by their places, at the cost of a few MiB of memory whatever
//! their number. An external merge sort: rows are gathered, sorted and written to an unlinked temporary file a run at a
//! time; on the way out the runs are merged. What fits into one run never sees the disk.
//!
//! Rows of equal places leave by the key that every row begins with, so that the same rows always make the same bytes.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

/// Rows are gathered in memory up to this many bytes.
const RUN: usize = 2 * 1024 * 1024;

/// What merging may keep in memory of all runs together, and of one run at the least and at the most, in bytes.
const MERGE_BUFFERS: usize = 2 * 1024 * 1024;
const SMALLEST_BUFFER: usize = 4 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024;

/// Each row stands behind its place and its length.
const ROW_HEAD: usize = 12;

/// Where rows are gathered.
pub struct Spool {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    file: Option<File>,
    /// The ends of the runs in the file.
    runs: Vec<u64>,
    count: u64,
    length: u64,
    digest: Sha256,
}

/// Where a gathered row stands, with its head.
struct Row {
    place: i64,
    start: usize,
    end: usize,
}

impl Spool {
    /// An empty one.
    pub fn new() -> Spool {
        Spool {
            bytes: Vec::with_capacity(RUN),
            rows: Vec::new(),
            file: None,
            runs: Vec::new(),
            count: 0,
            length: 0,
            digest: Sha256::new(),
        }
    }

    /// Takes a row that begins with its key, up to a control character.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn push(&mut self, place: i64, row: &[u8]) -> io::Result<()> {
        if self.bytes.len() + ROW_HEAD + row.len() > RUN {
            self.write_run()?;
        }
        let length = u32::try_from(row.len()).map_err(io::Error::other)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&place.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(row);
        self.rows.push(Row {
            place,
            start,
            end: self.bytes.len(),
        });
        self.count += 1;
        self.length += u64::from(length);
        Ok(())
    }

    /// All rows, to be read by their places.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn finish(mut self) -> io::Result<Sorted> {
        let mut runs = Vec::with_capacity(self.runs.len() + 1);
        if self.runs.is_empty() {
            self.sort();
            let mut buffer = Vec::with_capacity(self.bytes.len());
            self.write_rows(&mut buffer)?;
            runs.push(Run {
                buffer,
                ..Run::default()
            });
        } else {
            self.write_run()?;
            let buffer = MERGE_BUFFERS / self.runs.len();
            let mut start = 0;
            for end in self.runs {
                let buffer = buffer.clamp(SMALLEST_BUFFER, LARGEST_BUFFER);
                runs.push(Run::in_file(start, end, buffer));
                start = end;
            }
        }
        let mut sorted = Sorted {
            count: self.count,
            length: self.length,
            digest: self.digest.finalize().into(),
            file: self.file,
            runs,
            heap: Vec::new(),
        };
        sorted.rewind()?;
        Ok(sorted)
    }

    /// Sorts what is gathered, having digested it as it came: the digest of rows must not wait for the last of them.
    fn sort(&mut self) {
        self.digest.update(&self.bytes);
        let bytes = &self.bytes;
        let key = |row: &Row| key(&bytes[row.start + ROW_HEAD..row.end]);
        self.rows.sort_unstable_by(|a, b| {
            a.place
                .cmp(&b.place)
                .then_with(|| compare_keys(key(a), key(b)))
        });
    }

    fn write_rows(&self, out: &mut impl Write) -> io::Result<()> {
        self.rows
            .iter()
            .try_for_each(|row| out.write_all(&self.bytes[row.start..row.end]))
    }

    fn write_run(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.sort();
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        if let Some(file) = &self.file {
            let mut writer = BufWriter::with_capacity(LARGEST_BUFFER, file);
            self.write_rows(&mut writer)?;
            writer.flush()?;
        }
        let start = self.runs.last().copied().unwrap_or(0);
        self.runs.push(start + self.bytes.len() as u64);
        self.bytes.clear();
        self.rows.clear();
        Ok(())
    }
}

/// The key at the start of a row.
pub(super) fn key(row: &[u8]) -> &[u8] {
    let end = row.iter().position(u8::is_ascii_control);
    &row[..end.unwrap_or(row.len())]
}

/// Compares integers by their size, and UUIDs, which are all of one length, by their digits.
fn compare_keys(a: &[u8], b: &[u8]) -> Ordering {
    let by_digits = || a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.starts_with(b"-"), b.starts_with(b"-")) {
        (false, false) => by_digits(),
        (true, true) => by_digits().reverse(),
        (a_is_negative, b_is_negative) => b_is_negative.cmp(&a_is_negative),
    }
}

/// Rows that are all in, read in order from the first to the last.
pub struct Sorted {
    count: u64,
    length: u64,
    digest: [u8; 32],
    file: Option<File>,
    runs: Vec<Run>,
    /// A binary heap of the runs that have a row left, the one with the first row on top.
    heap: Vec<usize>,
}

impl Sorted {
    /// How many rows there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The bytes of all rows.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// SHA-256 of the rows and their places in the order in which they came.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The next row; `None` behind the last one.
    pub fn row(&self) -> Option<&[u8]> {
        self.heap.first().map(|first| self.runs[*first].row())
    }

    /// Goes on to the next row.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn advance(&mut self) -> io::Result<()> {
        if let Some(first) = self.heap.first().copied() {
            if !self.runs[first].next(self.file.as_ref())? {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        Ok(())
    }

    /// Goes back to the first row.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.heap.clear();
        for (index, run) in self.runs.iter_mut().enumerate() {
            if run.rewind(self.file.as_ref())? {
                self.heap.push(index);
            }
        }
        for position in (0..self.heap.len() / 2).rev() {
            self.sift_down(position);
        }
        Ok(())
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let mut first = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if child < self.heap.len() && self.is_before(child, first) {
                    first = child;
                }
            }
            if first == position {
                return;
            }
            self.heap.swap(position, first);
            position = first;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.runs[self.heap[a]], &self.runs[self.heap[b]]);
        a.place
            .cmp(&b.place)
            .then_with(|| compare_keys(key(a.row()), key(b.row())))
            .is_lt()
    }
}

/// One run and the row in it that comes next: in memory as a whole, or as much of it as its buffer holds.
#[derive(Default)]
struct Run {
    buffer: Vec<u8>,
    /// Where the next row's head stands in the buffer, and what it says.
    position: usize,
    place: i64,
    row_length: usize,
    /// Where the run is in the file, and from where on the buffer has not got it.
    start: u64,
    unread: u64,
    end: u64,
    buffer_size: usize,
}

impl Run {
    fn in_file(start: u64, end: u64, buffer_size: usize) -> Run {
        Run {
            start,
            unread: start,
            end,
            buffer_size,
            ..Run::default()
        }
    }

    fn row(&self) -> &[u8] {
        &self.buffer[self.position + ROW_HEAD..][..self.row_length]
    }

    /// Goes on to the next row; whether there is one.
    fn next(&mut self, file: Option<&File>) -> io::Result<bool> {
        self.position += ROW_HEAD + self.row_length;
        self.load(file)
    }

    fn rewind(&mut self, file: Option<&File>) -> io::Result<bool> {
        self.position = 0;
        if self.end > 0 {
            self.buffer.clear();
            self.unread = self.start;
        }
        self.load(file)
    }

    /// Brings the whole of the row at the position into the buffer; whether there is one.
    fn load(&mut self, file: Option<&File>) -> io::Result<bool> {
        self.fill(file, ROW_HEAD)?;
        let Some((place, rest)) = self.buffer[self.position..].split_first_chunk::<8>() else {
            return Ok(false);
        };
        let Some((length, _)) = rest.split_first_chunk::<4>() else {
            return Ok(false);
        };
        self.place = i64::from_le_bytes(*place);
        self.row_length = u32::from_le_bytes(*length) as usize;
        self.fill(file, ROW_HEAD + self.row_length)?;
        Ok(true)
    }

    /// Reads on where fewer than `wanted` bytes follow the position and the file has more.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in a scrambled order, some of equal places.
    fn rows(count: i64, padding: usize) -> Vec<(i64, String)> {
        (0..count)
            .map(|number| {
                let id = number * 7919 % count - count / 3;
                let place = id * 104_729 % count / 3;
                (place, format!("{id}\x1f{}", "x".repeat(padding)))
            })
            .collect()
    }

    fn spooled(rows: &[(i64, String)]) -> Sorted {
        let mut spool = Spool::new();
        for (place, row) in rows {
            spool.push(*place, row.as_bytes()).unwrap();
        }
        spool.finish().unwrap()
    }

    fn read_all(sorted: &mut Sorted) -> Vec<String> {
        let mut rows = Vec::new();
        while let Some(row) = sorted.row() {
            rows.push(String::from_utf8(row.to_vec()).unwrap());
            sorted.advance().unwrap();
        }
        rows
    }

    fn expected(mut rows: Vec<(i64, String)>) -> Vec<String> {
        let id = |row: &str| row.split('\x1f').next().unwrap().parse::<i64>().unwrap();
        rows.sort_by_key(|(place, row)| (*place, id(row)));
        rows.into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn rows_leave_by_place_and_then_by_key_whether_in_memory_or_merged_from_a_file() {
        for (count, padding, in_memory) in [
            (0, 0, true),
            (1, 5, true),
            (1000, 10, true),
            (60_000, 200, false),
        ] {
            let rows = rows(count, padding);
            let mut sorted = spooled(&rows);
            assert_eq!(sorted.file.is_none(), in_memory);
            assert_eq!(sorted.count(), count as u64);
            let expected = expected(rows);
            assert_eq!(sorted.length() as usize, expected.concat().len());
            assert!(read_all(&mut sorted) == expected, "{count} rows");
            sorted.rewind().unwrap();
            assert!(read_all(&mut sorted) == expected, "{count} rows, again");
        }
    }

    #[test]
    fn a_row_may_be_longer_than_any_buffer() {
        let mut rows = rows(3, LARGEST_BUFFER * 3);
        let longer = self::rows(2, RUN * 2).into_iter();
        rows.extend(longer.map(|(place, row)| (place + 50, row)));
        let mut sorted = spooled(&rows);
        assert!(sorted.file.is_some());
        assert!(read_all(&mut sorted) == expected(rows));
    }

    #[test]
    fn the_digest_tells_rows_and_places_apart() {
        let digest = |rows: &[(i64, &str)]| {
            let owned = |(place, row): &(i64, &str)| (*place, (*row).to_owned());
            let rows: Vec<(i64, String)> = rows.iter().map(owned).collect();
            *spooled(&rows).digest()
        };
        let first = digest(&[(1, "1\x1fa"), (2, "2\x1fb")]);
        assert_eq!(digest(&[(1, "1\x1fa"), (2, "2\x1fb")]), first);
        for others in [
            &[(1, "1\x1fa2\x1f"), (2, "b")][..],
            &[(1, "1\x1fa")],
            // The same rows in another order.
            &[(3, "1\x1fa"), (2, "2\x1fb")],
        ] {
            assert_ne!(digest(others), first);
        }
    }
}
