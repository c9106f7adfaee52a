//! `urllib.parse.urlsplit` and `geturl` (Python 3.11), for `Referer`.
//! Leaves out the NFKC check of the network location: no Latin-1 character becomes a delimiter.

use std::net::Ipv6Addr;

/// `urllib.parse.SplitResult`
pub(super) struct SplitUrl {
    pub(super) scheme: String,
    pub(super) netloc: String,
    /// `geturl()` of a URL that has a network location: an empty query or fragment loses its mark.
    pub(super) url: String,
}

/// `urlsplit(url)`; `None` for its `ValueError` (square brackets that hold no IPv6 address).
pub(super) fn urlsplit(url: &str) -> Option<SplitUrl> {
    let given = url
        .trim_start_matches(|c| c <= ' ')
        .replace(['\t', '\r', '\n'], "");
    let is_scheme = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = given
        .split_once(':')
        .filter(|(name, _)| is_scheme(name))
        .unwrap_or(("", &given));
    let (netloc, rest) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    if netloc.contains('[') != netloc.contains(']') {
        return None;
    }
    if let Some((_, behind)) = netloc.split_once('[')
        && !is_bracketed_host(behind.split_once(']').map_or(behind, |(host, _)| host))
    {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut url = format!("{scheme}://{netloc}{path}");
    for (mark, part) in [("?", query), ("#", fragment)] {
        if !part.is_empty() {
            url += mark;
            url += part;
        }
    }
    Some(SplitUrl {
        netloc: netloc.to_owned(),
        scheme,
        url,
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
    let (address, scope) = host.split_once('%').unwrap_or((host, "none"));
    address.parse::<Ipv6Addr>().is_ok() && !scope.is_empty() && !scope.contains('%')
}
