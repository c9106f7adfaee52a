//! The requests that both are asked: what a caller, a browser or a scanner would send, and nothing that writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::compare::Allowance;
use super::credentials::Credentials;

/// As whom a request is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anonymous,
    Cookie,
    Basic,
}

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Anonymous => "anonymous",
            Who::Cookie => "cookie",
            Who::Basic => "password",
        }
    }
}

/// One request.
pub(super) struct Case {
    pub(super) method: &'static str,
    /// Behind the mount
    pub(super) target: &'static str,
    pub(super) who: Who,
    /// What is special about it
    note: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) host: Option<&'static str>,
    pub(super) allowance: Allowance,
    pub(super) is_export: bool,
    /// Whether a 401 or 403 means that the caller is not admitted
    pub(super) shows_whether_admitted: bool,
}

const EXPORT: &str = "/export-users/";
const STATS: &str = "/export-stats/";

impl Case {
    fn new(method: &'static str, target: &'static str, who: Who, note: &'static str) -> Case {
        Case {
            method,
            target,
            who,
            note,
            headers: Vec::new(),
            host: None,
            allowance: Allowance::Nothing,
            is_export: target.starts_with("/export-users"),
            shows_whether_admitted: false,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Case {
        self.headers.push((name, value.into()));
        self
    }

    fn allowing(self, allowance: Allowance) -> Case {
        Case { allowance, ..self }
    }

    /// Caller and note.
    pub(super) fn caller(&self) -> String {
        match self.note {
            "" => self.who.name().to_owned(),
            note => format!("{}, {note}", self.who.name()),
        }
    }
}

/// All of them, the first one anonymous.
pub(super) fn cases(
    credentials: &Credentials,
    same_mount: bool,
    is_debug: bool,
    cookie_name: &str,
) -> Vec<Case> {
    let anonymous = |method, target, note| Case::new(method, target, Who::Anonymous, note);
    let basic = |text: &str| format!("Basic {text}");
    let nobody = STANDARD.encode("watchtower-verify-nobody:not-a-password");
    let page = match is_debug {
        true => Allowance::Page("DEBUG's technical page is Django's own"),
        false => Allowance::Charset,
    };
    let mut cases = vec![
        anonymous("GET", STATS, ""),
        anonymous("GET", EXPORT, ""),
        anonymous("HEAD", STATS, ""),
        anonymous("OPTIONS", EXPORT, ""),
        anonymous("POST", STATS, ""),
        anonymous("GET", STATS, "Accept: image/png").with("Accept", "image/png"),
        anonymous("GET", "/export-stats/?format=json", ""),
        anonymous("GET", "/export-stats/?format=xml", ""),
        anonymous("GET", STATS, "no such session").with(
            "Cookie",
            format!("{cookie_name}=watchtowerverifynobodyssession00"),
        ),
        anonymous("GET", STATS, "malformed Basic").with("Authorization", basic("a b")),
        anonymous("GET", STATS, "no such user").with("Authorization", basic(&nobody)),
        Case {
            host: Some("watchtower-verify.invalid"),
            ..anonymous("GET", STATS, "an unknown host")
        }
        .allowing(page),
    ];
    if same_mount {
        cases.push(anonymous("GET", "/export-stats", "no slash at the end"));
    }
    let given = [
        (Who::Cookie, credentials.cookie.is_some()),
        (Who::Basic, credentials.basic.is_some()),
    ];
    for (who, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        let case = |method, target, note| Case::new(method, target, who, note);
        cases.extend([
            Case {
                shows_whether_admitted: true,
                ..case("GET", STATS, "")
            },
            case("GET", EXPORT, ""),
            case("HEAD", STATS, ""),
            case("OPTIONS", STATS, ""),
            case("OPTIONS", EXPORT, ""),
            case("POST", STATS, ""),
            case("GET", STATS, "Accept: image/png").with("Accept", "image/png"),
            case("GET", STATS, "indented").with("Accept", "application/json; indent=4"),
            case("GET", "/export-stats/?format=json", ""),
            case("GET", STATS, "Accept: text/html")
                .with("Accept", "text/html")
                .allowing(Allowance::Page("text/html is a page of the sidecar's own")),
        ]);
    }
    cases
}
