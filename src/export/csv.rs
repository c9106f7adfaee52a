//! CSV by RFC 4180: CRLF, commas, quotes where they are needed, and a header row with the JSON's keys.
//!
//! A spreadsheet runs a cell that begins like a formula, whoever wrote it: such texts get an apostrophe before them, unless
//! the caller says that no spreadsheet is meant.

use crate::db::{Value, values};

/// The header row, with its end.
pub(super) const HEADER: &str =
    "id,username,email,first_name,last_name,tv_service,movie_service,is_active,date_joined\r\n";

/// The end of a row.
pub(super) const END: &[u8] = b"\r\n";

/// In a spool a control character stands behind the key.
pub(super) const BEHIND_KEY: u8 = 0x1f;

/// How CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Csv {
    /// U+FEFF before the first byte: Excel takes the file for UTF-8
    pub bom: bool,
    /// Leave texts as they are that a spreadsheet would run
    pub keeps_formulas: bool,
}

impl Csv {
    /// Writes an exported row as one of CSV, without its end and with [`BEHIND_KEY`] in place of the first comma.
    pub(super) fn write(self, row: &[u8], out: &mut Vec<u8>) {
        let [
            id,
            username,
            email,
            first_name,
            last_name,
            movie_service,
            date_joined,
        ] = values(row);
        self.write_cell(&id, out);
        out.push(BEHIND_KEY);
        for cell in [username, email, first_name, last_name] {
            self.write_cell(&cell, out);
            out.push(b',');
        }
        out.extend_from_slice(b"true,");
        self.write_cell(&movie_service, out);
        out.extend_from_slice(b",true,");
        self.write_cell(&date_joined, out);
    }

    fn write_cell(self, value: &Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Null => {}
            Value::Bare(text) => out.extend_from_slice(text.as_bytes()),
            Value::Text(text) => {
                let prefix = !self.keeps_formulas && is_formula(text);
                let is_quoted = text
                    .bytes()
                    .any(|b| matches!(b, b',' | b'"' | b'\r' | b'\n'));
                if is_quoted {
                    out.push(b'"');
                }
                if prefix {
                    out.push(b'\'');
                }
                for byte in text.bytes() {
                    if byte == b'"' {
                        out.push(b'"');
                    }
                    out.push(byte);
                }
                if is_quoted {
                    out.push(b'"');
                }
            }
        }
    }
}

/// Whether a spreadsheet would take the text for more than a text; the last four are what some take for the first four.
fn is_formula(text: &str) -> bool {
    const FIRST: [char; 11] = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    text.starts_with(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(csv: Csv, row: &str) -> String {
        let mut out = Vec::new();
        csv.write(row.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_and_formulas_made_harmless() {
        let row = "-7\u{1f}\"=1+1\"\u{1f}null\u{1f}\"a,\\\"b\\\"\"\u{1f}\"\\t\\r\\n\"\u{1f}-1\u{1f}2020-01-01T00:00:00+00:00";
        assert_eq!(
            written(Csv::default(), row),
            "-7\u{1f}'=1+1,,\"a,\"\"b\"\"\",\"'\t\r\n\",true,-1,true,2020-01-01T00:00:00+00:00"
        );
        let kept = Csv {
            keeps_formulas: true,
            ..Csv::default()
        };
        assert!(written(kept, row).contains("\u{1f}=1+1,,"));
        for harmless in ["a=1", " =1", "", "'=1"] {
            assert!(!is_formula(harmless));
        }
        assert!(
            is_formula("\u{ff1d}1") && is_formula("@a") && is_formula("-a") && is_formula("+a")
        );
    }
}
