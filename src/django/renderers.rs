//! The bytes of `rest_framework.renderers.JSONRenderer` (DRF 3.18, UNICODE_JSON and COMPACT_JSON on): strings, and the
//! indented form of `Accept: application/json; indent=4`.
//! Leaves out the other JSON types, which the export writes, and UNICODE_JSON=False.

/// How a byte is written inside a JSON string.
const PLAIN: u8 = 0;
/// As `\u00xx`.
const CONTROL: u8 = 1;
/// Perhaps the start of U+2028 or U+2029.
const MAYBE_SEPARATOR: u8 = 2;
// Any other class is the letter behind the backslash.

const CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        classes[byte] = CONTROL;
        byte += 1;
    }
    classes[b'\n' as usize] = b'n';
    classes[b'\r' as usize] = b'r';
    classes[b'\t' as usize] = b't';
    classes[0x08] = b'b';
    classes[0x0c] = b'f';
    classes[b'"' as usize] = b'"';
    classes[b'\\' as usize] = b'\\';
    classes[0xe2] = MAYBE_SEPARATOR;
    classes
};

/// Appends `text` as a JSON string with its quotes: `json.dumps(text, ensure_ascii=False)`, and U+2028 and U+2029
/// escaped as `JSONRenderer.render` does. DEL, `/`, `<`, `>`, `&` and all other non-ASCII stay as they are.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    // Everything before `written` is in `out`.
    let (mut written, mut position) = (0, 0);
    while position < bytes.len() {
        let byte = bytes[position];
        let class = CLASSES[usize::from(byte)];
        if class == PLAIN {
            position += 1;
            continue;
        }
        let (escape, length): ([u8; 6], usize) = match class {
            MAYBE_SEPARATOR => match bytes[position..] {
                [_, 0x80, last @ (0xa8 | 0xa9), ..] => {
                    (*if last == 0xa8 { b"\\u2028" } else { b"\\u2029" }, 3)
                }
                _ => {
                    position += 1;
                    continue;
                }
            },
            CONTROL => {
                let [high, low] = [byte >> 4, byte & 0x0f].map(|nibble| HEX[usize::from(nibble)]);
                ([b'\\', b'u', b'0', b'0', high, low], 1)
            }
            letter => {
                out.extend_from_slice(&bytes[written..position]);
                out.extend_from_slice(&[b'\\', letter]);
                position += 1;
                written = position;
                continue;
            }
        };
        out.extend_from_slice(&bytes[written..position]);
        out.extend_from_slice(&escape);
        position += length;
        written = position;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
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
