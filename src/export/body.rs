//! The export's body, chunk by chunk: what stands before, between and after the users in each layout.

use std::io;

use super::csv::{self, Csv};
use super::spool::Sorted;
use crate::db::views::exported_row::{JSON_ADDS, write_json};
use crate::django::negotiation::Renderer;
use crate::django::renderers::Indenter;

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
    /// Writes a row out of the spool.
    fn write(self, row: &[u8], out: &mut Vec<u8>) {
        match self {
            Layout::Json(_) => write_json(row, out),
            Layout::Ndjson => {
                write_json(row, out);
                out.push(b'\n');
            }
            Layout::Csv(_) => out.extend_from_slice(row),
        }
    }

    /// What stands before the users, and behind them.
    fn frame(self, count: u64) -> [String; 2] {
        match self {
            Layout::Json(_) => [
                format!(r#"{{"success":true,"count":{count},"users":["#),
                format!(r#"],"message":"Successfully exported {count} TV users"}}"#),
            ],
            Layout::Ndjson => Default::default(),
            Layout::Csv(Csv { bom, .. }) => {
                let bom = if bom { "\u{feff}" } else { "" };
                [format!("{bom}{}", csv::HEADER), String::new()]
            }
        }
    }

    fn indenter(self) -> Option<Indenter> {
        match self {
            Layout::Json(renderer) => renderer.indent.map(Indenter::new),
            Layout::Ndjson | Layout::Csv(_) => None,
        }
    }
}

/// A body that is written chunk by chunk.
pub(super) struct ExportBody {
    pub(super) users: Sorted,
    pub(super) layout: Layout,
}

impl ExportBody {
    /// The length of all chunks together. An indented body must be written once to measure it. Blocking.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        let (count, layout) = (self.users.count, self.layout);
        if layout.indenter().is_none() {
            let added = match layout {
                Layout::Json(_) => count * JSON_ADDS as u64 + count.saturating_sub(1),
                Layout::Ndjson => count * (JSON_ADDS as u64 + 1),
                Layout::Csv(_) => 0,
            };
            return Ok(layout.frame(count).concat().len() as u64 + self.users.length + added);
        }
        let mut length = 0;
        self.for_each_chunk(|chunk| {
            length += chunk.len() as u64;
            Ok(())
        })?;
        self.users.rewind()?;
        Ok(length)
    }

    /// Makes the chunks, each of [`CHUNK`] bytes of compact text or of all that is left. Blocking.
    pub(super) fn for_each_chunk(
        &mut self,
        mut each: impl FnMut(Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let [head, tail] = self.layout.frame(self.users.count);
        let mut indenter = self.layout.indenter();
        let mut start = head;
        loop {
            let mut compact = Vec::with_capacity(CHUNK + 4096);
            compact.extend_from_slice(start.as_bytes());
            start.clear();
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
                compact.extend_from_slice(tail.as_bytes());
            }
            each(match &mut indenter {
                None => compact,
                Some(indenter) => {
                    let mut indented = Vec::with_capacity(compact.len() * 2);
                    indenter.push(&compact, &mut indented);
                    indented
                }
            })?;
            if is_last {
                return Ok(());
            }
        }
    }
}
