//! Compares two answers: status, headers, then the bodies piece by piece, so that memory stays flat.
//!
//! `tests/differential/compare.py` compares in the same way, and "Where we differ" has the reasons for what is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

use ureq::BodyReader;
use ureq::http::{HeaderMap, header};

use crate::http_client::Answer;

/// Headers of the web server, not of Django.
const NOT_COMPARED: [&str; 6] = [
    "server",
    "x-request-id",
    "date",
    "connection",
    "transfer-encoding",
    "keep-alive",
];

/// Headers that the sidecar may add.
const MAY_BE_ADDED: [&str; 3] = ["cache-control", "retry-after", "etag"];

/// Headers that follow from the body. A length is compared only where Django sends one.
const FROM_BODY: [&str; 2] = ["content-length", "etag"];

/// The difference to a Django before 4.2, whose plain pages name no charset.
const NO_CHARSET: &str =
    "header content-type: Django \"text/html\", sidecar \"text/html; charset=utf-8\"";

/// How many bytes of a body are shown before and after the first difference.
const SHOWN_BEFORE: usize = 40;
const SHOWN_AFTER: u64 = 60;

const PIECE: usize = 64 * 1024;

/// The result of comparing two answers.
pub(super) enum Comparison {
    Same,
    /// Different on purpose, for this reason
    Intended(&'static str),
    /// The first difference
    Different(String),
}

/// Which difference is intended.
#[derive(Clone, Copy)]
pub(super) enum Allowance {
    Nothing,
    /// Body and headers, for this reason, but not the status
    Page(&'static str),
    /// An older Django names no charset for the page
    Charset,
}

/// Compares two answers. The result shows no bytes of a private body.
///
/// # Errors
/// An answer broke off or took too long.
pub(super) fn compare(
    django: Answer,
    sidecar: Answer,
    allowance: Allowance,
    is_private: bool,
) -> io::Result<Comparison> {
    let [status, ours] = [&django, &sidecar].map(|answer| answer.status().as_u16());
    if status != ours {
        let text = format!("status: Django {status}, sidecar {ours}");
        return Ok(Comparison::Different(text));
    }
    if let Allowance::Page(reason) = allowance {
        return Ok(Comparison::Intended(reason));
    }
    // The body itself tells more than the headers that follow from it.
    let differing = differing_headers(django.headers(), sidecar.headers());
    let (from_body, other): (Vec<_>, Vec<_>) = differing
        .into_iter()
        .partition(|(name, _)| FROM_BODY.contains(&name.as_str()));
    let difference = match other.into_iter().next() {
        Some((_, text))
            if matches!(allowance, Allowance::Charset) && text.starts_with(NO_CHARSET) =>
        {
            let reason = "where Django versions differ, the newest is followed";
            return Ok(Comparison::Intended(reason));
        }
        Some((_, text)) => Some(text),
        None => bodies(django, sidecar, is_private)?
            .or_else(|| from_body.into_iter().next().map(|(_, text)| text)),
    };
    Ok(difference.map_or(Comparison::Same, Comparison::Different))
}

/// The names of the headers that differ, each with a description.
fn differing_headers(django: &HeaderMap, sidecar: &HeaderMap) -> Vec<(String, String)> {
    let chunked = header::TRANSFER_ENCODING;
    let is_framed_alike = django.contains_key(&chunked) == sidecar.contains_key(&chunked);
    let (mut django, mut sidecar) = (comparable(django), comparable(sidecar));
    if !is_framed_alike || !django.contains_key("content-length") {
        django.remove("content-length");
        sidecar.remove("content-length");
    }
    let described = |name: &str, headers: &Headers<'_>| match headers.get(name) {
        // The value may be a session key.
        Some(_) if name == "set-cookie" => "one".to_owned(),
        Some(values) => format!("{:?}", values.join(", ")),
        None => "none".to_owned(),
    };
    let names: BTreeSet<&str> = django.keys().chain(sidecar.keys()).copied().collect();
    let differs = |name: &&str| {
        let is_addition = MAY_BE_ADDED.contains(name) && !django.contains_key(*name);
        django.get(*name) != sidecar.get(*name) && !is_addition
    };
    let names = names.into_iter().filter(differs);
    names
        .map(|name| {
            let (ours, theirs) = (described(name, &sidecar), described(name, &django));
            let text = format!("header {name}: Django {theirs}, sidecar {ours}");
            (name.to_owned(), text)
        })
        .collect()
}

type Headers<'a> = BTreeMap<&'a str, Vec<String>>;

/// The values of each header that is compared, sorted. A byte above ASCII is one character, so that values that differ stay
/// different.
fn comparable(headers: &HeaderMap) -> Headers<'_> {
    let mut found: Headers<'_> = BTreeMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        let value: String = value.as_bytes().iter().copied().map(char::from).collect();
        let is_csrf = name == "set-cookie" && value.starts_with("csrftoken=");
        if NOT_COMPARED.contains(&name) || is_csrf {
            continue;
        }
        let value = match name {
            "allow" => {
                let mut methods: Vec<&str> = value.split(',').map(str::trim).collect();
                methods.sort_unstable();
                methods.join(", ")
            }
            _ => value,
        };
        found.entry(name).or_default().push(value);
    }
    found.values_mut().for_each(|values| values.sort_unstable());
    found
}

/// Describes the first difference between two bodies.
fn bodies(django: Answer, sidecar: Answer, is_private: bool) -> io::Result<Option<String>> {
    let [mut django, mut sidecar] = [django, sidecar]
        .map(|answer| BufReader::with_capacity(PIECE, answer.into_body().into_reader()));
    let mut offset = 0;
    // The last bytes before the difference.
    let mut before = Vec::new();
    loop {
        let (one, other) = (django.fill_buf()?, sidecar.fill_buf()?);
        let pairs = one.iter().zip(other);
        let same = pairs.take_while(|(one, other)| one == other).count();
        if same == 0 {
            break;
        }
        before.extend_from_slice(&one[same.saturating_sub(SHOWN_BEFORE)..same]);
        before.drain(..before.len().saturating_sub(SHOWN_BEFORE));
        offset += same as u64;
        django.consume(same);
        sidecar.consume(same);
    }
    let rest = |body: &mut BufReader<BodyReader<'static>>| -> io::Result<(String, u64)> {
        let mut shown = before.clone();
        let read = body.take(SHOWN_AFTER).read_to_end(&mut shown)? as u64;
        let length = offset + read + io::copy(body, &mut io::sink())?;
        Ok((format!("{:?}", String::from_utf8_lossy(&shown)), length))
    };
    let (django, django_length) = rest(&mut django)?;
    let (sidecar, sidecar_length) = rest(&mut sidecar)?;
    if (django_length, sidecar_length) == (offset, offset) {
        return Ok(None);
    }
    let shown = match is_private {
        true => String::new(),
        false => format!(": Django {django}, sidecar {sidecar}"),
    };
    Ok(Some(format!(
        "body: byte {offset} (of {django_length} and {sidecar_length}){shown}"
    )))
}
