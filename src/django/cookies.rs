//! Cookies both ways: `django.http.cookie.parse_cookie`, and the text of `Set-Cookie` as `HttpResponse.set_cookie` and
//! `delete_cookie` make it through `http.cookies.Morsel` (Django 5.2 and 6.1, Python 3.11).
//! Leaves out signed cookies and the check that a cookie's name is legal (names come from settings).

use super::dates::http_date;
use super::python::strip;

/// The value of the cookie called `name` in a `Cookie` header (`request.COOKIES.get(name)` under WSGI). Bytes that are not UTF-8
/// become U+FFFD, only `;` separates, blanks around name and value are dropped, quotes are removed as by Python's
/// `http.cookies._unquote`, and nothing is percent-decoded. The last of several cookies of a name wins.
pub fn cookie(header: &[u8], name: &str) -> Option<String> {
    let header = String::from_utf8_lossy(header);
    let mut found = None;
    for chunk in header.split(';') {
        // Without `=` it is a value under the empty name.
        let (key, value) = chunk.split_once('=').unwrap_or(("", chunk));
        let (key, value) = (strip(key), strip(value));
        if key == name && !(key.is_empty() && value.is_empty()) {
            found = Some(value);
        }
    }
    found.map(unquote)
}

/// `http.cookies._unquote`: `\"` and `\ooo` inside a pair of double quotes. A backslash before a newline stays, because
/// Python's regular expression has no DOTALL.
fn unquote(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = rest.find('\\') {
        text.push_str(&rest[..backslash]);
        rest = &rest[backslash + 1..];
        match rest.as_bytes() {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                text.push(char::from((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')));
                rest = &rest[3..];
            }
            [] | [b'\n', ..] => text.push('\\'),
            _ => {
                let mut characters = rest.chars();
                text.extend(characters.next());
                rest = characters.as_str();
            }
        }
    }
    text.push_str(rest);
    text
}

/// `SameSite`, printed as Django's settings spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`
    Lax,
    /// `Strict`
    Strict,
    /// `None`
    None,
}

impl SameSite {
    fn as_str(self) -> &'static str {
        match self {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        }
    }
}

/// The attributes of a cookie that come from settings. An empty path or domain is not printed.
#[derive(Debug, Clone, Copy)]
pub struct CookieAttributes<'a> {
    /// `Path`
    pub path: &'a str,
    /// `Domain`
    pub domain: Option<&'a str>,
    /// `Secure`
    pub secure: bool,
    /// `HttpOnly`
    pub http_only: bool,
    /// `SameSite`
    pub same_site: Option<SameSite>,
}

/// The value of a `Set-Cookie` header as `HttpResponse.set_cookie(max_age=...)` makes it. `expires` is `now_unix_seconds` plus
/// `max_age_seconds`; without a maximal age the cookie ends with the browser. The attributes have the order of Python's sorted
/// `Morsel`.
pub fn set_cookie(
    name: &str,
    value: &str,
    max_age_seconds: Option<i64>,
    now_unix_seconds: i64,
    attributes: &CookieAttributes<'_>,
) -> String {
    let end = max_age_seconds.map(|seconds| {
        let expires = http_date(now_unix_seconds.saturating_add(seconds));
        (expires, seconds)
    });
    output(name, value, end, attributes)
}

/// The value of a `Set-Cookie` header as `HttpResponse.delete_cookie(key, path, domain, samesite)` makes it. The
/// attributes' `secure` and `http_only` do not count: Django sets `Secure` by the name and by `SameSite=None` alone.
pub fn delete_cookie(name: &str, attributes: &CookieAttributes<'_>) -> String {
    let secure = name.starts_with("__Secure-")
        || name.starts_with("__Host-")
        || attributes.same_site == Some(SameSite::None);
    let attributes = CookieAttributes {
        secure,
        http_only: false,
        ..*attributes
    };
    output(name, "", Some((http_date(0), 0)), &attributes)
}

