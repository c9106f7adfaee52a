//! Two answers side by side: status, headers, then the bodies piece by piece, so that memory stays flat.
//!
//! `tests/differential/compare.py` compares in the same way, and the README's "Where we differ" says why something
//! is left out here.

use std::collections::BTreeMap;

use crate::http_client::Answer;

/// The servers' own, not Django's.
const NOT_COMPARED: [&str; 6] = [
    "server",
    "x-request-id",
    "date",
    "connection",
    "transfer-encoding",
    "keep-alive",
];

/// What the sidecar may add.
const MAY_BE_ADDED: [&str; 3] = ["cache-control", "retry-after", "etag"];

/// What follows from a body; a length only where Django tells it.
const OF_BODY: [&str; 2] = ["content-length", "etag"];

/// What Django before 4.2 does for its plainest pages.
const NO_CHARSET: &str =
    "header content-type: Django \"text/html\", sidecar \"text/html; charset=utf-8\"";

/// Bytes of a body that are shown before and behind its first difference.
const BEFORE: usize = 40;
const BEHIND: usize = 60;

const PIECE: usize = 64 * 1024;

/// What two answers are to each other.
pub(super) enum Verdict {
    Same,
    /// Different on purpose, and why
    Intended(&'static str),
    /// Different, and where first
    Different(String),
}

/// What of an answer may differ.
#[derive(Clone, Copy)]
pub(super) enum Allowance {
    Nothing,
    /// The page and its headers, for this reason; never the status
    Page(&'static str),
    /// That an older Django names no charset for the page
    Charset,
}

/// Compares them; bytes of a private body are not shown.
pub(super) fn compare(
    django: Answer,
    sidecar: Answer,
    allowance: Allowance,
    is_private: bool,
) -> std::io::Result<Verdict> {
    if django.status != sidecar.status {
        let text = format!(
            "status: Django {}, sidecar {}",
            django.status, sidecar.status
        );
        return Ok(Verdict::Different(text));
    }
    if let Allowance::Page(why) = allowance {
        return Ok(Verdict::Intended(why));
    }
    // What follows from a body says less than the body.
    let of_body = header(&django.headers, &sidecar.headers, |name| {
        OF_BODY.contains(&name)
    });
    let of_answer = header(&django.headers, &sidecar.headers, |name| {
        !OF_BODY.contains(&name)
    });
    let older = match (allowance, &of_answer) {
        (Allowance::Charset, Some(text)) => text.starts_with(NO_CHARSET),
        _ => false,
    };
    if older {
        return Ok(Verdict::Intended(
            "where Django versions differ, the newest is followed",
        ));
    }
    let difference = match of_answer {
        Some(text) => Some(text),
        None => bodies(django, sidecar, is_private)?.or(of_body),
    };
    Ok(difference.map_or(Verdict::Same, Verdict::Different))
}

type Headers<'a> = BTreeMap<&'a str, Vec<String>>;

/// The first header that differs of those that are `wanted`.
fn header(
    django: &[(String, String)],
    sidecar: &[(String, String)],
    wanted: impl Fn(&str) -> bool,
) -> Option<String> {
    let is_chunked =
        |headers: &[(String, String)]| headers.iter().any(|(name, _)| name == "transfer-encoding");
    let is_framed_alike = is_chunked(django) == is_chunked(sidecar);
    let (mut django, mut sidecar) = (comparable(django), comparable(sidecar));
    if !is_framed_alike || !django.contains_key("content-length") {
        django.remove("content-length");
        sidecar.remove("content-length");
    }
    let names = django.keys().chain(sidecar.keys());
    let mut names: Vec<&str> = names.copied().collect();
    names.sort_unstable();
    names.retain(|name| wanted(name));
    let differs = |name: &&str| {
        let is_addition = MAY_BE_ADDED.contains(name) && !django.contains_key(*name);
        django.get(*name) != sidecar.get(*name) && !is_addition
    };
    let name = names.into_iter().find(differs)?;
    let shown = |headers: &Headers<'_>| match headers.get(name) {
        // The value may be a session.
        Some(_) if name == "set-cookie" => "one".to_owned(),
        Some(values) => format!("{:?}", values.join(", ")),
        None => "none".to_owned(),
    };
    Some(format!(
        "header {name}: Django {}, sidecar {}",
        shown(&django),
        shown(&sidecar)
    ))
}

/// Values by name, in the form in which they are compared.
fn comparable(headers: &[(String, String)]) -> Headers<'_> {
    let mut found: Headers<'_> = BTreeMap::new();
    for (name, value) in headers {
        let is_csrf = name == "set-cookie" && value.starts_with("csrftoken=");
        if NOT_COMPARED.contains(&name.as_str()) || is_csrf {
            continue;
        }
        let value = match name.as_str() {
            "allow" => {
                let mut methods: Vec<&str> = value.split(',').map(str::trim).collect();
                methods.sort_unstable();
                methods.join(", ")
            }
            _ => value.clone(),
        };
        found.entry(name).or_default().push(value);
    }
    found.values_mut().for_each(|values| values.sort_unstable());
    found
}

/// A body as far as it is read.
struct Body {
    answer: Answer,
    piece: Vec<u8>,
    length: u64,
    has_ended: bool,
}

impl Body {
    fn new(answer: Answer) -> Body {
        Body {
            answer,
            piece: Vec::new(),
            length: 0,
            has_ended: false,
        }
    }

    /// Has at least `wanted` bytes in its piece, or all that are left.
    fn fill(&mut self, wanted: usize) -> std::io::Result<()> {
        while !self.has_ended && self.piece.len() < wanted {
            let old = self.piece.len();
            self.piece.resize(old + PIECE, 0);
            let read = self.answer.read(&mut self.piece[old..]);
            let length = *read.as_ref().unwrap_or(&0);
            self.piece.truncate(old + length);
            read?;
            self.length += length as u64;
            self.has_ended = length == 0;
        }
        Ok(())
    }

    /// Reads to the end; how long it is.
    fn measure(&mut self) -> std::io::Result<u64> {
        while !self.has_ended {
            self.piece.clear();
            self.fill(1)?;
        }
        Ok(self.length)
    }
}

/// Where two bodies differ first.
fn bodies(django: Answer, sidecar: Answer, is_private: bool) -> std::io::Result<Option<String>> {
    let (mut django, mut sidecar) = (Body::new(django), Body::new(sidecar));
    let mut offset = 0;
    loop {
        django.fill(1)?;
        sidecar.fill(1)?;
        let common = django.piece.len().min(sidecar.piece.len());
        let pairs = django.piece.iter().zip(&sidecar.piece);
        let same = pairs
            .take_while(|(django, sidecar)| django == sidecar)
            .count();
        if same == common && common > 0 {
            offset += common as u64;
            django.piece.drain(..common);
            sidecar.piece.drain(..common);
            continue;
        }
        if django.piece.is_empty() && sidecar.piece.is_empty() {
            return Ok(None);
        }
        django.fill(same + BEHIND)?;
        sidecar.fill(same + BEHIND)?;
        let from = same.saturating_sub(BEFORE);
        let shown = |body: &Body| {
            let to = body.piece.len().min(same + BEHIND);
            format!("{:?}", String::from_utf8_lossy(&body.piece[from..to]))
        };
        let context = match is_private {
            true => String::new(),
            false => format!(": Django {}, sidecar {}", shown(&django), shown(&sidecar)),
        };
        let (django, sidecar) = (django.measure()?, sidecar.measure()?);
        return Ok(Some(format!(
            "body: byte {} (of {django} and {sidecar}){context}",
            offset + same as u64
        )));
    }
}
