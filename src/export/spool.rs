//! Sorts exported rows by rank, with a few MiB of memory whatever their number: an external merge sort. Rows are gathered and
//! sorted a run at a time; the runs are written one behind the other to an unlinked temporary file, and reading merges them.
//! Rows that fit into one run never see the disk.
//!
//! Rows of equal rank are sorted by the users' keys, so that the same rows always make the same bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use crate::django::sessions::UserId;

/// The bytes of a run.
pub(super) const RUN: usize = 2 * 1024 * 1024;

/// The bytes that merging keeps in memory: of all runs together, and the limits for one run.
const MERGE_BUFFERS: usize = 2 * 1024 * 1024;
const SMALLEST_BUFFER: usize = 4 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024;

/// Rank and key of a row, as bytes that sort like them.
type SortKey = [u8; 24];

fn sort_key(rank: i64, id: UserId) -> SortKey {
    let mut key = [0; 24];
    // With their sign turned over, signed integers sort like their bytes.
    key[..8].copy_from_slice(&(rank ^ i64::MIN).to_be_bytes());
    key[8..].copy_from_slice(&match id {
        UserId::Integer(id) => (id ^ i128::MIN).to_be_bytes(),
        UserId::Uuid(bytes) => bytes,
    });
    key
}

/// Gathers rows.
pub(super) struct Spool {
    /// The rows of the latest run, each with its sort key and its length before it
    bytes: Vec<u8>,
    /// The rank of each row of the run, and where the row stands
    rows: Vec<(i64, Range<usize>)>,
    file: SpooledTempFile,
    /// Where each run in the file ends
    ends: Vec<u64>,
    count: u64,
    length: u64,
    digest: Sha256,
}

impl Spool {
    /// An empty spool.
    pub(super) fn new() -> Spool {
        Spool {
            bytes: Vec::with_capacity(RUN),
            rows: Vec::new(),
            file: SpooledTempFile::new(RUN),
            ends: Vec::new(),
            count: 0,
            length: 0,
            digest: Sha256::new(),
        }
    }

    /// Adds the row of a user.
    pub(super) fn push(&mut self, rank: i64, id: UserId, row: &[u8]) -> io::Result<()> {
        let key = sort_key(rank, id);
        let length = u32::try_from(row.len()).map_err(io::Error::other)?;
        let length = length.to_le_bytes();
        if self.bytes.len() + key.len() + length.len() + row.len() > RUN {
            self.write_run()?;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&key);
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(row);
        self.rows.push((rank, start..self.bytes.len()));
        self.count += 1;
        self.length += row.len() as u64;
        Ok(())
    }

    /// Ends the gathering, and gives the rows in order.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        self.write_run()?;
        let mut sorted = Sorted {
            count: self.count,
            length: self.length,
            digest: self.digest.finalize().into(),
            file: Arc::new(Mutex::new(self.file)),
            ends: self.ends,
            runs: Vec::new(),
            next: BinaryHeap::new(),
        };
        sorted.rewind()?;
        Ok(sorted)
    }

    /// Adds the gathered rows to the digest, in the order in which they came, and writes them sorted.
    fn write_run(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.digest.update(&self.bytes);
        let bytes = &self.bytes;
        // Each row begins with its sort key, and no two keys are the same.
        let row = |range: &Range<usize>| &bytes[range.clone()];
        self.rows
            .sort_unstable_by(|(rank, range), (other_rank, other)| {
                rank.cmp(other_rank)
                    .then_with(|| row(range).cmp(row(other)))
            });
        let mut writer = BufWriter::with_capacity(LARGEST_BUFFER, &mut self.file);
        for (_, range) in &self.rows {
            writer.write_all(row(range))?;
        }
        writer.flush()?;
        drop(writer);
        let start = self.ends.last().copied().unwrap_or(0);
        self.ends.push(start + self.bytes.len() as u64);
        self.bytes.clear();
        self.rows.clear();
        Ok(())
    }
}

/// The rows in order, read one after the other.
pub(super) struct Sorted {
    /// The number of rows
    pub(super) count: u64,
    /// The bytes of all rows
    pub(super) length: u64,
    /// SHA-256 of the rows and what they are sorted by, in the order in which they came
    pub(super) digest: [u8; 32],
    file: Arc<Mutex<SpooledTempFile>>,
    ends: Vec<u64>,
    runs: Vec<Run>,
    /// The sort keys of the runs' current rows, each with the run's index
    next: BinaryHeap<Reverse<(SortKey, usize)>>,
}

