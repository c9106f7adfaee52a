//! Compares two answers: status, headers, then the bodies piece by piece, so that memory stays flat.
//!
//! `tests/differential/compare.py` compares in the same way, and "Where we differ" has the reasons for what is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

use ureq::http::{HeaderMap, header};

use super::cases::{Caller, Case, Special};
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

/// How many bytes of a body are shown before and after the first difference.
const SHOWN_BEFORE: usize = 40;
const SHOWN_AFTER: u64 = 60;

const PIECE: usize = 64 * 1024;

/// The part of a short body that is held in memory, to see what a difference in it means.
const SHORT: u64 = 1024 * 1024;

/// The result of one request.
pub(super) enum Outcome {
    /// What the two answers are differs for a known reason, and nothing more is compared
    Explained {
        what: &'static str,
        why: &'static str,
    },
    /// Both have the same status
    Compared(Compared),
    /// Django redirects to the same URL by https
    ToHttps(String),
    /// Another status, or no whole answer
    Different(String),
}

/// Two answers with the same status.
pub(super) struct Compared {
    pub(super) status: u16,
    /// The names of Django's headers, in lower case
    pub(super) sent: BTreeSet<String>,
    pub(super) headers: Vec<HeaderDifference>,
    pub(super) body: Option<BodyDifference>,
}

/// A header whose values differ. `None`: the answer does not have it.
pub(super) struct HeaderDifference {
    /// In lower case
    pub(super) name: String,
    /// Of `Set-Cookie` without a session's key
    pub(super) django: Option<String>,
    pub(super) sidecar: Option<String>,
}

pub(super) struct BodyDifference {
    pub(super) kind: BodyKind,
    /// The first byte that differs
    pub(super) text: String,
}

/// What two bodies are that differ.
pub(super) enum BodyKind {
    /// Two refusals of DRF's form, with Django's text
    Refusal(String),
    /// Two answers to OPTIONS that list other parsers or renderers
    Options,
    /// Two HTML pages for a request that reaches no view
    ErrorPage,
    Other,
}

impl Outcome {
    /// Whether the data may have changed between the two requests.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Outcome::Explained { .. } | Outcome::ToHttps(_) => false,
            Outcome::Different(_) => true,
            Outcome::Compared(Compared { headers, body, .. }) => {
                let is_of_data = |header: &HeaderDifference| {
                    matches!(header.name.as_str(), "set-cookie" | "content-length")
                };
                let is_other = |body: &BodyDifference| matches!(body.kind, BodyKind::Other);
                body.as_ref().is_some_and(is_other) || headers.iter().any(is_of_data)
            }
        }
    }

    /// Whether two refusals of a session's unsafe request have different texts. The text depends on whether the client's
    /// connection counts as encrypted.
    pub(super) fn is_of_csrf(&self, case: &Case) -> bool {
        let is_checked = (case.method, case.caller) == ("POST", Caller::Cookie);
        match self {
            Outcome::Compared(Compared {
                body: Some(BodyDifference { text, .. }),
                ..
            }) => is_checked && text.contains("CSRF Failed"),
            _ => false,
        }
    }
}

impl HeaderDifference {
    /// Whether it follows from the body.
    pub(super) fn is_of_body(&self) -> bool {
        FROM_BODY.contains(&self.name.as_str())
    }

    pub(super) fn in_words(&self) -> String {
        let HeaderDifference { name, .. } = self;
        format!("header {name}: {}", self.values())
    }

    /// Both values in words.
    pub(super) fn values(&self) -> String {
        let described = |value: &Option<String>| match value {
            Some(value) => format!("{value:?}"),
            None => "none".to_owned(),
        };
        let (django, sidecar) = (described(&self.django), described(&self.sidecar));
        format!("Django {django}, sidecar {sidecar}")
    }
}

/// Compares two answers to the request of a case; `mount` is Django's path of the endpoints. The result shows no bytes of a
/// private body.
///
/// # Errors
/// An answer broke off or took too long.
pub(super) fn compare(
    case: &Case,
    mount: &str,
    django: Answer,
    sidecar: Answer,
    is_private: bool,
) -> io::Result<Outcome> {
    let [status, ours] = [&django, &sidecar].map(|answer| answer.status().as_u16());
    match case.special {
        _ if status != ours && is_to_https(&django, &format!("{mount}{}", case.target)) => {
            let text = format!("status: Django {status}, to https, sidecar {ours}");
            return Ok(Outcome::ToHttps(text));
        }
        Some(Special::OwnPage) if status == ours => {
            return Ok(Outcome::Explained {
                what: "Page for text/html",
                why: "the sidecar has a page of its own",
            });
        }
        Some(Special::OwnPage) if (status, ours) == (406, 200) => {
            return Ok(Outcome::Explained {
                what: "Page for text/html",
                why: "the sidecar has a page where Django has none (406)",
            });
        }
        Some(Special::NoView) if status == 200 && is_html(&django) && matches!(ours, 301 | 404) => {
            return Ok(Outcome::Explained {
                what: "Path without a slash",
                why: "a catch-all of the project's URL conf answers it with a page, and no client of the endpoints asks for it",
            });
        }
        _ if status != ours => {
            let text = format!("status: Django {status}, sidecar {ours}");
            return Ok(Outcome::Different(text));
        }
        _ => {}
    }
    let sent = django.headers().keys();
    let sent = sent.map(|name| name.as_str().to_owned()).collect();
    let mut headers = differing_headers(django.headers(), sidecar.headers());
    let body = bodies(case, django, sidecar, is_private)?;
    if body.is_some() {
        // The body itself tells more than the headers that follow from it.
        headers.retain(|header| !header.is_of_body());
    }
    Ok(Outcome::Compared(Compared {
        status,
        sent,
        headers,
        body,
    }))
}

