//! How Django reads a request line and a `Host` header: `HttpRequest.get_host`, `WSGIRequest.path_info`, `QueryDict`,
//! and the `Location` of `CommonMiddleware`'s redirect (Django 5.2 and 6.1; the percent-decoding of gunicorn).
//! Leaves out USE_X_FORWARDED_HOST, FORCE_SCRIPT_NAME, PREPEND_WWW, and a charset in the request's Content-Type.

use super::python::latin1;
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode_byte, utf8_percent_encode,
};

/// What `django.utils.encoding.escape_uri_path` escapes.
const ESCAPED_IN_PATH: &AsciiSet = &all_but(b"/:@&+$,!*'()");

/// What `django.utils.encoding.iri_to_uri` escapes.
const ESCAPED_IN_QUERY: &AsciiSet = &all_but(b"/#%[]=:;$&()+,!?*@'");

/// What `urllib.parse.quote` escapes with this `safe`.
const fn all_but(safe: &[u8]) -> AsciiSet {
    let mut escaped = NON_ALPHANUMERIC
        .remove(b'_')
        .remove(b'.')
        .remove(b'-')
        .remove(b'~');
    let mut index = 0;
    while index < safe.len() {
        escaped = escaped.remove(safe[index]);
        index += 1;
    }
    escaped
}

/// `DATA_UPLOAD_MAX_NUMBER_FIELDS`
const MAX_NUMBER_FIELDS: usize = 1000;

/// Whether `HttpRequest.get_host` returns instead of raising `DisallowedHost`. Without a `Host` header the name is
/// `server_name_and_port`. An empty `allowed_hosts` means the local names if
/// `debug`, and nothing otherwise.
pub fn host_is_allowed(
    host_header: Option<&[u8]>,
    server_name_and_port: &str,
    allowed_hosts: &[String],
    debug: bool,
) -> bool {
    let host = host_header.unwrap_or(server_name_and_port.as_bytes());
    let Some(domain) = domain(&host.to_ascii_lowercase()) else {
        return false;
    };
    if debug && allowed_hosts.is_empty() {
        return [".localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|pattern| is_same_domain(&domain, pattern));
    }
    allowed_hosts
        .iter()
        .any(|pattern| pattern == "*" || is_same_domain(&domain, pattern))
}

/// `split_domain_port` of a lower-case host, without the port. `None` if Django's regular expression does not match, or the name
/// is empty.
fn domain(host: &[u8]) -> Option<String> {
    let end = match host {
        [b'[', rest @ ..] => rest.iter().position(|&byte| byte == b']')? + 2,
        _ => host
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(host.len()),
    };
    let (name, port) = host.split_at(end);
    let is_hex = |byte: &u8| matches!(byte, b'a'..=b'f' | b'0'..=b'9');
    let is_valid_name = match name {
        [b'[', address @ .., b']'] => {
            // `\[[a-f0-9]*:[a-f0-9.:]+\]`: dots only behind the first colon, and something behind it.
            let colon = address.iter().position(|&byte| byte == b':')?;
            let (before, after) = (&address[..colon], &address[colon + 1..]);
            let is_after = |byte: &u8| is_hex(byte) || matches!(byte, b'.' | b':');
            before.iter().all(is_hex) && !after.is_empty() && after.iter().all(is_after)
        }
        _ => name
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')),
    };
    let is_valid_port = match port {
        [] => true,
        [b':', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_valid_name || !is_valid_port {
        return None;
    }
    let name = std::str::from_utf8(name.strip_suffix(b".").unwrap_or(name)).ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// `django.utils.http.is_same_domain`: the pattern is lower-cased, the host is not.
pub(super) fn is_same_domain(host: &str, pattern: &str) -> bool {
    let pattern = pattern.to_lowercase();
    match pattern.strip_prefix('.') {
        Some(parent) => host.ends_with(&pattern) || host == parent,
        None => !pattern.is_empty() && host == pattern,
    }
}

/// The path Django matches URLs against (`WSGIRequest.path_info`): percent-decoded as gunicorn does, bytes that are not
/// UTF-8 percent-encoded again (`repercent_broken_unicode`), `/` if empty. `raw_path` ends before `?` and `#`.
pub fn path_info(raw_path: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(raw_path).collect();
    let mut path = String::with_capacity(decoded.len());
    for chunk in decoded.utf8_chunks() {
        path.push_str(chunk.valid());
        for byte in chunk.invalid() {
            path.push_str(percent_encode_byte(*byte));
        }
    }
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

/// The `Location` of the redirect that appends a slash (`CommonMiddleware.get_full_path_with_slash`):
/// `escape_uri_path(path)`, the raw query through `iri_to_uri`, and a second slash at the start escaped.
pub fn append_slash_location(path_with_slash: &str, raw_query: Option<&str>) -> String {
    let mut location = utf8_percent_encode(path_with_slash, ESCAPED_IN_PATH).to_string();
    if let Some(query) = raw_query.filter(|query| !query.is_empty()) {
        location.push('?');
        // WSGI hands the query over as Latin-1, and Django quotes that text's UTF-8.
        let query = latin1(query.as_bytes());
        location.extend(utf8_percent_encode(&query, ESCAPED_IN_QUERY));
    }
    match location.strip_prefix("//") {
        Some(rest) => format!("/%2F{rest}"),
        None => location,
    }
}

/// `QueryDict` of a query string or of a URL-encoded form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// `QueryDict(raw)`: only `&` separates, a field without `=` has an empty value, `+` is a blank, and percent escapes that
    /// are not UTF-8 become U+FFFD. `None` for more than 1000 fields, empty ones counted (`TooManyFieldsSent` of
    /// Django >= 5.2, its HTML 400).
    pub fn parse(raw: &str) -> Option<Query> {
        if raw.split('&').count() > MAX_NUMBER_FIELDS {
            return None;
        }
        let fields = raw
            .split('&')
            .filter(|field| !field.is_empty())
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap_or((field, ""));
                (unquote_plus(name), unquote_plus(value))
            });
        Some(Query(fields.collect()))
    }

    /// `QueryDict.get(name)`: the last value.
    pub fn last(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    /// `QueryDict.getlist` for all names at once: the fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// `urllib.parse.unquote_plus`
fn unquote_plus(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