impl Sorted {
    /// The current row; `None` after the last one.
    pub(super) fn row(&self) -> Option<&[u8]> {
        let Reverse((_, run)) = self.next.peek()?;
        Some(&self.runs[*run].row)
    }

    /// Goes on to the next row.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        if let Some(mut first) = self.next.peek_mut() {
            let Reverse((_, run)) = *first;
            match self.runs[run].next()? {
                Some(key) => *first = Reverse((key, run)),
                None => drop(PeekMut::pop(first)),
            }
        }
        Ok(())
    }

    /// Goes back to the first row.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.runs.clear();
        self.next.clear();
        let buffer = MERGE_BUFFERS / self.ends.len().max(1);
        let buffer = buffer.clamp(SMALLEST_BUFFER, LARGEST_BUFFER);
        let mut start = 0;
        for (index, &end) in self.ends.iter().enumerate() {
            let section = Section {
                file: Arc::clone(&self.file),
                position: start,
                end,
            };
            start = end;
            let mut run = Run {
                reader: BufReader::with_capacity(buffer, section),
                row: Vec::new(),
            };
            let key = run.next()?;
            self.next.extend(key.map(|key| Reverse((key, index))));
            self.runs.push(run);
        }
        Ok(())
    }
}

/// A sorted run and its current row.
struct Run {
    reader: BufReader<Section>,
    row: Vec<u8>,
}

impl Run {
    /// Reads the next row, and gives its sort key; `None` at the end.
    fn next(&mut self) -> io::Result<Option<SortKey>> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let (mut key, mut length) = ([0; 24], [0; 4]);
        self.reader.read_exact(&mut key)?;
        self.reader.read_exact(&mut length)?;
        self.row.resize(u32::from_le_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.row)?;
        Ok(Some(key))
    }
}

/// A part of the file.
struct Section {
    file: Arc<Mutex<SpooledTempFile>>,
    position: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.position))?;
        let length = (&mut *file).take(self.end - self.position).read(out)?;
        self.position += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in a scrambled order, some of equal rank, each the key and a text of some length.
    fn rows(count: i64, padding: usize) -> Vec<(i64, i128, String)> {
        (0..count)
            .map(|number| {
                let id = number * 7919 % count - count / 3;
                let rank = id * 104_729 % count / 3;
                (rank, id.into(), format!("{id} {}", "x".repeat(padding)))
            })
            .collect()
    }

    fn spooled(rows: &[(i64, i128, String)]) -> Sorted {
        let mut spool = Spool::new();
        for (rank, id, row) in rows {
            spool
                .push(*rank, UserId::Integer(*id), row.as_bytes())
                .unwrap();
        }
        spool.finish().unwrap()
    }

    fn read_all(sorted: &mut Sorted) -> Vec<String> {
        std::iter::from_fn(|| {
            let row = String::from_utf8(sorted.row()?.to_vec()).unwrap();
            sorted.advance().unwrap();
            Some(row)
        })
        .collect()
    }

    #[test]
    fn rows_are_sorted_by_rank_and_then_by_key_in_memory_or_merged_from_a_file() {
        let mut long = rows(3, LARGEST_BUFFER * 3);
        let longer = rows(2, RUN * 2).into_iter();
        long.extend(longer.map(|(rank, id, row)| (rank + 50, id, row)));
        for (mut rows, in_memory) in [
            (rows(0, 0), true),
            (rows(1, 5), true),
            (rows(1000, 10), true),
            (rows(60_000, 200), false),
            (long, false),
        ] {
            let mut sorted = spooled(&rows);
            assert_eq!(!sorted.file.lock().unwrap().is_rolled(), in_memory);
            assert_eq!(sorted.count, rows.len() as u64);
            rows.sort();
            let expected: Vec<String> = rows.into_iter().map(|(_, _, row)| row).collect();
            assert_eq!(sorted.length as usize, expected.concat().len());
            assert!(read_all(&mut sorted) == expected);
            sorted.rewind().unwrap();
            assert!(read_all(&mut sorted) == expected);
        }
    }

    #[test]
    fn the_digest_differs_with_rows_ranks_and_order() {
        let digest = |rows: [(i64, i128, &str); 2]| {
            spooled(&rows.map(|(rank, id, row)| (rank, id, row.to_owned()))).digest
        };
        let first = digest([(1, 1, "a"), (2, 2, "b")]);
        assert_eq!(digest([(1, 1, "a"), (2, 2, "b")]), first);
        for others in [
            [(1, 1, "ab"), (2, 2, "")],
            [(3, 1, "a"), (2, 2, "b")],
            [(2, 2, "b"), (1, 1, "a")],
        ] {
            assert_ne!(digest(others), first);
        }
    }
}
