//! A log record as one line of text or of JSON. Control characters are escaped and text is truncated, so that no user can
//! forge a line.

use std::fmt::{Display, Write as _};

use log::kv::{Error as FieldError, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde_json::Value as Json;

use crate::config::LogFormat;

/// The longest message that is written, in characters.
const LONGEST_MESSAGE: usize = 4096;

/// The line that stands where `count` lines are missing.
pub(super) fn lost_lines_notice(format: LogFormat, count: u64) -> String {
    line(
        format,
        &Record::builder()
            .args(format_args!("{count} log lines before this one are lost"))
            .level(Level::Warn)
            .target(module_path!())
            .build(),
    )
}

/// The line of a record, with its fields and the line break.
pub(super) fn line(format: LogFormat, record: &Record<'_>) -> String {
    let (time, level) = (jiff::Timestamp::now(), record.level());
    let (logger, message) = (record.target(), record.args().to_string());
    let mut line = match format {
        LogFormat::Text => format!("{time:.3} {level} {logger}: {}", one_line(&message)),
        LogFormat::Json => {
            let [logger, message] = [logger, &message].map(json_text);
            format!(
                r#"{{"time":"{time:.3}","level":"{level}","logger":{logger},"message":{message}"#
            )
        }
    };
    // This visitor returns no error.
    let _ = record.key_values().visit(&mut Fields {
        format,
        line: &mut line,
        key: String::new(),
    });
    line.push_str(match format {
        LogFormat::Text => "\n",
        LogFormat::Json => "}\n",
    });
    line
}

fn json_text(text: &str) -> String {
    Json::from(one_line(text)).to_string()
}

/// Appends the fields of a record to a line, without those that have no value.
struct Fields<'a> {
    format: LogFormat,
    line: &'a mut String,
    key: String,
}

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), FieldError> {
        self.key = key.to_string();
        value.visit(self)
    }
}

impl Fields<'_> {
    fn add(&mut self, value: impl Display) -> Result<(), FieldError> {
        // Writing to a `String` can't fail.
        let _ = match self.format {
            LogFormat::Text => write!(self.line, " {}={value}", self.key),
            LogFormat::Json => write!(self.line, ",\"{}\":{value}", self.key),
        };
        Ok(())
    }
}

impl<'v> VisitValue<'v> for Fields<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), FieldError> {
        let text = value.to_string();
        match serde_json::from_str(&text) {
            Ok(Json::Number(_) | Json::Bool(_)) => self.add(text),
            _ => self.visit_str(&text),
        }
    }

    fn visit_null(&mut self) -> Result<(), FieldError> {
        Ok(())
    }

    /// In a line of text without quotes where it is one word.
    fn visit_str(&mut self, text: &str) -> Result<(), FieldError> {
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte);
        let is_word = !text.is_empty() && text.bytes().all(legal);
        match self.format {
            LogFormat::Text if is_word => self.add(text),
            _ => self.add(json_text(text)),
        }
    }
}

/// The text with control characters escaped, truncated.
fn one_line(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars().take(LONGEST_MESSAGE) {
        match character {
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                line.extend(c.escape_default())
            }
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use log::kv::ToValue;

    use super::*;

    #[test]
    fn a_message_is_one_line_of_limited_length() {
        let escaped = "a\\nb\\r\\u{2028}c\\u{1b}[0m";
        assert_eq!(one_line("a\nb\r\u{2028}c\u{1b}[0m"), escaped);
        assert_eq!(one_line(&"x".repeat(10_000)).len(), LONGEST_MESSAGE);
    }

    #[test]
    fn fields_are_json_or_words_and_a_missing_one_is_left_out() {
        let fields = [
            ("user", Value::from("a \"b\"\n")),
            ("route", Value::from("export-users")),
            ("nobody", None::<&str>.to_value()),
            ("status", Value::from(200_u16)),
            ("ms", Value::from(1.25)),
            ("is_cut", Value::from(false)),
        ];
        let fields: &[(&str, Value)] = &fields;
        let line = |format| {
            let mut record = Record::builder();
            let record = record.target("t").key_values(&fields);
            line(format, &record.args(format_args!("x")).build())
        };
        let text = line(LogFormat::Text);
        let expected = " INFO t: x user=\"a \\\"b\\\"\\\\n\" route=export-users status=200 ms=1.25 is_cut=false\n";
        assert_eq!(&text[text.find(' ').unwrap()..], expected);
        let json: Json = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(json["user"], "a \"b\"\\n");
        assert_eq!(json["status"], 200);
        assert_eq!(json["ms"], 1.25);
        assert_eq!(json["message"], "x");
        assert_eq!(json.get("nobody"), None);
    }
}
