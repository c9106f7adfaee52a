//! The requests that both servers get: those of an importer, a browser or a scanner, and none that writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::compare::Allowance;
use super::credentials::Credentials;

/// Whose credentials a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Anonymous,
    Cookie,
    Basic,
}

impl Caller {
    pub(super) fn name(self) -> &'static str {
        match self {
            Caller::Anonymous => "anonymous",
            Caller::Cookie => "cookie",
            Caller::Basic => "password",
        }
    }
}

/// One request.
pub(super) struct Case {
    pub(super) method: &'static str,
    /// Path and query after the mount
    pub(super) target: &'static str,
    pub(super) caller: Caller,
    /// What is special about it, for the table
    note: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) host: Option<&'static str>,
    pub(super) allowance: Allowance,
    pub(super) is_export: bool,
    /// Whether a 401 or 403 means that Django does not admit the caller
    pub(super) shows_admission: bool,
}

const EXPORT: &str = "/export-users/";
const STATS: &str = "/export-stats/";

impl Case {
    fn new(method: &'static str, target: &'static str, caller: Caller, note: &'static str) -> Case {
        Case {
            method,
            target,
            caller,
            note,
            headers: Vec::new(),
            host: None,
            allowance: Allowance::Nothing,
            is_export: target.starts_with("/export-users"),
            shows_admission: false,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Case {
        self.headers.push((name, value.into()));
        self
    }

    fn allowing(self, allowance: Allowance) -> Case {
        Case { allowance, ..self }
    }

    /// Caller and note, for the table.
    pub(super) fn label(&self) -> String {
        match self.note {
            "" => self.caller.name().to_owned(),
            note => format!("{}, {note}", self.caller.name()),
        }
    }
}

/// All requests, the first one anonymous.
pub(super) fn cases(
    credentials: &Credentials,
    same_mount: bool,
    is_debug: bool,
    cookie_name: &str,
) -> Vec<Case> {
    let anonymous = |method, target, note| Case::new(method, target, Caller::Anonymous, note);
    let basic = |text: &str| format!("Basic {text}");
    let unknown_user = STANDARD.encode("watchtower-verify-nobody:not-a-password");
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
        anonymous("GET", STATS, "no such user").with("Authorization", basic(&unknown_user)),
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
        (Caller::Cookie, credentials.cookie.is_some()),
        (Caller::Basic, credentials.basic.is_some()),
    ];
    for (caller, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        let case = |method, target, note| Case::new(method, target, caller, note);
        cases.extend([
            Case {
                shows_admission: true,
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
                .allowing(Allowance::Page(
                    "the sidecar has its own page for text/html",
                )),
        ]);
    }
    cases
}
