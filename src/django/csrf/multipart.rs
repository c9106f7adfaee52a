//! `django.http.multipartparser.MultiPartParser` (Django 6.1) over a body in memory, as far as the csrf token needs it.
//! Leaves out files: they are counted, not read, so that damaged base64 in one goes unnoticed. Django's reading in pieces of
//! 64 KiB is not imitated.

use super::super::authentication::lenient_base64;
use super::super::negotiation::{HeaderParameters, parse_header_parameters};
use super::super::request::strip;
use super::FORM_FIELD;
use super::post_body::DATA_UPLOAD_MAX_MEMORY_SIZE;

/// `DATA_UPLOAD_MAX_NUMBER_FIELDS`, and the two parts around the boundaries
const MAX_FIELDS: usize = 1000 + 2;
/// `DATA_UPLOAD_MAX_NUMBER_FILES`
const MAX_FILES: usize = 100;
/// `MAX_TOTAL_HEADER_SIZE`
const MAX_HEADER_SIZE: usize = 1024;

/// Why a body was refused.
pub(super) enum Error {
    /// `MultiPartParserError` with its text
    Parse(String),
    /// A subclass of `SuspiciousOperation`
    Suspicious,
}

/// The last value of the form's `csrfmiddlewaretoken`.
pub(super) fn parse(
    content_type: &str,
    parsed: Option<&HeaderParameters>,
    body: &[u8],
) -> Result<Option<String>, Error> {
    if !content_type.starts_with("multipart/") {
        return Err(Error::Parse(format!(
            "Invalid Content-Type: {content_type}"
        )));
    }
    if !content_type.is_ascii() {
        return Err(Error::Parse(format!(
            "Invalid non-ASCII Content-Type in multipart: {content_type}"
        )));
    }
    let boundary = parsed.and_then(|parsed| parsed.get("boundary"));
    let boundary = boundary
        .filter(|boundary| is_boundary(boundary))
        .ok_or_else(|| {
            Error::Parse(format!(
                "Invalid boundary in multipart: {}",
                boundary.unwrap_or("None")
            ))
        })?;

    let separator = format!("--{boundary}");
    let (mut found, mut fields, mut files, mut bytes_read) = (None, 0, 0, 0);
    let mut rest = body;
    while !rest.is_empty() {
        let (part, behind) = next_part(rest, separator.as_bytes());
        rest = behind;
        let part = Part::parse(part)?;
        if !part.is_file {
            fields += 1;
            if fields > MAX_FIELDS {
                return Err(Error::Suspicious);
            }
        }
        let Some(name) = part.name else {
            continue;
        };
        if part.is_file {
            files += 1;
            if files > MAX_FILES {
                return Err(Error::Suspicious);
            }
            continue;
        }
        bytes_read += part.content.len() + name.chars().count() + 2;
        if bytes_read > DATA_UPLOAD_MAX_MEMORY_SIZE {
            return Err(Error::Suspicious);
        }
        if name == FORM_FIELD {
            let decoded = if part.is_base64 {
                strict_base64(part.content)
            } else {
                None
            };
            found = Some(
                String::from_utf8_lossy(decoded.as_deref().unwrap_or(part.content)).into_owned(),
            );
        }
    }
    Ok(found)
}

/// `boundary_re`: printable ASCII, at most 201 characters, no blank at the end.
fn is_boundary(boundary: &str) -> bool {
    let is_printable = boundary.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_printable && (1..=201).contains(&boundary.len()) && !boundary.ends_with(' ')
}

/// `BoundaryIter`: what stands before the next separator, without the line's end, and what stands behind it.
fn next_part<'a>(data: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    let Some(start) = data
        .windows(separator.len())
        .position(|window| window == separator)
    else {
        return (data, &[]);
    };
    let part = &data[..start];
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    let part = part.strip_suffix(b"\r").unwrap_or(part);
    (part, &data[start + separator.len()..])
}

struct Part<'a> {
    /// Of the form's field; `None` if the part is none
    name: Option<String>,
    is_file: bool,
    is_base64: bool,
    content: &'a [u8],
}

impl<'a> Part<'a> {
    /// `parse_boundary_stream`
    fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let mut part = Self {
            name: None,
            is_file: false,
            is_base64: false,
            content: &[],
        };
        let start = &data[..data.len().min(MAX_HEADER_SIZE)];
        let Some(end) = start.windows(4).position(|window| window == b"\r\n\r\n") else {
            if start.len() == MAX_HEADER_SIZE {
                return Err(Error::Parse(
                    "Request max total header size exceeded.".to_owned(),
                ));
            }
            return Ok(part);
        };
        part.content = &data[end + 4..];
        let mut header = Some(&data[..end]);
        while let Some(lines) = header {
            let line_end = lines.windows(2).position(|window| window == b"\r\n");
            let line = &lines[..line_end.unwrap_or(lines.len())];
            header = line_end.map(|line_end| &lines[line_end + 2..]);
            // Django skips the lines it cannot read.
            if let Some((name, value)) = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once(':'))
            {
                part.set_header(
                    name.to_lowercase().trim_end_matches(' '),
                    value.trim_start_matches(' '),
                );
            }
        }
        Ok(part)
    }

    fn set_header(&mut self, name: &str, value: &str) {
        let Some(value) = parse_header_parameters(value) else {
            return;
        };
        match name {
            "content-disposition" => {
                let is_whitespace = |c| matches!(c, ' ' | '\t'..='\r');
                self.name = value
                    .get("name")
                    .map(|name| name.trim_matches(is_whitespace).to_owned());
                self.is_file = value.get("filename").is_some_and(|name| !name.is_empty());
            }
            "content-transfer-encoding" => self.is_base64 = strip(&value.value) == "base64",
            _ => {}
        }
    }
}

/// `base64.b64decode(data, validate=True)`
fn strict_base64(data: &[u8]) -> Option<Vec<u8>> {
    let digits = data
        .strip_suffix(b"==")
        .or_else(|| data.strip_suffix(b"="))
        .unwrap_or(data);
    let is_strict = data.len().is_multiple_of(4)
        && digits
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    if is_strict {
        lenient_base64(data).map(|decoded| decoded.to_vec())
    } else {
        None
    }
}
