//! Tells a difference that the project's own middleware or web server makes, and that no client of the two endpoints relies on,
//! from one that a client can notice.
//!
//! An unknown header is explained only if Django sends it with every answer of the views: then it does not come from a view.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::{Caller, Case, Special};
use super::compare::{BodyDifference, BodyKind, Compared, HeaderDifference, Outcome};
use super::languages;

/// Headers that the sidecar sends even if the project has Django's middleware for them off.
const ALWAYS_SENT: [&str; 4] = [
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-opener-policy",
];

/// Headers that clients rely on, whatever adds them.
const RELIED_ON: [&str; 12] = [
    "allow",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "set-cookie",
    "www-authenticate",
];

/// What adds a member of `Vary`, in lower case.
const VARY: [(&str, &str); 4] = [
    ("accept-language", "LocaleMiddleware adds it"),
    ("origin", "corsheaders' CorsMiddleware adds it"),
    ("cookie", "a middleware of the project reads the session"),
    (
        "accept-encoding",
        "GZipMiddleware or the web server adds it",
    ),
];

/// A case's result.
pub(super) enum Comparison {
    Same,
    Explained,
    /// Each difference that is not explained, in words
    Different(Vec<String>),
}

impl Comparison {
    pub(super) fn add_difference(&mut self, text: String) {
        match self {
            Comparison::Different(differences) => differences.push(text),
            Comparison::Same | Comparison::Explained => *self = Comparison::Different(vec![text]),
        }
    }
}

/// An explanation, and the answers that it is for.
pub(super) struct Explanation {
    pub(super) why: String,
    pub(super) answers: usize,
    /// The headers' values in words, if they are the same in all these answers
    pub(super) values: Option<String>,
}

/// Compares each case's answers in the light of all results, and returns every explanation by what it explains.
pub(super) fn explain_all(
    results: &[(&Case, Outcome)],
) -> (Vec<Comparison>, BTreeMap<String, Explanation>) {
    let mut explainer = Explainer {
        on_every_answer: on_every_answer(results),
        language: language(results),
        explanations: BTreeMap::new(),
    };
    let comparisons = results
        .iter()
        .map(|(case, outcome)| explainer.compare(case, outcome));
    (comparisons.collect(), explainer.explanations)
}

/// The headers that Django sends with every answer of the views, or with every one that a caller gets.
fn on_every_answer(results: &[(&Case, Outcome)]) -> BTreeSet<String> {
    let mut callers: BTreeMap<_, Vec<&BTreeSet<String>>> = BTreeMap::new();
    for (case, outcome) in results {
        match outcome {
            Outcome::Compared(Compared { sent, .. }) if case.special != Some(Special::NoView) => {
                callers.entry(case.caller).or_default().push(sent);
            }
            _ => {}
        }
    }
    let names: BTreeSet<&String> = callers.values().flatten().copied().flatten().collect();
    let is_whole = |name: &&String| {
        callers.values().all(|answers| {
            let with = answers.iter().filter(|sent| sent.contains(*name)).count();
            with == 0 || with == answers.len()
        })
    };
    names.into_iter().filter(is_whole).cloned().collect()
}

/// The language of Django's refusals, if it is not English.
fn language(results: &[(&Case, Outcome)]) -> Option<&'static str> {
    results.iter().find_map(|(_, outcome)| match outcome {
        Outcome::Compared(Compared {
            body:
                Some(BodyDifference {
                    kind: BodyKind::Refusal(text),
                    ..
                }),
            ..
        }) => languages::of(text),
        _ => None,
    })
}

struct Explainer {
    on_every_answer: BTreeSet<String>,
    language: Option<&'static str>,
    explanations: BTreeMap<String, Explanation>,
}

impl Explainer {
    fn compare(&mut self, case: &Case, outcome: &Outcome) -> Comparison {
        let (is_same, different) = match outcome {
            Outcome::Explained { what, why } => {
                self.explain((*what).to_owned(), why, None);
                (false, Vec::new())
            }
            Outcome::ToHttps(text) | Outcome::Different(text) => (false, vec![text.clone()]),
            Outcome::Compared(Compared {
                status,
                headers,
                body,
                ..
            }) => {
                let of_headers = headers.iter();
                let of_headers = of_headers.filter_map(|header| self.header(case, *status, header));
                let mut different: Vec<_> = of_headers.collect();
                different.extend(body.as_ref().and_then(|body| self.body(body)));
                (headers.is_empty() && body.is_none(), different)
            }
        };
        match (is_same, different.is_empty()) {
            (true, _) => Comparison::Same,
            (false, true) => Comparison::Explained,
            (false, false) => Comparison::Different(different),
        }
    }

    /// Explains a header's difference, or returns it in words.
    fn header(&mut self, case: &Case, status: u16, header: &HeaderDifference) -> Option<String> {
        let name = header.name.as_str();
        let is_from_django = header.django.is_some();
        let why = match (name, added_by(name)) {
            ("vary", _) => return self.vary(header),
            ("content-length", _) if case.method == "HEAD" && self.language.is_some() => {
                self.refusals();
                return None;
            }
            // Clients send a tag back only as they got it, and that of a refusal never leads to 304.
            ("etag", _) if is_from_django && (header.sidecar.is_some() || status >= 400) => {
                "ConditionalGetMiddleware adds it; after the switch a client gets one whole answer and a new tag"
            }
            ("content-type", _) if is_charset_of_a_page(case, header) => {
                "where Django versions differ, the newest is followed"
            }
            // To the client of a session it may mean that Django keeps the session alive.
            ("set-cookie", _)
                if case.caller != Caller::Cookie
                    && header.sidecar.is_none()
                    && self.on_every_answer.contains(name) =>
            {
                "a middleware of the project sets it on every answer to a client without a session; the sidecar sets none"
            }
            (_, Some(why)) if is_from_django || ALWAYS_SENT.contains(&name) => why,
            _ if is_from_django && header.sidecar.is_none() && self.is_on_every_answer(name) => {
                "a middleware of the project or its web server adds it to every answer"
            }
            _ => return Some(header.in_words()),
        };
        self.explain(title_case(name), why, Some(header.values()));
        None
    }

