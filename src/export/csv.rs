//! CSV by RFC 4180: CRLF, commas, quotes where they are needed, and a header row with the JSON's keys.
//!
//! A spreadsheet runs a cell that begins with the sign of a formula. An apostrophe is put before each such sign at the start of
//! a text, and after each separator in it: a spreadsheet may split cells at other separators than commas, even within quotes.
//! `formulas=keep` leaves the texts as they are.

use crate::db::views::exported_row::{Value, values};

/// The header row, with its line end.
pub(super) const HEADER: &str =
    "id,username,email,first_name,last_name,tv_service,movie_service,is_active,date_joined\r\n";

/// How CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Csv {
    /// U+FEFF before the first byte: Excel takes the file for UTF-8
    pub bom: bool,
    /// No apostrophes before formulas
    pub keeps_formulas: bool,
}

impl Csv {
    /// Writes an exported row (`db/views/exported_row.rs`) as CSV, with its line end.
    pub fn write(self, row: &[u8], out: &mut Vec<u8>) {
        let [
            id,
            username,
            email,
            first_name,
            last_name,
            movie_service,
            date_joined,
        ] = values(row);
        for cell in [id, username, email, first_name, last_name] {
            self.write_cell(&cell, out);
            out.push(b',');
        }
        out.extend_from_slice(b"true,");
        self.write_cell(&movie_service, out);
        out.extend_from_slice(b",true,");
        self.write_cell(&date_joined, out);
        out.extend_from_slice(b"\r\n");
    }

    fn write_cell(self, value: &Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Null => {}
            Value::Bare(text) => out.extend_from_slice(text.as_bytes()),
            Value::Text(text) if text.bytes().any(is_quoted) => {
                out.push(b'"');
                self.write_text(text, out);
                out.push(b'"');
            }
            Value::Text(text) => self.write_text(text, out),
        }
    }

    /// The text with its quotes doubled, and an apostrophe before each sign that begins a formula.
    fn write_text(self, text: &str, out: &mut Vec<u8>) {
        let guards = !self.keeps_formulas;
        if guards && text.starts_with(['\t', '\r', '\n']) {
            out.push(b'\'');
        }
        let mut written = 0;
        for (at, byte) in text.bytes().enumerate() {
            if !is_special(byte) {
                continue;
            }
            let before = &text.as_bytes()[..at];
            if before.last().is_some_and(u8::is_ascii_alphanumeric) && byte != b'"' {
                continue;
            }
            let addition = match byte {
                b'"' => b'"',
                _ if guards && begins_formula(text, at) => b'\'',
                _ => continue,
            };
            out.extend_from_slice(&before[written..]);
            out.push(addition);
            written = at;
        }
        out.extend_from_slice(&text.as_bytes()[written..]);
    }
}

/// Whether a text with such a byte is quoted: what RFC 4180 requires, and `;` and tabs, so that a reader that splits at several
/// separators keeps the cell whole.
fn is_quoted(byte: u8) -> bool {
    matches!(byte, b'"' | b'\r' | b'\n' | b'\t' | b',' | b';')
}

/// A quote, or the first byte of a sign.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'=' | b'+' | b'-' | b'@' | 0xe2 | 0xef)
}

/// Whether the sign of a formula stands here, and a cell may begin here: at the start of the text or after a separator, with
/// or without blanks in between. A reader may also split at blanks. So a sign directly after a blank counts, unless another
/// blank follows, where it is a dash (`Anna - Maria`).
fn begins_formula(text: &str, at: usize) -> bool {
    let (before, rest) = text.split_at(at);
    let mut rest = rest.chars();
    if !rest.next().is_some_and(is_sign) {
        return false;
    }
    let part = before.trim_end_matches(is_blank);
    match part.chars().next_back() {
        None => true,
        Some(last) if is_separator(last) => true,
        Some(_) => part.len() < before.len() && rest.next().is_some_and(|next| !is_blank(next)),
    }
}

/// `=`, `+`, `-`, `@`, and characters that some spreadsheets treat alike: full-width and small forms, and U+2212.
fn is_sign(c: char) -> bool {
    "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}\u{fe66}\u{fe62}\u{fe63}\u{fe6b}\u{2212}".contains(c)
}

/// Characters at which a reader may split: separators and their full-width forms, quotes, tabs, line ends, other controls.
fn is_separator(c: char) -> bool {
    ",;:|\"\u{ff0c}\u{ff1b}\u{ff1a}\u{ff5c}\u{ff02}\u{2028}\u{2029}".contains(c) || c.is_control()
}

/// Blanks, and characters without width, which a reader may drop.
fn is_blank(c: char) -> bool {
    let has_no_width = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    has_no_width || (c.is_whitespace() && !is_separator(c))
}
