//! JSON as Python reads and writes it: `json.loads` and `json.dumps(separators=(",", ":"))`, the serializer of Django's
//! sessions. Accepts what Python accepts (NaN, duplicate keys, lone surrogates, integers up to 4300 digits) and refuses
//! with the text of Python's `JSONDecodeError` (3.11, 3.12; 3.13 words a trailing comma differently).
//! Differs on purpose: nesting ends at [`MAX_DEPTH`]. Leaves out `indent`, `ensure_ascii=False` and UTF-16 or UTF-32 input.

mod text;

pub use text::Text;

use std::collections::HashMap;
use std::fmt;

/// How deeply lists and objects may nest. Python gives up at its recursion limit, near 1000.
pub const MAX_DEPTH: usize = 64;

/// Python's `sys.get_int_max_str_digits()`.
const MAX_INTEGER_DIGITS: usize = 4300;

/// A value `json.loads` returns. No `Debug`: values may be secrets.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `None`
    Null,
    /// `True`, `False`
    Bool(bool),
    /// `int`, in canonical decimal: no leading zero, no `-0`
    Integer(String),
    /// `float`, also NaN and the infinities
    Float(f64),
    /// `str`
    String(Text),
    /// `list`
    Array(Vec<Value>),
    /// `dict`: no key twice; a repeated key keeps its first place and its last value
    Object(Vec<(Text, Value)>),
}

impl Value {
    /// The member of an object; `None` when there is none, or this is no object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members
                .iter()
                .find(|(key, _)| key.as_str() == Some(name))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string; `None` for another type, and for a string with a lone surrogate.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => text.as_str(),
            _ => None,
        }
    }
}

/// Why `json.loads` raised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JsonError {
    /// `json.JSONDecodeError`; prints as `str(error)` does.
    Syntax {
        /// `error.msg`
        message: &'static str,
        /// `error.pos`, in characters from 0
        position: usize,
        /// `error.lineno`, from 1
        line: usize,
        /// `error.colno`, from 1
        column: usize,
    },
    /// An integer beyond Python's limit (`ValueError`), with its number of digits.
    TooManyDigits(usize),
    /// Nested beyond [`MAX_DEPTH`]; in Python a `RecursionError`, though later.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Syntax {
                message,
                position,
                line,
                column,
            } => {
                write!(
                    f,
                    "{message}: line {line} column {column} (char {position})"
                )
            }
            JsonError::TooManyDigits(digits) => write!(
                f,
                "Exceeds the limit ({MAX_INTEGER_DIGITS} digits) for integer string conversion: value has {digits} digits; \
                 use sys.set_int_max_str_digits() to increase the limit"
            ),
            JsonError::TooDeep => f.write_str("maximum recursion depth exceeded"),
        }
    }
}

impl std::error::Error for JsonError {}

/// `json.loads(text)`.
pub fn loads(text: &str) -> Result<Value, JsonError> {
    let parser = Parser {
        text,
        bytes: text.as_bytes(),
    };
    if text.starts_with('\u{feff}') {
        return Err(parser.error("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    let (value, end) = parser.value(parser.skip_whitespace(0), 0)?;
    let end = parser.skip_whitespace(end);
    if end < text.len() {
        return Err(parser.error("Extra data", end));
    }
    Ok(value)
}

/// `json.loads(data.decode("latin-1"))`, which is how Django's session serializer reads its bytes.
pub fn loads_latin1(data: &[u8]) -> Result<Value, JsonError> {
    match std::str::from_utf8(data) {
        Ok(text) if text.is_ascii() => loads(text),
        _ => loads(&data.iter().copied().map(char::from).collect::<String>()),
    }
}

/// `json.dumps(value, separators=(",", ":"))`: compact, all ASCII.
pub fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Integer(digits) => out.push_str(digits),
        Value::Float(number) => out.push_str(&float_repr(*number)),
        Value::String(text) => text.write_quoted(out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, item)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                name.write_quoted(out);
                out.push(':');
                write_value(item, out);
            }
            out.push('}');
        }
    }
}

/// `float.__repr__` as `json.dumps` uses it: the shortest digits, an exponent below 1e-4 and from 1e16 on.
fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(power) if !(-4..16).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", power.unsigned_abs())
        }
        _ => format!("{number:?}"),
    }
}

/// Positions are byte offsets into the text; `error` turns them into Python's characters.
struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
}

type Parsed<T> = Result<(T, usize), JsonError>;

