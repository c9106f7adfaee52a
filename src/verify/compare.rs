//! Compares two answers: status, headers, then the bodies piece by piece, so that memory stays flat.
//!
//! `tests/differential/compare.py` compares in the same way, and "Where we differ" has the reasons for what is left out.

use std::collections::BTreeMap;
use std::io::Read;

use ureq::BodyReader;

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
const SHOWN_AFTER: usize = 60;

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
) -> std::io::Result<Comparison> {
    if django.status != sidecar.status {
        let text = format!(
            "status: Django {}, sidecar {}",
            django.status, sidecar.status
        );
        return Ok(Comparison::Different(text));
    }
    if let Allowance::Page(reason) = allowance {
        return Ok(Comparison::Intended(reason));
    }
    // The body itself tells more than the headers that follow from it.
    let from_body = header(&django.headers, &sidecar.headers, |name| {
        FROM_BODY.contains(&name)
    });
    let other = header(&django.headers, &sidecar.headers, |name| {
        !FROM_BODY.contains(&name)
    });
    let older = match (allowance, &other) {
        (Allowance::Charset, Some(text)) => text.starts_with(NO_CHARSET),
        _ => false,
    };
    if older {
        return Ok(Comparison::Intended(
            "where Django versions differ, the newest is followed",
        ));
    }
    let difference = match other {
        Some(text) => Some(text),
        None => bodies(django, sidecar, is_private)?.or(from_body),
    };
    Ok(difference.map_or(Comparison::Same, Comparison::Different))
}

type Headers<'a> = BTreeMap<&'a str, Vec<String>>;

/// Describes the first `wanted` header that differs.
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
    let described = |headers: &Headers<'_>| match headers.get(name) {
        // The value may be a session key.
        Some(_) if name == "set-cookie" => "one".to_owned(),
        Some(values) => format!("{:?}", values.join(", ")),
        None => "none".to_owned(),
    };
    Some(format!(
        "header {name}: Django {}, sidecar {}",
        described(&django),
        described(&sidecar)
    ))
}

/// The values of each header that is compared, sorted.
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

/// A body, read up to the piece that is compared.
struct Pieces {
    body: BodyReader<'static>,
    piece: Vec<u8>,
    length: u64,
    has_ended: bool,
}

impl Pieces {
    fn new(answer: Answer) -> Pieces {
        Pieces {
            body: answer.body,
            piece: Vec::new(),
            length: 0,
            has_ended: false,
        }
    }

    /// Reads until the piece has at least `wanted` bytes, or all that are left.
    fn fill(&mut self, wanted: usize) -> std::io::Result<()> {
        while !self.has_ended && self.piece.len() < wanted {
            let old = self.piece.len();
            self.piece.resize(old + PIECE, 0);
            let read = self.body.read(&mut self.piece[old..]);
            let length = *read.as_ref().unwrap_or(&0);
            self.piece.truncate(old + length);
            read?;
            self.length += length as u64;
            self.has_ended = length == 0;
        }
        Ok(())
    }

    /// Reads to the end, and gives the whole body's length in bytes.
    fn measure(&mut self) -> std::io::Result<u64> {
        while !self.has_ended {
            self.piece.clear();
            self.fill(1)?;
        }
        Ok(self.length)
    }
}

/// Describes the first difference between two bodies.
fn bodies(django: Answer, sidecar: Answer, is_private: bool) -> std::io::Result<Option<String>> {
    let (mut django, mut sidecar) = (Pieces::new(django), Pieces::new(sidecar));
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
        django.fill(same + SHOWN_AFTER)?;
        sidecar.fill(same + SHOWN_AFTER)?;
        let from = same.saturating_sub(SHOWN_BEFORE);
        let shown = |body: &Pieces| {
            let to = body.piece.len().min(same + SHOWN_AFTER);
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
