//! `rest_framework.request.Request.POST` (DRF 3.18) for the CSRF check: the csrf token out of a form, and how a body that
//! DRF cannot parse ends the request, by its `Content-Type` alone.
//! Leaves out charsets other than UTF-8 and Latin-1 (read as UTF-8). JSON nested deeper than the parser goes counts as read.

use super::super::json::{self, JsonError};
use super::super::negotiation::{
    HeaderParameters, MAX_MEDIA_TYPE_LENGTH, media_type_matches, parse_header_parameters,
};
use super::super::request::{Query, latin1};
use super::FORM_FIELD;
use super::multipart;

/// Django's default: a larger JSON or URL-encoded body is refused, and so are larger multipart fields.
pub const DATA_UPLOAD_MAX_MEMORY_SIZE: usize = 2_621_440;

/// What reading `request.POST` gives. A session with a good `csrftoken` cookie is needed to come here; all but `Form` end
/// the request at once, without authenticating anybody, before the csrf token is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostBody {
    /// Read: the form's last `csrfmiddlewaretoken`. `None` without one, for JSON, and for an empty body of any type.
    Form(Option<String>),
    /// `ParseError`: 400 with this `detail`, rendered like any other (`JSON parse error - ...`, `Multipart form parse
    /// error - ...`).
    ParseError(String),
    /// `UnsupportedMediaType`: 415 with this `detail`.
    UnsupportedMediaType(String),
    /// `TooManyFieldsSent`, `RequestDataTooBig`, `TooManyFilesSent`: Django's HTML 400.
    BadRequest,
}

impl PostBody {
    /// Reads the body of a POST. `body` is empty if there is no `Content-Length` (a chunked body is not read by DRF under
    /// WSGI). One byte more than [`DATA_UPLOAD_MAX_MEMORY_SIZE`] is enough of a JSON or URL-encoded body.
    pub fn read(content_type: Option<&[u8]>, body: &[u8]) -> PostBody {
        if body.is_empty() {
            return PostBody::Form(None);
        }
        let raw_type = latin1(content_type.unwrap_or_default());
        let parsed = if raw_type.len() > MAX_MEDIA_TYPE_LENGTH {
            None
        } else {
            parse_header_parameters(&raw_type)
        };
        let accepts = |main: &str, sub: &str| {
            parsed.as_ref().is_some_and(|parsed| {
                media_type_matches(
                    parsed.value.split_once('/').unwrap_or((&parsed.value, "")),
                    (main, sub),
                )
            })
        };
        let is_form = |name: &str| parsed.as_ref().is_some_and(|parsed| parsed.value == name);
        if accepts("application", "json") {
            read_json(parsed.as_ref(), body)
        } else if accepts("application", "x-www-form-urlencoded") {
            read_form(body, is_form("application/x-www-form-urlencoded"))
        } else if accepts("multipart", "form-data") {
            match multipart::parse(&raw_type, parsed.as_ref(), body) {
                Ok(value) => PostBody::Form(value.filter(|_| is_form("multipart/form-data"))),
                Err(multipart::Error::Parse(text)) => {
                    PostBody::ParseError(format!("Multipart form parse error - {text}"))
                }
                Err(multipart::Error::Suspicious) => PostBody::BadRequest,
            }
        } else {
            PostBody::UnsupportedMediaType(format!(
                "Unsupported media type \"{raw_type}\" in request."
            ))
        }
    }
}

/// `FormParser`; a type like `*/x-www-form-urlencoded` is parsed, but its fields do not reach `request.POST`.
fn read_form(body: &[u8], is_form: bool) -> PostBody {
    if body.len() > DATA_UPLOAD_MAX_MEMORY_SIZE {
        return PostBody::BadRequest;
    }
    match Query::parse_bytes(body) {
        Ok(form) => PostBody::Form(form.last(FORM_FIELD).filter(|_| is_form)),
        Err(_) => PostBody::BadRequest,
    }
}

/// `JSONParser`
fn read_json(content_type: Option<&HeaderParameters>, body: &[u8]) -> PostBody {
    if body.len() > DATA_UPLOAD_MAX_MEMORY_SIZE {
        return PostBody::BadRequest;
    }
    let charset = content_type
        .and_then(|parsed| parsed.get("charset"))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let text = match charset.as_str() {
        "latin-1" | "latin1" | "iso-8859-1" => Ok(latin1(body)),
        _ => decode_utf8(body).map(str::to_owned),
    };
    match text.and_then(|text| strict_json(&text)) {
        Ok(()) => PostBody::Form(None),
        Err(text) => PostBody::ParseError(format!("JSON parse error - {text}")),
    }
}

/// `codecs.getreader("utf-8")(stream).read()`: a sequence cut off at the end is dropped, the rest is strict.
fn decode_utf8(bytes: &[u8]) -> Result<&str, String> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let start = error.valid_up_to();
    let Some(length) = error.error_len() else {
        return std::str::from_utf8(&bytes[..start]).map_err(|error| error.to_string());
    };
    let reason = match bytes[start] {
        0x80..=0xc1 | 0xf5.. => "invalid start byte",
        _ => "invalid continuation byte",
    };
    Err(match length {
        1 => format!(
            "'utf-8' codec can't decode byte 0x{:02x} in position {start}: {reason}",
            bytes[start]
        ),
        _ => format!(
            "'utf-8' codec can't decode bytes in position {start}-{}: {reason}",
            start + length - 1
        ),
    })
}

/// `json.load` with DRF's `strict_constant`, which refuses NaN and the infinities where they stand.
fn strict_json(text: &str) -> Result<(), String> {
    if let Some((position, constant)) = first_constant(text) {
        // Everything before the constant is fine if the text cut off there lacks just a value.
        let end = text[..position].chars().count();
        if let Err(JsonError::Syntax {
            message: "Expecting value",
            position,
            ..
        }) = json::loads(&text[..position])
            && position == end
        {
            return Err(format!(
                "Out of range float values are not JSON compliant: '{constant}'"
            ));
        }
    }
    match json::loads(text) {
        Ok(_) | Err(JsonError::TooDeep) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The first `NaN`, `Infinity` or `-Infinity` outside strings.
fn first_constant(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let (mut in_string, mut position) = (false, 0);
    while position < bytes.len() {
        match bytes[position] {
            b'"' => in_string = !in_string,
            b'\\' if in_string => position += 1,
            b'N' | b'I' | b'-' if !in_string => {
                let rest = &bytes[position..];
                let constant = ["NaN", "Infinity", "-Infinity"]
                    .into_iter()
                    .find(|name| rest.starts_with(name.as_bytes()));
                if let Some(constant) = constant {
                    return Some((position, constant));
                }
            }
            _ => {}
        }
        position += 1;
    }
    None
}