impl Parser<'_> {
    fn error(&self, message: &'static str, at: usize) -> JsonError {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        JsonError::Syntax {
            message,
            position: before.chars().count(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn at(&self, position: usize) -> Option<u8> {
        self.bytes.get(position).copied()
    }

    fn skip_whitespace(&self, mut position: usize) -> usize {
        while matches!(self.at(position), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            position += 1;
        }
        position
    }

    /// `scan_once` in CPython's `_json.c`. `depth` counts the lists and objects around this value.
    fn value(&self, start: usize, depth: usize) -> Parsed<Value> {
        const CONSTANTS: [(&str, Value); 6] = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        match self.at(start) {
            Some(b'"') => {
                let (text, end) = self.string(start + 1)?;
                Ok((Value::String(text), end))
            }
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(JsonError::TooDeep),
            Some(b'{') => self.object(start + 1, depth + 1),
            Some(b'[') => self.array(start + 1, depth + 1),
            _ => {
                for (name, value) in CONSTANTS {
                    if self.bytes[start..].starts_with(name.as_bytes()) {
                        return Ok((value, start + name.len()));
                    }
                }
                self.number(start)
            }
        }
    }

    fn object(&self, start: usize, depth: usize) -> Parsed<Value> {
        let mut members: Vec<(Text, Value)> = Vec::new();
        let mut places: HashMap<Text, usize> = HashMap::new();
        let mut position = self.skip_whitespace(start);
        if self.at(position) == Some(b'}') {
            return Ok((Value::Object(members), position + 1));
        }
        loop {
            if self.at(position) != Some(b'"') {
                return Err(self.error(
                    "Expecting property name enclosed in double quotes",
                    position,
                ));
            }
            let (name, end) = self.string(position + 1)?;
            position = self.skip_whitespace(end);
            if self.at(position) != Some(b':') {
                return Err(self.error("Expecting ':' delimiter", position));
            }
            let (value, end) = self.value(self.skip_whitespace(position + 1), depth)?;
            match places.get(&name) {
                Some(&place) => members[place].1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
            position = self.skip_whitespace(end);
            match self.at(position) {
                Some(b'}') => return Ok((Value::Object(members), position + 1)),
                Some(b',') => position = self.skip_whitespace(position + 1),
                _ => return Err(self.error("Expecting ',' delimiter", position)),
            }
        }
    }

    fn array(&self, start: usize, depth: usize) -> Parsed<Value> {
        let mut items = Vec::new();
        let mut position = self.skip_whitespace(start);
        if self.at(position) == Some(b']') {
            return Ok((Value::Array(items), position + 1));
        }
        loop {
            let (item, end) = self.value(position, depth)?;
            items.push(item);
            position = self.skip_whitespace(end);
            match self.at(position) {
                Some(b']') => return Ok((Value::Array(items), position + 1)),
                Some(b',') => position = self.skip_whitespace(position + 1),
                _ => return Err(self.error("Expecting ',' delimiter", position)),
            }
        }
    }

    fn digits_end(&self, mut position: usize) -> usize {
        while self.at(position).is_some_and(|byte| byte.is_ascii_digit()) {
            position += 1;
        }
        position
    }

    /// `_match_number_unicode`: an incomplete fraction or exponent ends the number before it, and is extra data later.
    fn number(&self, start: usize) -> Parsed<Value> {
        let first = start + usize::from(self.at(start) == Some(b'-'));
        let integer_end = match self.at(first) {
            Some(b'0') => first + 1,
            Some(b'1'..=b'9') => self.digits_end(first),
            _ => return Err(self.error("Expecting value", start)),
        };
        let mut end = integer_end;
        if self.at(end) == Some(b'.') && self.digits_end(end + 1) > end + 1 {
            end = self.digits_end(end + 1);
        }
        if let Some(b'e' | b'E') = self.at(end) {
            let exponent = end + 1 + usize::from(matches!(self.at(end + 1), Some(b'+' | b'-')));
            let exponent_end = self.digits_end(exponent);
            if exponent_end > exponent {
                end = exponent_end;
            }
        }
        let text = &self.text[start..end];
        if end > integer_end {
            // Rust's grammar covers JSON's, and both round to nearest; too large is infinity in both.
            return Ok((Value::Float(text.parse().unwrap_or(f64::NAN)), end));
        }
        if integer_end - first > MAX_INTEGER_DIGITS {
            return Err(JsonError::TooManyDigits(integer_end - first));
        }
        let canonical = if text == "-0" { "0" } else { text };
        Ok((Value::Integer(canonical.to_owned()), end))
    }

    /// `scanstring_unicode`: `start` is behind the opening quote.
    fn string(&self, start: usize) -> Parsed<Text> {
        let mut text = Text::default();
        let mut position = start;
        loop {
            let plain = self.bytes[position..]
                .iter()
                .take_while(|&&byte| byte != b'"' && byte != b'\\' && byte > 0x1f)
                .count();
            text.push_str(&self.text[position..position + plain]);
            position += plain;
            match self.at(position) {
                Some(b'"') => return Ok((text, position + 1)),
                Some(b'\\') => position = self.escape(position, start - 1, &mut text)?,
                Some(_) => return Err(self.error("Invalid control character at", position)),
                None => return Err(self.error("Unterminated string starting at", start - 1)),
            }
        }
    }

    /// Reads the escape whose backslash is at `position` and returns the position behind it.
    fn escape(
        &self,
        position: usize,
        opening_quote: usize,
        text: &mut Text,
    ) -> Result<usize, JsonError> {
        let character = match self.at(position + 1) {
            None => return Err(self.error("Unterminated string starting at", opening_quote)),
            Some(b'u') => {
                let unit = self.hex_unit(position + 1)?;
                let next = position + 6;
                if (0xd800..0xdc00).contains(&unit) && self.bytes[next..].starts_with(b"\\u") {
                    // A pair only if the second half is one; else it is read again by itself. Its errors are the same then.
                    let second = self.hex_unit(next + 1)?;
                    if (0xdc00..0xe000).contains(&second) {
                        text.push_code_point(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00));
                        return Ok(next + 6);
                    }
                }
                text.push_code_point(unit);
                return Ok(next);
            }
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(_) => return Err(self.error("Invalid \\escape", position)),
        };
        text.push_code_point(u32::from(character));
        Ok(position + 2)
    }

    /// The four digits behind the `u` at `letter`. Python also wants a character behind them, be it the closing quote.
    fn hex_unit(&self, letter: usize) -> Result<u32, JsonError> {
        let digits = self
            .bytes
            .get(letter + 1..letter + 5)
            .filter(|_| letter + 5 < self.bytes.len());
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit, &digit| {
                Some(unit << 4 | char::from(digit).to_digit(16)?)
            })
        });
        unit.ok_or_else(|| self.error("Invalid \\uXXXX escape", letter))
    }
}

#[cfg(test)]
mod tests;
