//! The export's bytes on their way out: what stands before, between and behind the users in each layout.

use std::io::{self, Write};

use actix_web::web::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::csv::{self, Csv};
use super::spool::Sorted;
use crate::db::views::exported_row::{JSON_ADDS, write_json};
use crate::django::negotiation::Renderer;
use crate::response::Reshaper;

/// Bytes that are made at a time.
pub(super) const CHUNK: usize = 256 * 1024;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The view's own answer, indented or not
    Json(Renderer),
    /// One user's JSON a line
    Ndjson,
    /// A table
    Csv(Csv),
}

impl Layout {
    /// What a row that was read is kept as in the spool; `None`: as it is.
    pub(super) fn spooled<'s>(self, row: &[u8], scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let Layout::Csv(csv) = self else {
            return None;
        };
        scratch.clear();
        csv.write(row, scratch);
        Some(scratch)
    }

    /// Writes a row that was kept.
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
                let separator = memchr::memchr(csv::BEHIND_KEY, row).unwrap_or_default();
                out[start + separator] = b',';
                out.extend_from_slice(csv::END);
            }
        }
    }

    /// The bytes that `count` rows have more than they have in the spool.
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

/// The body on its way out.
pub(super) struct Body {
    next: Next,
    head: Vec<u8>,
    users: Sorted,
    tail: Vec<u8>,
    pub(super) layout: Layout,
    reshaper: Option<Reshaper>,
    /// Among the exports that are made at a time: free again when this one is sent
    _place: Option<OwnedSemaphorePermit>,
}

enum Next {
    Head,
    Users,
    Nothing,
}

impl Body {
    pub(super) fn new(users: Sorted, layout: Layout, place: Option<OwnedSemaphorePermit>) -> Body {
        let count = users.count();
        Body {
            next: Next::Head,
            head: layout.head(count),
            tail: layout.tail(count),
            users,
            layout,
            reshaper: layout.reshaper(),
            _place: place,
        }
    }

    /// How long all chunks are together. Only what is reshaped must be made to be measured.
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

    /// The next bytes, made of [`CHUNK`] of the compact text or of all that is left; `None` behind the last.
    pub(super) fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
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
        let chunk = match &mut self.reshaper {
            None => compact,
            Some(reshaper) => reshaper.push(&compact),
        };
        Ok(Some(chunk.into()))
    }

    /// Writes all of it, telling how much was written. Blocking.
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