/// Whether an answer is a redirect to the same path and query on https, of whatever host.
fn is_to_https(answer: &Answer, target: &str) -> bool {
    let location = answer.headers().get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok()?.strip_prefix("https://"));
    let path = location.and_then(|rest| rest.find('/').map(|slash| &rest[slash..]));
    answer.status().is_redirection() && path == Some(target)
}

fn differing_headers(django: &HeaderMap, sidecar: &HeaderMap) -> Vec<HeaderDifference> {
    let chunked = header::TRANSFER_ENCODING;
    let is_framed_alike = django.contains_key(&chunked) == sidecar.contains_key(&chunked);
    let (mut django, mut sidecar) = (comparable(django), comparable(sidecar));
    if !is_framed_alike || !django.contains_key("content-length") {
        django.remove("content-length");
        sidecar.remove("content-length");
    }
    let names: BTreeSet<&str> = django.keys().chain(sidecar.keys()).copied().collect();
    let differs = |name: &&str| {
        let is_addition = MAY_BE_ADDED.contains(name) && !django.contains_key(*name);
        django.get(*name) != sidecar.get(*name) && !is_addition
    };
    let value = |headers: &Headers<'_>, name| match (name, headers.get(name)?) {
        ("set-cookie", values) => {
            let values: Vec<String> = values.iter().map(|cookie| without_value(cookie)).collect();
            Some(values.join(", "))
        }
        (_, values) => Some(values.join(", ")),
    };
    let names = names.into_iter().filter(differs);
    names
        .map(|name| HeaderDifference {
            name: name.to_owned(),
            django: value(&django, name),
            sidecar: value(&sidecar, name),
        })
        .collect()
}

/// A cookie's name and attributes. Its value may be a session key, unless it is empty.
fn without_value(cookie: &str) -> String {
    let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    match value.trim_matches('"') {
        "" => cookie.to_owned(),
        _ => format!("{name}=(hidden);{attributes}"),
    }
}

type Headers<'a> = BTreeMap<&'a str, Vec<String>>;

/// The values of each header that is compared, sorted; of `Allow` and `Vary` each member is a value. A byte above ASCII is one
/// character, so that values that differ stay different.
fn comparable(headers: &HeaderMap) -> Headers<'_> {
    let mut found: Headers<'_> = BTreeMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        let value: String = value.as_bytes().iter().copied().map(char::from).collect();
        let is_csrf = name == "set-cookie" && value.starts_with("csrftoken=");
        if NOT_COMPARED.contains(&name) || is_csrf {
            continue;
        }
        let values = found.entry(name).or_default();
        match name {
            "allow" => values.extend(value.split(',').map(|method| method.trim().to_owned())),
            "vary" => values.extend(
                value
                    .split(',')
                    .map(|name| name.trim().to_ascii_lowercase()),
            ),
            _ => values.push(value),
        }
    }
    found.values_mut().for_each(|values| values.sort_unstable());
    found
}

fn bodies(
    case: &Case,
    django: Answer,
    sidecar: Answer,
    is_private: bool,
) -> io::Result<Option<BodyDifference>> {
    let status = django.status().as_u16();
    let is_html = [&django, &sidecar].map(is_html) == [true, true];
    let [mut django, mut sidecar] =
        [django, sidecar].map(|answer| answer.into_body().into_reader());
    let mut starts = [Vec::new(), Vec::new()];
    if status != 200 || case.method == "OPTIONS" {
        (&mut django).take(SHORT).read_to_end(&mut starts[0])?;
        (&mut sidecar).take(SHORT).read_to_end(&mut starts[1])?;
    }
    let [one, other] = [starts[0].as_slice(), starts[1].as_slice()];
    let text = first_difference(one.chain(django), other.chain(sidecar), is_private)?;
    Ok(text.map(|text| {
        let kind = match status {
            200 if case.method == "OPTIONS" && lists_alone_differ(one, other) => BodyKind::Options,
            400 | 404 if case.special == Some(Special::NoView) && is_html => BodyKind::ErrorPage,
            401.. => match (refusal(one), refusal(other)) {
                (Some(text), Some(_)) => BodyKind::Refusal(text),
                _ => BodyKind::Other,
            },
            _ => BodyKind::Other,
        };
        BodyDifference { kind, text }
    }))
}

fn is_html(answer: &Answer) -> bool {
    let value = answer.headers().get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// The text of a body `{"detail": "..."}`.
fn refusal(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Refusal {
        detail: String,
    }
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    refusal.map(|refusal| refusal.detail)
}

/// Whether two descriptions of a view differ in their parsers and renderers alone.
fn lists_alone_differ(django: &[u8], sidecar: &[u8]) -> bool {
    let without_lists = |body: &[u8]| {
        let mut view: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(body).ok()?;
        let lists = [view.remove("parses"), view.remove("renders")];
        lists.iter().all(Option::is_some).then_some(view)
    };
    without_lists(django).is_some_and(|view| without_lists(sidecar) == Some(view))
}

/// Describes the first difference between two bodies.
fn first_difference(
    django: impl Read,
    sidecar: impl Read,
    is_private: bool,
) -> io::Result<Option<String>> {
    let mut django = BufReader::with_capacity(PIECE, django);
    let mut sidecar = BufReader::with_capacity(PIECE, sidecar);
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
    let rest = |body: &mut dyn Read| -> io::Result<(String, u64)> {
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
