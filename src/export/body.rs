//! The export's body, chunk by chunk: what stands before, between and after the users in each layout.

use std::io::{self, Write};

use super::csv::{self, Csv};
use super::spool::Sorted;
use crate::db::views::exported_row::{JSON_ADDS, write_json};
use crate::django::negotiation::Renderer;
use crate::response::Reshaper;

/// The bytes of a chunk.
pub(super) const CHUNK: usize = 256 * 1024;

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The answer of Django's view, indented or not
    Json(Renderer),
    /// One user's JSON a line
    Ndjson,
    /// A table
    Csv(Csv),
}

impl Layout {
    /// The form in which the spool keeps a row; `None`: as it is.
    pub(super) fn spooled<'s>(self, row: &[u8], scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let Layout::Csv(csv) = self else {
            return None;
        };
        scratch.clear();
        csv.write(row, scratch);
        Some(scratch)
    }

    /// Writes a row out of the spool.
    fn write(self, row: &[u8], out: &mut Vec<u8>) {
        match self {
            Layout::Json(_) => write_json(row, out),
            Layout::Ndjson => {
                write_json(row, out);
                out.push(b'\n');
            }
            Layout::Csv(_) => {
                let start = out.len();
                out.extend_from_slice(row);
                let separator = memchr::memchr(csv::AFTER_KEY, row).unwrap_or_default();
                out[start + separator] = b',';
                out.extend_from_slice(csv::END);
            }
        }
    }

    /// How many bytes more `count` rows have in the body than in the spool.
    fn adds(self, count: u64) -> u64 {
        match self {
            Layout::Json(_) => count * JSON_ADDS as u64 + count.saturating_sub(1),
            Layout::Ndjson => count * (JSON_ADDS as u64 + 1),
            Layout::Csv(_) => count * csv::END.len() as u64,
        }
    }

    fn head(self, count: u64) -> Vec<u8> {
        match self {
            Layout::Json(_) => {
                format!(r#"{{"success":true,"count":{count},"users":["#).into_bytes()
            }
            Layout::Ndjson => Vec::new(),
            Layout::Csv(Csv { bom, .. }) => {
                let bom = if bom { "\u{feff}" } else { "" };
                format!("{bom}{}", csv::HEADER).into_bytes()
            }
        }
    }

    fn tail(self, count: u64) -> Vec<u8> {
        match self {
            Layout::Json(_) => {
                format!(r#"],"message":"Successfully exported {count} TV users"}}"#).into_bytes()
            }
            Layout::Ndjson | Layout::Csv(_) => Vec::new(),
        }
    }

    fn reshaper(self) -> Option<Reshaper> {
        match self {
            Layout::Json(renderer) => Reshaper::new(renderer),
            Layout::Ndjson | Layout::Csv(_) => None,
        }
    }
}

/// A body that is written chunk by chunk.
pub(super) struct ExportBody {
    next: Next,
    head: Vec<u8>,
    users: Sorted,
    tail: Vec<u8>,
    pub(super) layout: Layout,
    reshaper: Option<Reshaper>,
}

enum Next {
    Head,
    Users,
    Nothing,
}

impl ExportBody {
    pub(super) fn new(users: Sorted, layout: Layout) -> ExportBody {
        let count = users.count();
        ExportBody {
            next: Next::Head,
            head: layout.head(count),
            tail: layout.tail(count),
            users,
            layout,
            reshaper: layout.reshaper(),
        }
    }

    /// The length of all chunks together. An indented body must be written once to measure it.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        if self.reshaper.is_none() {
            let users = self.users.length() + self.layout.adds(self.users.count());
            return Ok((self.head.len() + self.tail.len()) as u64 + users);
        }
        let mut length = 0;
        while let Some(chunk) = self.next_chunk()? {
            length += chunk.len() as u64;
        }
        self.next = Next::Head;
        self.users.rewind()?;
        self.reshaper = self.layout.reshaper();
        Ok(length)
    }

    /// The next chunk, made of [`CHUNK`] bytes of compact text or of all that is left; `None` after the last one.
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut compact = Vec::with_capacity(CHUNK + 4096);
        match self.next {
            Next::Head => compact.extend_from_slice(&self.head),
            Next::Users => {}
            Next::Nothing => return Ok(None),
        }
        self.next = Next::Users;
        while compact.len() < CHUNK
            && let Some(user) = self.users.row()
        {
            self.layout.write(user, &mut compact);
            self.users.advance()?;
            if matches!(self.layout, Layout::Json(_)) && self.users.row().is_some() {
                compact.push(b',');
            }
        }
        let is_last = self.users.row().is_none();
        if is_last {
            compact.extend_from_slice(&self.tail);
            self.next = Next::Nothing;
        }
        Ok(Some(match &mut self.reshaper {
            None => compact,
            Some(reshaper) => reshaper.push(&compact),
        }))
    }

    /// Writes all chunks, and calls `written` with the length of each. Blocking.
    pub(super) fn write_to(
        &mut self,
        out: &mut impl Write,
        mut written: impl FnMut(u64),
    ) -> io::Result<()> {
        while let Some(chunk) = self.next_chunk()? {
            out.write_all(&chunk)?;
            written(chunk.len() as u64);
        }
        Ok(())
    }
}
