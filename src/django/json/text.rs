//! Python's `str`, which, unlike Rust's, may hold lone surrogates (JSON's `"\ud800"` makes one).
//! Mirrors `json.encoder.py_encode_basestring_ascii` for writing.

use std::hash::{Hash, Hasher};
use zeroize::Zeroizing;

/// A Python string: UTF-8, with each lone surrogate as the three bytes that UTF-8's scheme would give it. Wiped when
/// dropped (a login's password passes through here), never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Zeroizing<Vec<u8>>);

// `Zeroizing` has no `Hash`; its bytes do.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl Text {
    /// The text, unless it holds a lone surrogate.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn push_code_point(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(character) => self.push_str(character.encode_utf8(&mut [0; 4])),
            // Only surrogates are left: no caller makes a code above 0x10ffff.
            None => self.0.extend([
                0xe0 | (code >> 12) as u8,
                0x80 | (code >> 6 & 0x3f) as u8,
                0x80 | (code & 0x3f) as u8,
            ]),
        }
    }

    /// Appends the JSON string literal, all ASCII, that `json.dumps` writes.
    pub fn write_quoted(&self, out: &mut String) {
        out.push('"');
        let mut rest = self.0.as_slice();
        loop {
            let valid = match std::str::from_utf8(rest) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let (text, behind) = rest.split_at(valid);
            // Borrowed: the bytes were just found to be UTF-8.
            String::from_utf8_lossy(text)
                .chars()
                .for_each(|character| write_character(character, out));
            let [lead, middle, last, tail @ ..] = behind else {
                break;
            };
            let unit = u16::from(lead & 0x0f) << 12
                | u16::from(middle & 0x3f) << 6
                | u16::from(last & 0x3f);
            write_unit(unit, out);
            rest = tail;
        }
        out.push('"');
    }
}

fn write_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        ' '..='~' => out.push(character),
        _ => character
            .encode_utf16(&mut [0; 2])
            .iter()
            .for_each(|&unit| write_unit(unit, out)),
    }
}

fn write_unit(unit: u16, out: &mut String) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from_digit(u32::from(unit >> shift & 0xf), 16).unwrap_or('0'));
    }
}