/// `Morsel.OutputString`, with `expires` and `Max-Age` if the cookie has an end.
fn output(
    name: &str,
    value: &str,
    end: Option<(String, i64)>,
    attributes: &CookieAttributes<'_>,
) -> String {
    let mut text = format!("{name}={}", quote(value));
    if let Some(domain) = attributes.domain.filter(|domain| !domain.is_empty()) {
        text += &format!("; Domain={domain}");
    }
    if let Some((expires, _)) = &end {
        text += &format!("; expires={expires}");
    }
    if attributes.http_only {
        text += "; HttpOnly";
    }
    if let Some((_, max_age_seconds)) = &end {
        text += &format!("; Max-Age={max_age_seconds}");
    }
    if !attributes.path.is_empty() {
        text += &format!("; Path={}", attributes.path);
    }
    if let Some(same_site) = attributes.same_site {
        text += &format!("; SameSite={}", same_site.as_str());
    }
    if attributes.secure {
        text += "; Secure";
    }
    text
}

/// `http.cookies._quote`: in double quotes, unless all characters are legal and there is at least one. `,`, `;` and all but
/// printable ASCII become `\ooo`, up to U+00FF.
fn quote(value: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:".contains(c);
    if !value.is_empty() && value.chars().all(is_legal) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            _ if is_legal(c) || " ()/<=>?@[]{}".contains(c) || u32::from(c) > 0xff => text.push(c),
            _ => text += &format!("\\{:03o}", u32::from(c)),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: CookieAttributes<'_> = CookieAttributes {
        path: "/",
        domain: None,
        secure: false,
        http_only: true,
        same_site: Some(SameSite::Lax),
    };

    #[test]
    fn the_last_cookie_of_a_name_wins() {
        assert_eq!(
            cookie(b"sessionid=a; x=y;sessionid=b", "sessionid").as_deref(),
            Some("b")
        );
        assert_eq!(
            cookie(b"sessionid=a; sessionid", "sessionid").as_deref(),
            Some("a")
        );
        assert_eq!(cookie(b"Sessionid=a", "sessionid"), None);
    }

    #[test]
    fn a_comma_does_not_separate_cookies_and_nothing_is_percent_decoded() {
        assert_eq!(cookie(b"a=1, b=%41", "a").as_deref(), Some("1, b=%41"));
    }

    #[test]
    fn unicode_blanks_around_a_value_are_dropped() {
        assert_eq!(
            cookie(b"\xc2\xa0a\x1f =\xe2\x80\x83 b \x0b", "a").as_deref(),
            Some("b")
        );
    }

    #[test]
    fn quotes_are_removed_as_python_removes_them() {
        assert_eq!(
            cookie(br#"a="b\"c\073\\d""#, "a").as_deref(),
            Some("b\"c;\\d")
        );
        assert_eq!(cookie(b"a=\"", "a").as_deref(), Some("\""));
        assert_eq!(cookie(b"a=\"b\\\nc\"", "a").as_deref(), Some("b\\\nc"));
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        assert_eq!(
            cookie(b"a=\xff\xe2\x82", "a").as_deref(),
            Some("\u{fffd}\u{fffd}")
        );
    }

    #[test]
    fn a_session_cookie_is_set_as_django_sets_it() {
        assert_eq!(
            set_cookie("sessionid", "abc", Some(1_209_600), 1_700_000_000, &DEFAULT),
            "sessionid=abc; expires=Tue, 28 Nov 2023 22:13:20 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"
        );
        let all = CookieAttributes {
            domain: Some("example.com"),
            secure: true,
            same_site: Some(SameSite::None),
            ..DEFAULT
        };
        assert_eq!(
            set_cookie("sessionid", "a b", Some(0), 0, &all),
            "sessionid=\"a b\"; Domain=example.com; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; \
             SameSite=None; Secure"
        );
    }

    #[test]
    fn a_dead_cookie_is_deleted_as_django_deletes_it() {
        assert_eq!(
            delete_cookie("sessionid", &DEFAULT),
            "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"
        );
        assert!(delete_cookie("__Host-sessionid", &DEFAULT).ends_with("; Secure"));
        let cross_site = CookieAttributes {
            same_site: Some(SameSite::None),
            ..DEFAULT
        };
        assert!(delete_cookie("sessionid", &cross_site).ends_with("; SameSite=None; Secure"));
    }
}
