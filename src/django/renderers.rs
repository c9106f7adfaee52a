//! The bytes of `rest_framework.renderers.JSONRenderer` (DRF 3.18, UNICODE_JSON and COMPACT_JSON on): strings, and the
//! indented form of `Accept: application/json; indent=4`.
//! Leaves out the other JSON types, which the export writes, and UNICODE_JSON=False.

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::io;

/// Appends `text` as a JSON string with its quotes: `json.dumps(text, ensure_ascii=False)`, and U+2028 and U+2029
/// escaped as `JSONRenderer.render` does. DEL, `/`, `<`, `>`, `&` and all other non-ASCII stay as they are.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    // A text can always be serialized, and a vector can always be written to.
    let _ = text.serialize(&mut Serializer::with_formatter(out, EscapedSeparators));
}

/// serde_json escapes what Python's `json` does; this adds what `JSONRenderer` does.
struct EscapedSeparators;

impl Formatter for EscapedSeparators {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        // The first byte of both characters; most texts have none.
        while rest.as_bytes().contains(&0xe2)
            && let Some(position) = rest.find(['\u{2028}', '\u{2029}'])
        {
            let (before, separator) = rest.split_at(position);
            writer.write_all(before.as_bytes())?;
            writer.write_all(match separator.starts_with('\u{2028}') {
                true => b"\\u2028",
                false => b"\\u2029",
            })?;
            rest = &separator['\u{2028}'.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Turns compact JSON, pushed in pieces of any size, into what `JSONRenderer` writes for `indent=n`: `json.dumps` with
/// `indent=n` and the separators `,` and `: `. The input must be valid JSON without blanks outside strings.
pub struct Indenter {
    spaces: usize,
    depth: usize,
    in_string: bool,
    /// The byte before was a backslash inside a string.
    escaped: bool,
    /// `[` or `{` was just written.
    opened: bool,
}

impl Indenter {
    /// An indenter with `spaces` blanks for each level.
    pub fn new(spaces: u8) -> Self {
        Self {
            spaces: usize::from(spaces),
            depth: 0,
            in_string: false,
            escaped: false,
            opened: false,
        }
    }

    /// Appends the next `piece` of the compact text to `out`, indented.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len());
        for &byte in piece {
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                out.push(byte);
                continue;
            }
            let opened = std::mem::take(&mut self.opened);
            let closes = matches!(byte, b']' | b'}');
            if closes {
                self.depth = self.depth.saturating_sub(1);
            }
            // An empty container stays on its line.
            if opened != closes {
                self.new_line(out);
            }
            out.push(byte);
            match byte {
                b'[' | b'{' => {
                    self.depth += 1;
                    self.opened = true;
                }
                b',' => self.new_line(out),
                b':' => out.push(b' '),
                b'"' => self.in_string = true,
                _ => {}
            }
        }
    }

    fn new_line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + self.spaces * self.depth, b' ');
    }
}