    fn is_on_every_answer(&self, name: &str) -> bool {
        let is_relied_on = RELIED_ON.contains(&name) || name.starts_with("access-control-allow-");
        !is_relied_on && self.on_every_answer.contains(name)
    }

    fn vary(&mut self, header: &HeaderDifference) -> Option<String> {
        let members = |value: &Option<String>| -> BTreeSet<String> {
            let value = value.as_deref().unwrap_or_default();
            let members = value.split(", ").filter(|member| !member.is_empty());
            members.map(str::to_owned).collect()
        };
        let (django, sidecar) = (members(&header.django), members(&header.sidecar));
        let more: Vec<&String> = sidecar.difference(&django).collect();
        if more.iter().any(|member| *member != "accept") {
            return Some(header.in_words());
        }
        if !more.is_empty() {
            let why = "the sidecar adds it, as it has a page where the project has one renderer";
            self.explain("Vary: Accept".to_owned(), why, None);
        }
        for member in django.difference(&sidecar) {
            let why = VARY.iter().find(|(known, _)| known == member);
            let why = why.map_or(
                "a middleware of the project or its web server adds it",
                |(_, why)| why,
            );
            self.explain(format!("Vary: {}", title_case(member)), why, None);
        }
        None
    }

    /// Explains a body's difference, or returns it in words.
    fn body(&mut self, body: &BodyDifference) -> Option<String> {
        match body.kind {
            BodyKind::Refusal(_) if self.language.is_some() => self.refusals(),
            BodyKind::Options => self.explain(
                "Body of OPTIONS".to_owned(),
                "it lists the project's parsers and renderers, and in the sidecar DRF's defaults",
                None,
            ),
            BodyKind::ErrorPage => self.explain(
                "Page of an error".to_owned(),
                "the project's own or DEBUG's, and in the sidecar Django's",
                None,
            ),
            BodyKind::Refusal(_) | BodyKind::Other => return Some(body.text.clone()),
        }
        None
    }

    fn refusals(&mut self) {
        if let Some(language) = self.language {
            let why = format!(
                "Django's are in the language {language:?} although verify asks for English; the sidecar's are in \
                 English. The statuses are the same"
            );
            self.explain("Texts of refusals".to_owned(), &why, None);
        }
    }

    /// Counts an explanation.
    fn explain(&mut self, what: String, why: &str, values: Option<String>) {
        let known = self
            .explanations
            .entry(what)
            .or_insert_with(|| Explanation {
                why: why.to_owned(),
                answers: 0,
                values: values.clone(),
            });
        known.answers += 1;
        if known.values != values {
            known.values = None;
        }
    }
}

/// An older Django names no charset for an HTML page.
fn is_charset_of_a_page(case: &Case, header: &HeaderDifference) -> bool {
    let values = (header.django.as_deref(), header.sidecar.as_deref());
    case.special == Some(Special::NoView)
        && values == (Some("text/html"), Some("text/html; charset=utf-8"))
}

/// What adds a header that does not change what a client of the endpoints gets; the name in lower case.
fn added_by(name: &str) -> Option<&'static str> {
    Some(match name {
        "content-language" => {
            "LocaleMiddleware adds it; verify asks for English, the language of the sidecar's refusals"
        }
        "cache-control" | "expires" | "pragma" => {
            "the project or its web server sets it; the sidecar lets no cache keep an answer"
        }
        "strict-transport-security" => {
            "SecurityMiddleware (SECURE_HSTS_SECONDS) or the web server adds it; let the proxy add it to the sidecar's \
             answers"
        }
        "content-security-policy"
        | "content-security-policy-report-only"
        | "reporting-endpoints"
        | "report-to"
        | "nel" => {
            "a middleware for content security policies or the web server adds it; let the proxy add it to the \
             sidecar's answers"
        }
        "permissions-policy" | "feature-policy" => {
            "a middleware for permissions policies or the web server adds it; let the proxy add it to the sidecar's \
             answers"
        }
        "x-frame-options" => {
            "XFrameOptionsMiddleware (X_FRAME_OPTIONS) decides; the sidecar sends Django's default, and the proxy can \
             set another value"
        }
        "x-content-type-options" | "referrer-policy" | "cross-origin-opener-policy" => {
            "SecurityMiddleware (SECURE_*) decides; the sidecar sends Django's default, and the proxy can set another \
             value"
        }
        "server-timing" => "the debug toolbar or the web server adds it",
        _ => return None,
    })
}

/// A header's name as it is usually written.
fn title_case(name: &str) -> String {
    if name == "etag" {
        return "ETag".to_owned();
    }
    let part = |part: &str| match part.split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_ascii_uppercase()),
        None => String::new(),
    };
    let parts: Vec<String> = name.split('-').map(part).collect();
    parts.join("-")
}
