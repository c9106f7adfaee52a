//! `django.utils.http.parse_header_parameters` (Django 5.2.9 on, 6.1), which reads a header with `email.message.Message`,
//! with RFC 2231 continuations and percent-encoded values.
//! Leaves out charsets beyond a few names: any other one counts as unknown, which Django refuses as well.

use super::super::dates::decimal_digit;
use super::super::request::{latin1, percent_decode, strip};

/// The parts of a header like `Content-Type`.
pub(in crate::django) struct HeaderParameters {
    /// Before the first `;`, in lower case
    pub(in crate::django) value: String,
    /// Each name once, in the order of its first appearance, with its last value
    pub(in crate::django) parameters: Vec<(String, String)>,
}

impl HeaderParameters {
    /// The value of the parameter `name` (in lower case).
    pub(in crate::django) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A parameter under an RFC 2231 name (`name*`, `name*0`, `name*0*`).
struct Continuation {
    name: String,
    number: Option<String>,
    value: String,
    encoded: bool,
}

/// `parse_header_parameters(line)`; `None` where it raises `ValueError` (a charset nobody knows) and where Python raises
/// `TypeError` (`a*` beside `a*0`).
pub(in crate::django) fn parse_header_parameters(line: &str) -> Option<HeaderParameters> {
    let mut parsed = HeaderParameters {
        value: String::new(),
        parameters: Vec::new(),
    };
    if !line.contains(';') {
        parsed.value = strip(line).to_lowercase();
        return Some(parsed);
    }
    let mut parts = split(line).into_iter();
    parsed.value = parts.next()?.0.to_lowercase();

    let mut continuations: Vec<Continuation> = Vec::new();
    for (name, value) in parts {
        let value = unquote(&value);
        match continuation(&name) {
            Some((base, number)) => {
                let encoded = name.ends_with('*');
                continuations.push(Continuation {
                    name: base.to_owned(),
                    number: number.map(str::to_owned),
                    value,
                    encoded,
                });
            }
            None => set(
                &mut parsed.parameters,
                &name,
                unquote(&format!("\"{}\"", quote(&value))),
            ),
        }
    }
    while let Some(first) = continuations.first() {
        let name = first.name.clone();
        let (mut of_name, others): (Vec<_>, Vec<_>) = continuations
            .into_iter()
            .partition(|part| part.name == name);
        continuations = others;
        // Python cannot compare None with a number.
        if of_name
            .iter()
            .any(|part| part.number.is_none() != of_name[0].number.is_none())
        {
            return None;
        }
        of_name.sort_by(|a, b| {
            let numbers = a
                .number
                .as_deref()
                .map(compare_key)
                .cmp(&b.number.as_deref().map(compare_key));
            numbers
                .then_with(|| a.value.cmp(&b.value))
                .then_with(|| a.encoded.cmp(&b.encoded))
        });
        set(&mut parsed.parameters, &name, joined(&of_name)?);
    }
    Some(parsed)
}

/// A dictionary's assignment; parameters without a name are dropped.
fn set(parameters: &mut Vec<(String, String)>, name: &str, value: String) {
    match parameters.iter_mut().find(|(key, _)| key == name) {
        Some((_, old)) => *old = value,
        None if name.is_empty() => {}
        None => parameters.push((name.to_owned(), value)),
    }
}

/// `email.message._parseparam` and `_get_params_preserve`: names and raw values. A `;` inside an odd number of quotes does
/// not separate.
fn split(line: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (mut end, mut in_quotes, mut before) = (text.len(), false, 0);
        for (index, &byte) in text.as_bytes().iter().enumerate() {
            if byte == b'"' && before != b'\\' {
                in_quotes = !in_quotes;
            } else if byte == b';' && !in_quotes {
                end = index;
                break;
            }
            before = byte;
        }
        let part = &text[..end];
        parts.push(match part.split_once('=') {
            Some((name, value)) => (
                strip(&strip(name).to_lowercase()).to_owned(),
                strip(value).to_owned(),
            ),
            None => (strip(part).to_owned(), String::new()),
        });
        rest = text.get(end + 1..);
    }
    parts
}

/// `email.utils.unquote`
fn unquote(text: &str) -> String {
    if text.len() > 1 {
        if let Some(inner) = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            return inner.replace("\\\\", "\\").replace("\\\"", "\"");
        }
        if let Some(inner) = text
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
        {
            return inner.to_owned();
        }
    }
    text.to_owned()
}

/// `email.utils.quote`
fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// `email.utils.rfc2231_continuation`: `^(\w+)\*(([0-9]+)\*?)?$` in ASCII.
fn continuation(name: &str) -> Option<(&str, Option<&str>)> {
    let (base, number) = name.split_once('*')?;
    if base.is_empty()
        || !base
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return None;
    }
    if number.is_empty() {
        return Some((base, None));
    }
    let digits = number.strip_suffix('*').unwrap_or(number);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some((base, Some(digits)))
}

