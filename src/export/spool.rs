//! Sorts exported rows by rank, with a few MiB of memory whatever their number: an external merge sort. Rows are gathered and
//! sorted a run at a time; the runs are written one behind the other to an unlinked temporary file, and reading merges them.
//! Rows that fit into one run never see the disk.
//!
//! Rows of equal rank are sorted by the users' keys, so that the same rows always make the same bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::django::sessions::UserId;

/// The bytes of a run.
pub(super) const RUN: usize = 2 * 1024 * 1024;

/// The bytes that merging keeps in memory: of all runs together, and the limits for one run.
const MERGE_BUFFERS: usize = 2 * 1024 * 1024;
const SMALLEST_BUFFER: usize = 4 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024;

/// The bytes before a row: its rank, its key, both as they sort by their bytes, and its length.
const HEAD: usize = 8 + 16 + 4;

/// Rank and key of a row.
type SortKey = (u64, u128);

fn sort_key(rank: i64, id: UserId) -> SortKey {
    // With their sign turned over, signed integers sort like unsigned ones.
    let key = match id {
        UserId::Integer(id) => id.cast_unsigned() ^ 1 << 127,
        UserId::Uuid(bytes) => u128::from_be_bytes(bytes),
    };
    (rank.cast_unsigned() ^ 1 << 63, key)
}

/// Gathers rows.
pub(super) struct Spool {
    /// The rows of the latest run, each with its sort key and its length before it
    bytes: Vec<u8>,
    /// The rank of each row of the run, and where the row stands
    rows: Vec<(i64, Range<usize>)>,
    /// The earlier runs
    file: Option<File>,
    /// Where each run ends
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
            file: None,
            ends: Vec::new(),
            count: 0,
            length: 0,
            digest: Sha256::new(),
        }
    }

    /// Adds the row of a user.
    pub(super) fn push(&mut self, rank: i64, id: UserId, row: &[u8]) -> io::Result<()> {
        let length = u32::try_from(row.len()).map_err(io::Error::other)?;
        if self.bytes.len() + HEAD + row.len() > RUN {
            self.write_run()?;
        }
        let start = self.bytes.len();
        let (sort_rank, key) = sort_key(rank, id);
        self.bytes.extend_from_slice(&sort_rank.to_be_bytes());
        self.bytes.extend_from_slice(&key.to_be_bytes());
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(row);
        self.rows.push((rank, start..self.bytes.len()));
        self.count += 1;
        self.length += row.len() as u64;
        Ok(())
    }

    /// Ends the gathering, and gives the rows in order.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        let storage = match self.file.take() {
            None => {
                let mut sorted = Vec::with_capacity(self.bytes.len());
                self.sort_into(&mut sorted)?;
                Storage::Memory(sorted)
            }
            Some(file) => {
                self.sort_into(&mut BufWriter::with_capacity(LARGEST_BUFFER, &file))?;
                Storage::File(file)
            }
        };
        let mut sorted = Sorted {
            count: self.count,
            length: self.length,
            digest: self.digest.finalize().into(),
            storage: Arc::new(storage),
            ends: self.ends,
            runs: Vec::new(),
            next: BinaryHeap::new(),
        };
        sorted.rewind()?;
        Ok(sorted)
    }

    /// Moves the gathered rows to the file.
    fn write_run(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            None => tempfile::tempfile()?,
            Some(file) => file,
        };
        self.sort_into(&mut BufWriter::with_capacity(LARGEST_BUFFER, &file))?;
        self.file = Some(file);
        Ok(())
    }

    /// Adds the gathered rows to the digest, in the order in which they came, and moves them to `out`, sorted.
    fn sort_into(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.digest.update(&self.bytes);
        let bytes = &self.bytes;
        // Each row begins with its sort key, and no two keys are the same.
        let row = |range: &Range<usize>| &bytes[range.clone()];
        self.rows
            .sort_unstable_by(|(rank, range), (other_rank, other)| {
                rank.cmp(other_rank)
                    .then_with(|| row(range).cmp(row(other)))
            });
        for (_, range) in &self.rows {
            out.write_all(row(range))?;
        }
        out.flush()?;
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
    storage: Arc<Storage>,
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
                storage: Arc::clone(&self.storage),
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
        let (mut rank, mut key, mut length) = ([0; 8], [0; 16], [0; 4]);
        self.reader.read_exact(&mut rank)?;
        self.reader.read_exact(&mut key)?;
        self.reader.read_exact(&mut length)?;
        self.row.resize(u32::from_be_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.row)?;
        Ok(Some((u64::from_be_bytes(rank), u128::from_be_bytes(key))))
    }
}

/// Where all runs are.
enum Storage {
    Memory(Vec<u8>),
    File(File),
}

/// A part of the storage.
struct Section {
    storage: Arc<Storage>,
    position: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = out.len().min(left);
        let length = match &*self.storage {
            Storage::File(file) => file.read_at(&mut out[..wanted], self.position)?,
            // What is in memory has a length and a position in it.
            Storage::Memory(bytes) => {
                (&bytes[self.position as usize..]).read(&mut out[..wanted])?
            }
        };
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
            assert_eq!(matches!(*sorted.storage, Storage::Memory(_)), in_memory);
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
