//! The renderer of an answer: `rest_framework.negotiation.DefaultContentNegotiation` of DRF 3.18 with its limits, over the two
//! default renderers, and the `indent` parameter of `JSONRenderer.get_indent`.
//! Leaves out format suffixes, and parameters that no client sends: RFC 2231 continuations and character sets, escapes and
//! separators in quotes, numbers that only Python's `int` reads. Where Python's sets make DRF's choice random, the first token in
//! the header wins.

use super::python::{latin1, strip};

const MAX_ACCEPT_HEADER_LENGTH: usize = 8192;
const MAX_ACCEPT_TOKENS: usize = 64;
const MAX_MEDIA_TYPE_LENGTH: usize = 256;

/// The format a renderer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `JSONRenderer`: `application/json`, `?format=json`
    #[default]
    Json,
    /// `BrowsableAPIRenderer`: `text/html`, `?format=api`
    Html,
}

/// The accepted renderer. By default compact JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renderer {
    /// The format it writes
    pub format: Format,
    /// Blanks for each level, 1 to 8; `None` is compact. Always `None` for HTML.
    pub indent: Option<u8>,
}

impl Renderer {
    /// `BrowsableAPIRenderer`
    pub const PAGE: Renderer = Renderer {
        format: Format::Html,
        indent: None,
    };
}

/// Why there is no renderer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNegotiated {
    /// `?format=` names no renderer (`Http404`: 404 `{"detail":"Not found."}`).
    NotFound,
    /// No accepted media type matches (`NotAcceptable`: 406).
    NotAcceptable,
}

/// `DefaultContentNegotiation.select_renderer` for an `Accept` header (absent is `*/*`, several lines are joined with `,`)
/// and the value of `?format=` (empty is absent).
pub fn negotiate(accept: Option<&[u8]>, format: Option<&str>) -> Result<Renderer, NotNegotiated> {
    let formats: &[Format] = match format {
        None | Some("") => &[Format::Json, Format::Html],
        Some("json") => &[Format::Json],
        Some("api") => &[Format::Html],
        Some(_) => return Err(NotNegotiated::NotFound),
    };
    let media_types = accept_list(accept.unwrap_or(b"*/*"));
    for precedence in (0..=3).rev() {
        for &format in formats {
            let mut accepted = media_types
                .iter()
                .filter(|media_type| media_type.precedence() == precedence);
            if let Some(media_type) = accepted.find(|media_type| media_type.matches(format)) {
                let indent = match format {
                    Format::Json => media_type.indent(),
                    Format::Html => None,
                };
                return Ok(Renderer { format, indent });
            }
        }
    }
    Err(NotNegotiated::NotAcceptable)
}

/// The formats that export-users has and Django has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Download {
    /// `text/csv`, `?format=csv`
    Csv,
    /// `application/x-ndjson`, `?format=ndjson`
    Ndjson,
}

/// The download that a request names, where Django would answer 404 (for `?format=`) or 406 (for `Accept`).
pub fn negotiate_download(accept: Option<&[u8]>, format: Option<&str>) -> Option<Download> {
    match format {
        Some("csv") => return Some(Download::Csv),
        Some("ndjson") => return Some(Download::Ndjson),
        None | Some("") => {}
        Some(_) => return None,
    }
    if negotiate(accept, format).is_ok() {
        return None;
    }
    let media_types = accept_list(accept?);
    media_types
        .iter()
        .find_map(|media_type| match media_type.types() {
            ("text", "csv") => Some(Download::Csv),
            ("application", "x-ndjson" | "ndjson" | "jsonl") => Some(Download::Ndjson),
            _ => None,
        })
}

/// `get_accept_list`, and each entry parsed
fn accept_list(header: &[u8]) -> Vec<MediaType> {
    let mut header = header;
    if let Some((start, [_, ..])) = header.split_at_checked(MAX_ACCEPT_HEADER_LENGTH) {
        let comma = start.iter().rposition(|&byte| byte == b',').unwrap_or(0);
        header = &start[..comma];
    }
    let header = latin1(header);
    let tokens = header.split(',').map(strip);
    let usable =
        tokens.filter(|token| !token.is_empty() && token.chars().count() <= MAX_MEDIA_TYPE_LENGTH);
    usable
        .take(MAX_ACCEPT_TOKENS)
        .map(|token| MediaType(token.to_ascii_lowercase()))
        .collect()
}

/// `rest_framework.utils.mediatypes._MediaType` of an accepted type, in lower case.
struct MediaType(String);

impl MediaType {
    fn types(&self) -> (&str, &str) {
        let types = self.0.split(';').next().map_or("", strip);
        types.split_once('/').unwrap_or((types, ""))
    }

    /// Names and values; a value may stand in quotes.
    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.0.split(';').skip(1);
        let parameters =
            parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
        parameters
            .map(|(name, value)| (strip(name), strip(value).trim_matches('"')))
            .filter(|(name, _)| !name.is_empty())
    }

    fn precedence(&self) -> u8 {
        match self.types() {
            ("*", _) => 0,
            (_, "*") => 1,
            _ if self.parameters().all(|(name, _)| name == "q") => 2,
            _ => 3,
        }
    }

    /// `renderer_media_type.match(self)`; the renderers' types have no parameters to compare.
    fn matches(&self, format: Format) -> bool {
        let own = match format {
            Format::Json => ("application", "json"),
            Format::Html => ("text", "html"),
        };
        let given = self.types();
        (given.1 == "*" || given.1 == own.1) && (given.0 == "*" || given.0 == own.0)
    }

    /// `JSONRenderer.get_indent`: the last parameter of this name, at most 8. Compact if it is not a number, or below 1.
    fn indent(&self) -> Option<u8> {
        let (_, value) = self
            .parameters()
            .filter(|(name, _)| *name == "indent")
            .last()?;
        let digits = strip(value);
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // A number that does not fit is a large one.
        let spaces = digits.parse().map_or(8, |spaces: u8| spaces.min(8));
        (spaces > 0).then_some(spaces)
    }
}