/// Orders decimal numbers of any length.
fn compare_key(digits: &str) -> (usize, &str) {
    let digits = digits.trim_start_matches('0');
    (digits.len(), digits)
}

/// The end of `email.utils.decode_params`, `unquote`, and `collapse_rfc2231_value`: one value of sorted continuations.
fn joined(continuations: &[Continuation]) -> Option<String> {
    let mut text = String::new();
    for part in continuations {
        if part.encoded {
            text += &percent_decode_latin1(&part.value)
        } else {
            text += &part.value
        }
    }
    let text = quote(&text);
    if !continuations.iter().any(|part| part.encoded) {
        return Some(unquote(&format!("\"{text}\"")));
    }
    let mut pieces = text.splitn(3, '\'');
    let (charset, value) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_language), Some(value)) => (charset, value),
        _ => ("us-ascii", text.as_str()),
    };
    let value = unquote(&format!("\"{value}\""));
    if charset.is_empty() {
        return Some(unquote(&value));
    }
    decode(&raw_unicode_escape(&value), charset)
}

/// `urllib.parse.unquote(text, encoding="latin-1")`
fn percent_decode_latin1(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for run in text.split_inclusive(|c: char| !c.is_ascii()) {
        let ascii = run.find(|c: char| !c.is_ascii()).unwrap_or(run.len());
        out += &latin1(&percent_decode(&run.as_bytes()[..ascii]));
        out += &run[ascii..];
    }
    out
}

/// `bytes(text, "raw-unicode-escape")`
fn raw_unicode_escape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            code @ 0..=0xff => bytes.push(code as u8),
            code @ 0x100..=0xffff => bytes.extend(format!("\\u{code:04x}").bytes()),
            code => bytes.extend(format!("\\U{code:08x}").bytes()),
        }
    }
    bytes
}

/// `str(bytes, charset, "replace")` for the charsets anybody uses; `None` for another one.
fn decode(bytes: &[u8], charset: &str) -> Option<String> {
    match normalize_encoding(charset).as_str() {
        "utf_8" | "utf8" => Some(String::from_utf8_lossy(bytes).into_owned()),
        "us_ascii" | "ascii" => Some(
            bytes
                .iter()
                .map(|&byte| {
                    if byte < 0x80 {
                        char::from(byte)
                    } else {
                        '\u{fffd}'
                    }
                })
                .collect(),
        ),
        "iso_8859_1" | "iso8859_1" | "latin_1" | "latin1" => Some(latin1(bytes)),
        _ => None,
    }
}

/// `encodings.normalize_encoding`, in lower case: whatever stands between letters, digits and dots is one `_`.
fn normalize_encoding(charset: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '.';
    let parts: Vec<&str> = charset
        .split(|c| !is_part(c))
        .filter(|part| !part.is_empty())
        .collect();
    parts
        .join("_")
        .chars()
        .filter(char::is_ascii)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// Python's `int(text)`: blanks around, a sign, single underscores between digits, digits of any script. Saturates.
pub(in crate::django) fn python_int(text: &str) -> Option<i64> {
    let text = strip(text);
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let mut number: i64 = 0;
    for group in digits.split('_') {
        if group.is_empty() {
            return None;
        }
        for c in group.chars() {
            number = number
                .saturating_mul(10)
                .saturating_add(decimal_digit(c)?.into());
        }
    }
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(line: &str) -> Option<Vec<(String, String)>> {
        parse_header_parameters(line).map(|parsed| parsed.parameters)
    }

    fn pairs(expected: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(
            expected
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        )
    }

    #[test]
    fn a_quoted_semicolon_does_not_separate() {
        assert_eq!(
            parameters("a/b; X=\"1;2\\\"\"; y=<z>;; =w; v"),
            pairs(&[("x", "1;2\""), ("y", "z"), ("v", "")])
        );
    }

    #[test]
    fn a_repeated_parameter_keeps_its_first_place_and_its_last_value() {
        assert_eq!(
            parameters("a/b;x=1;y=2;x=3"),
            pairs(&[("x", "3"), ("y", "2")])
        );
    }

    #[test]
    fn continuations_are_joined_in_numerical_order() {
        assert_eq!(
            parameters("a/b; x*10=c; x*2=b; x*1=a"),
            pairs(&[("x", "abc")])
        );
        assert_eq!(parameters("a/b; x*=utf-8'en'%C3%A9"), pairs(&[("x", "é")]));
    }

    #[test]
    fn an_unknown_charset_fails_the_header() {
        assert_eq!(parameters("a/b; x*=klingon''a"), None);
    }

    #[test]
    fn an_int_is_read_with_pythons_liberties() {
        assert_eq!(python_int(" +1_0\u{a0}"), Some(10));
        assert_eq!(python_int("٤"), Some(4));
        assert_eq!(python_int("-99999999999999999999"), Some(-i64::MAX));
        for text in ["", "_1", "1_", "1__0", "+-1", "1.0", "0x1"] {
            assert_eq!(python_int(text), None);
        }
    }
}
