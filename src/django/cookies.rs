//! Cookies both ways: `django.http.cookie.parse_cookie`, and the text of the session's `Set-Cookie` as `HttpResponse.set_cookie` and
//! `delete_cookie` make it through `http.cookies.Morsel` (Django 5.2 and 6.1, Python 3.11).
//! Leaves out signed cookies, quotes around a value (a session key needs none), and the check that a cookie's name is legal
//! (names come from settings).

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

/// The `SESSION_COOKIE_*` settings.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    /// `SESSION_COOKIE_NAME`
    pub name: String,
    /// `SESSION_COOKIE_AGE`
    pub age_seconds: i64,
    /// `SESSION_COOKIE_DOMAIN`; empty is none.
    pub domain: Option<String>,
    /// `SESSION_COOKIE_PATH`; empty is none.
    pub path: String,
    /// `SESSION_COOKIE_SECURE`
    pub secure: bool,
    /// `SESSION_COOKIE_HTTPONLY`
    pub http_only: bool,
    /// `SESSION_COOKIE_SAMESITE`: lax, strict or none, which Django writes as the setting spells it; `None` is Django's
    /// `False`: no attribute at all.
    pub same_site: Option<String>,
}

impl SessionCookie {
    /// The `Set-Cookie` header of a session key, as `HttpResponse.set_cookie(max_age=...)` makes it. Without a maximal age the
    /// cookie ends with the browser. The attributes have the order of Python's sorted `Morsel`.
    pub fn set(&self, key: &str, max_age_seconds: Option<i64>, now_unix_seconds: i64) -> String {
        let mut text = format!("{}={key}", self.name);
        if let Some(domain) = self.domain.as_ref().filter(|domain| !domain.is_empty()) {
            text += &format!("; Domain={domain}");
        }
        if let Some(seconds) = max_age_seconds {
            let expires = http_date(now_unix_seconds.saturating_add(seconds));
            text += &format!("; expires={expires}");
        }
        if self.http_only {
            text += "; HttpOnly";
        }
        if let Some(seconds) = max_age_seconds {
            text += &format!("; Max-Age={seconds}");
        }
        if !self.path.is_empty() {
            text += &format!("; Path={}", self.path);
        }
        if let Some(same_site) = &self.same_site {
            text += &format!("; SameSite={same_site}");
        }
        if self.secure {
            text += "; Secure";
        }
        text
    }

    /// The `Set-Cookie` header of `HttpResponse.delete_cookie(name, path, domain, samesite)`, which sets `Secure` by the name
    /// and by `SameSite=None` alone.
    pub fn delete(&self) -> String {
        let is_none = |same_site: &String| same_site.eq_ignore_ascii_case("none");
        let secure = self.name.starts_with("__Secure-")
            || self.name.starts_with("__Host-")
            || self.same_site.as_ref().is_some_and(is_none);
        let deletion = SessionCookie {
            secure,
            http_only: false,
            ..self.clone()
        };
        deletion.set("\"\"", Some(0), 0)
    }
}
