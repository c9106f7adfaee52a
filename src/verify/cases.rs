//! The requests that both servers get: those of an importer, a browser or a scanner, and none that writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::credentials::Credentials;

/// Whose credentials a request carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    Anonymous,
    Cookie,
    Basic,
    Token,
}

impl Caller {
    pub(super) fn name(self) -> &'static str {
        match self {
            Caller::Anonymous => "anonymous",
            Caller::Cookie => "cookie",
            Caller::Basic => "password",
            Caller::Token => "token",
        }
    }
}

/// Why two answers may differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// The sidecar has its own page in place of the browsable API
    OwnPage,
    /// The request reaches no view: the web server, Django or one of the project's templates answers
    NoView,
}

/// One request.
pub(super) struct Case {
    pub(super) method: &'static str,
    /// Path and query after the mount
    pub(super) target: &'static str,
    pub(super) caller: Caller,
    /// What is special about it, for the table
    pub(super) note: &'static str,
    pub(super) header: Option<(&'static str, String)>,
    pub(super) host: Option<&'static str>,
    pub(super) special: Option<Special>,
}

impl Case {
    /// Whether a 401 or 403 means that Django does not admit the caller.
    pub(super) fn shows_admission(&self) -> bool {
        let is_plain = (self.method, self.target, self.note) == ("GET", STATS, "");
        is_plain && self.caller != Caller::Anonymous
    }
}

const EXPORT: &str = "/export-users/";
const STATS: &str = "/export-stats/";

/// What every caller asks.
const OF_EVERYONE: [(&str, &str); 6] = [
    ("GET", STATS),
    ("GET", EXPORT),
    ("HEAD", STATS),
    ("OPTIONS", EXPORT),
    ("POST", STATS),
    ("GET", "/export-stats/?format=json"),
];

/// All requests, the first one anonymous.
pub(super) fn cases(credentials: &Credentials, same_mount: bool, cookie_name: &str) -> Vec<Case> {
    let case = |caller, method, target| Case {
        method,
        target,
        caller,
        note: "",
        header: None,
        host: None,
        special: None,
    };
    let with = |caller, note, name, value: &str| Case {
        note,
        header: Some((name, value.to_owned())),
        ..case(caller, "GET", STATS)
    };
    let no_session = format!("{cookie_name}=watchtowerverifynobodyssession00");
    let no_user = STANDARD.encode("watchtower-verify-nobody:not-a-password");
    let no_user = format!("Basic {no_user}");
    let mut cases = Vec::new();
    for (caller, is_given) in [
        (Caller::Anonymous, true),
        (Caller::Cookie, credentials.cookie.is_some()),
        (Caller::Basic, credentials.basic.is_some()),
        (Caller::Token, credentials.token.is_some()),
    ] {
        if !is_given {
            continue;
        }
        cases.extend(OF_EVERYONE.map(|(method, target)| case(caller, method, target)));
        cases.push(with(caller, "Accept: image/png", "Accept", "image/png"));
        if caller != Caller::Anonymous {
            cases.extend([
                case(caller, "OPTIONS", STATS),
                with(caller, "indented", "Accept", "application/json; indent=4"),
                Case {
                    special: Some(Special::OwnPage),
                    ..with(caller, "Accept: text/html", "Accept", "text/html")
                },
            ]);
            continue;
        }
        cases.extend([
            case(caller, "GET", "/export-stats/?format=nothing"),
            with(caller, "no such session", "Cookie", &no_session),
            with(caller, "malformed Basic", "Authorization", "Basic a b"),
            with(caller, "no such user", "Authorization", &no_user),
            Case {
                note: "an unknown host",
                host: Some("watchtower-verify.invalid"),
                special: Some(Special::NoView),
                ..case(caller, "GET", STATS)
            },
        ]);
        if same_mount {
            cases.push(Case {
                note: "no slash at the end",
                special: Some(Special::NoView),
                ..case(caller, "GET", "/export-stats")
            });
        }
    }
    cases
}
