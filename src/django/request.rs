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
    let is_valid_name = match name {
        [b'[', address @ .., b']'] => {
            // `\[[a-f0-9]*:[a-f0-9.:]+\]`: dots only behind the first colon, and something behind it.
            let colon = address.iter().position(|&byte| byte == b':')?;
            let is_hex = |byte: &u8| matches!(byte, b'a'..=b'f' | b'0'..=b'9');
            let (before, after) = (&address[..colon], &address[colon + 1..]);
            before.iter().all(is_hex)
                && !after.is_empty()
                && after
                    .iter()
                    .all(|byte| is_hex(byte) || matches!(byte, b'.' | b':'))
        }
        _ => {
            !name.is_empty()
                && name
                    .iter()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        }
    };
    let is_valid_port = match port {
        [] => true,
        [b':', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_valid_name || !is_valid_port {
        return None;
    }
    let name = String::from_utf8_lossy(name);
    let name = name.strip_suffix('.').unwrap_or(&name);
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

/// More than 1000 fields (`TooManyFieldsSent`, Django's HTML 400).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyFields;

/// `QueryDict` of a query string or of a URL-encoded form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// `QueryDict(raw)`: only `&` separates, a field without `=` has an empty value, `+` is a blank, and percent escapes that
    /// are not UTF-8 become U+FFFD. At most 1000 fields, empty ones counted (Django >= 5.2).
    pub fn parse(raw: &str) -> Result<Query, TooManyFields> {
        if !raw.is_empty() && raw.bytes().filter(|&byte| byte == b'&').count() >= MAX_NUMBER_FIELDS
        {
            return Err(TooManyFields);
        }
        let fields = raw
            .split('&')
            .filter(|field| !field.is_empty())
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap_or((field, ""));
                (unquote_plus(name), unquote_plus(value))
            });
        Ok(Query(fields.collect()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, hosts: &[&str]) -> bool {
        let hosts: Vec<String> = hosts.iter().map(|host| host.to_string()).collect();
        host_is_allowed(Some(host.as_bytes()), "fallback", &hosts, false)
    }

    #[test]
    fn a_host_is_compared_without_case_port_and_final_dot() {
        assert!(allowed("Example.COM.:8000", &["example.com"]));
        assert!(
            allowed("a.example.com", &[".Example.com"])
                && allowed("example.com", &[".example.com"])
        );
        assert!(
            !allowed("a.example.com", &["example.com"])
                && !allowed("badexample.com", &[".example.com"])
        );
        assert!(allowed("[::1]:80", &["[::1]"]) && allowed("anything", &["*"]));
    }

    #[test]
    fn a_malformed_host_is_refused_even_by_the_star() {
        for host in [
            "", ".", "a b", "a_b", "a:", "a:b", "[::1", "[:]", "[1.2:3]", "a\n", "é", "user@a",
            "a,b",
        ] {
            assert!(!allowed(host, &["*"]), "{host:?}");
        }
    }

    #[test]
    fn debug_allows_the_local_names_while_nothing_is_configured() {
        for host in [&b"localhost:1"[..], b"a.localhost", b"127.0.0.1", b"[::1]"] {
            assert!(
                host_is_allowed(Some(host), "", &[], true)
                    && !host_is_allowed(Some(host), "", &[], false)
            );
        }
        assert!(!host_is_allowed(
            Some(b"localhost"),
            "",
            &["a".to_owned()],
            true
        ));
        assert!(host_is_allowed(None, "127.0.0.1:8000", &[], true));
    }

    #[test]
    fn the_path_is_percent_decoded_and_broken_utf8_encoded_again() {
        assert_eq!(
            path_info("/api/%61dmin%2Fexport%2Dusers/"),
            "/api/admin/export-users/"
        );
        assert_eq!(path_info("/%ff%C3%A9%e2%82x%zz%"), "/%FFé%E2%82x%zz%");
        assert_eq!(path_info(""), "/");
    }

    #[test]
    fn the_redirect_keeps_the_raw_query_and_the_host() {
        assert_eq!(
            append_slash_location("/a b;é/", Some("x=%41&y=\"<")),
            "/a%20b%3B%C3%A9/?x=%41&y=%22%3C"
        );
        assert_eq!(append_slash_location("//evil/", Some("")), "/%2Fevil/");
        assert_eq!(append_slash_location("/a/", None), "/a/");
    }

    #[test]
    fn the_last_value_wins_and_a_semicolon_separates_nothing() {
        let query = Query::parse("format=a&&format=b+c%C3%A9%ff;format=d&e&=f").unwrap();
        assert_eq!(
            query.last("format").as_deref(),
            Some("b cé\u{fffd};format=d")
        );
        assert_eq!(query.last("e").as_deref(), Some(""));
        assert_eq!(query.last("").as_deref(), Some("f"));
        assert_eq!(query.last("x"), None);
    }

    #[test]
    fn a_thousand_fields_are_enough() {
        assert!(Query::parse(&"&".repeat(999)).is_ok());
        assert_eq!(Query::parse(&"&".repeat(1000)), Err(TooManyFields));
    }
}
