//! Sorts exported rows by rank, with a few MiB of memory whatever their number: an external merge sort. Rows are gathered and
//! sorted a run at a time; each run is written to an unlinked temporary file, and reading merges the runs. Rows that fit into
//! one run never see the disk.
//!
//! Rows of equal rank are sorted by the key that each row begins with, so that the same rows always make the same bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;
use sha2::{Digest, Sha256};

use super::run::{ROW_HEAD, Run, compare_keys, key};

/// The bytes of a run.
const RUN: usize = 2 * 1024 * 1024;

/// The bytes that merging keeps in memory: of all runs together, and the limits for one run.
const MERGE_BUFFERS: usize = 2 * 1024 * 1024;
const SMALLEST_BUFFER: usize = 4 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024;

/// Sees that a run can be written to the folder of temporary files. Blocking.
pub(super) fn probe() -> io::Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&[0; 4096])?;
    let system = fstatvfs(&file)?;
    let free = system.blocks_available() * system.fragment_size();
    // A file system without a size of its own has no blocks.
    match system.blocks() > 0 && free < RUN as u64 {
        true => Err(Errno::ENOSPC.into()),
        false => Ok(()),
    }
}

/// Gathers rows.
pub struct Spool {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    file: Option<File>,
    /// Where each run in the file ends
    runs: Vec<u64>,
    count: u64,
    length: u64,
    digest: Sha256,
}

/// The position of a gathered row, including its head.
struct Row {
    rank: i64,
    start: usize,
    end: usize,
}

impl Spool {
    /// An empty spool.
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

    /// Adds a row, which must begin with its key and a control character.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn push(&mut self, rank: i64, row: &[u8]) -> io::Result<()> {
        if self.bytes.len() + ROW_HEAD + row.len() > RUN {
            self.write_run()?;
        }
        let length = u32::try_from(row.len()).map_err(io::Error::other)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&rank.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(row);
        self.rows.push(Row {
            rank,
            start,
            end: self.bytes.len(),
        });
        self.count += 1;
        self.length += u64::from(length);
        Ok(())
    }

    /// Ends the gathering, and gives the rows in order.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn finish(mut self) -> io::Result<Sorted> {
        let mut runs = Vec::with_capacity(self.runs.len() + 1);
        if self.runs.is_empty() {
            self.sort();
            let mut buffer = Vec::with_capacity(self.bytes.len());
            self.write_rows(&mut buffer)?;
            runs.push(Run::in_memory(buffer));
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
            runs: BinaryHeap::with_capacity(runs.len()),
            ended: runs,
        };
        sorted.rewind()?;
        Ok(sorted)
    }

    /// Adds the gathered rows to the digest, in the order in which they came, and sorts them.
    fn sort(&mut self) {
        self.digest.update(&self.bytes);
        let bytes = &self.bytes;
        let key = |row: &Row| key(&bytes[row.start + ROW_HEAD..row.end]);
        self.rows.sort_unstable_by(|a, b| {
            a.rank
                .cmp(&b.rank)
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

/// The rows in order, read one after the other.
pub struct Sorted {
    count: u64,
    length: u64,
    digest: [u8; 32],
    file: Option<File>,
    /// The runs that have a row left, the one with the next row on top
    runs: BinaryHeap<Reverse<Run>>,
    ended: Vec<Run>,
}

impl Sorted {
    /// The number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The bytes of all rows.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// SHA-256 of the rows and their ranks, in the order in which they came.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The current row; `None` after the last one.
    pub fn row(&self) -> Option<&[u8]> {
        self.runs.peek().map(|Reverse(run)| run.row())
    }

    /// Goes on to the next row.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn advance(&mut self) -> io::Result<()> {
        if let Some(mut first) = self.runs.peek_mut()
            && !first.0.next(self.file.as_ref())?
        {
            self.ended.push(PeekMut::pop(first).0);
        }
        Ok(())
    }

    /// Goes back to the first row.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn rewind(&mut self) -> io::Result<()> {
        let mut runs = std::mem::take(&mut self.ended);
        runs.extend(self.runs.drain().map(|Reverse(run)| run));
        for mut run in runs {
            match run.rewind(self.file.as_ref())? {
                true => self.runs.push(Reverse(run)),
                false => self.ended.push(run),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in a scrambled order, some of equal rank.
    fn rows(count: i64, padding: usize) -> Vec<(i64, String)> {
        (0..count)
            .map(|number| {
                let id = number * 7919 % count - count / 3;
                let rank = id * 104_729 % count / 3;
                (rank, format!("{id}\x1f{}", "x".repeat(padding)))
            })
            .collect()
    }

    fn spooled(rows: &[(i64, String)]) -> Sorted {
        let mut spool = Spool::new();
        for (rank, row) in rows {
            spool.push(*rank, row.as_bytes()).unwrap();
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
        rows.sort_by_key(|(rank, row)| (*rank, id(row)));
        rows.into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn rows_are_sorted_by_rank_and_then_by_key_in_memory_or_merged_from_a_file() {
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
        rows.extend(longer.map(|(rank, row)| (rank + 50, row)));
        let mut sorted = spooled(&rows);
        assert!(sorted.file.is_some());
        assert!(read_all(&mut sorted) == expected(rows));
    }

    #[test]
    fn the_digest_differs_with_rows_ranks_and_order() {
        let digest = |rows: &[(i64, &str)]| {
            let owned = |(rank, row): &(i64, &str)| (*rank, (*row).to_owned());
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
