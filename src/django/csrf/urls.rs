//! `urllib.parse.urlsplit` and `geturl` (Python 3.11), for `Origin` and `Referer`.
//! Leaves out the NFKC check of the network location: no Latin-1 character becomes a delimiter.

use std::net::Ipv6Addr;

/// `urllib.parse.SplitResult`
pub(super) struct SplitUrl {
    pub(super) scheme: String,
    pub(super) netloc: String,
    path: String,
    query: String,
    fragment: String,
}

/// `urlsplit(url)`; `None` for its `ValueError` (square brackets that hold no IPv6 address).
pub(super) fn urlsplit(url: &str) -> Option<SplitUrl> {
    let url: String = url
        .trim_start_matches(|c| c <= ' ')
        .replace(['\t', '\r', '\n'], "");
    let mut rest = url.as_str();
    let mut scheme = String::new();
    if let Some((name, behind)) = rest.split_once(':') {
        let is_scheme_character = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(is_scheme_character)
        {
            scheme = name.to_ascii_lowercase();
            rest = behind;
        }
    }
    let mut netloc = "";
    if let Some(behind) = rest.strip_prefix("//") {
        (netloc, rest) = behind.split_at(behind.find(['/', '?', '#']).unwrap_or(behind.len()));
        if netloc.contains('[') != netloc.contains(']') {
            return None;
        }
        if let Some((_, behind)) = netloc.split_once('[') {
            let host = behind.split_once(']').map_or(behind, |(host, _)| host);
            if !is_bracketed_host(host) {
                return None;
            }
        }
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Some(SplitUrl {
        scheme,
        netloc: netloc.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        fragment: fragment.to_owned(),
    })
}

/// `_check_bracketed_host`: an IPv6 address, with a scope perhaps, or `v1.x`.
fn is_bracketed_host(host: &str) -> bool {
    if let Some(future) = host.strip_prefix('v') {
        return future.split_once('.').is_some_and(|(version, rest)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !rest.is_empty()
        });
    }
    let address = match host.split_once('%') {
        Some((_, scope)) if scope.is_empty() || scope.contains('%') => return false,
        Some((address, _)) => address,
        None => host,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

impl SplitUrl {
    /// `geturl()` of a URL that has a network location.
    pub(super) fn geturl(&self) -> String {
        let slash = if self.path.is_empty() || self.path.starts_with('/') {
            ""
        } else {
            "/"
        };
        let mut url = format!("{}://{}{slash}{}", self.scheme, self.netloc, self.path);
        for (mark, part) in [('?', &self.query), ('#', &self.fragment)] {
            if !part.is_empty() {
                url.push(mark);
                url.push_str(part);
            }
        }
        url
    }
}
