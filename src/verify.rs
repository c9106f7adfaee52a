//! `watchtower-sidecar verify`: sends the same requests to the live Django and to the sidecar, and prints a table of
//! what is the same and what is not, before the reverse proxy's line is flipped.
//!
//! It logs nobody in and changes nothing that a reader's visit does not change. Cookie and password come by files, and
//! bodies of the export, which hold personal data, are shown only where they are asked for.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::{Bind, LocalClientConfig};
use crate::http_client::{Answer, Place, Request, ask};

mod cases;
mod compare;
mod credentials;

use cases::{Case, Who, cases};
use compare::{Verdict, compare};
use credentials::Credentials;

const ALL_SAME: i32 = 0;
const DIFFERENT: i32 = 1;
/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// How long one answer may take, up to its last byte.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is compared.
#[derive(clap::Args)]
pub struct Arguments {
    /// The live Django: http://host:port or https://host:port, best past any proxy; with the path of the two
    /// endpoints if that is not SIDECAR_MOUNT
    #[arg(long, value_name = "URL")]
    against: String,
    /// The sidecar: http://host:port or unix:/path [default: where SIDECAR_BIND says]
    #[arg(long, value_name = "URL")]
    sidecar: Option<String>,
    /// A file with a session's cookie: its value, a line `name=value`, or what `curl -c` writes; - is standard input
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// A file with a line `user:password`, for HTTP Basic; - is standard input
    #[arg(long, value_name = "FILE")]
    basic_file: Option<PathBuf>,
    /// The host to ask both for, one of ALLOWED_HOSTS [default: that of --against]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A file of certificate authorities for https [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Show the place of the first difference in exported bodies too, which hold personal data
    #[arg(long)]
    show_bodies: bool,
    /// Print what differs, and the sum
    #[arg(long)]
    quiet: bool,
}

/// Both sides.
struct Sides {
    django: Side,
    sidecar: Side,
    host: String,
    ca_file: Option<PathBuf>,
}

struct Side {
    place: Place,
    mount: String,
}

/// Compares, prints, and gives the exit code: 0 all the same, 1 not, 64 bad arguments.
pub fn run(arguments: &Arguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    let config = match LocalClientConfig::from_vars(lookup) {
        Ok(config) => config,
        Err(errors) => {
            say(errors.to_string().trim_end());
            return BAD_CONFIGURATION;
        }
    };
    let prepared = sides(arguments, &config).and_then(|sides| {
        let (cookie, basic) = (
            arguments.cookie_file.as_deref(),
            arguments.basic_file.as_deref(),
        );
        let credentials = Credentials::read(cookie, basic, &config.cookie_name)?;
        Ok((sides, credentials))
    });
    let (sides, credentials) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            say(error);
            return BAD_CONFIGURATION;
        }
    };
    let same_mount = sides.django.mount == sides.sidecar.mount;
    let cases = cases(&credentials, same_mount, config.debug, &config.cookie_name);
    Comparison {
        sides: &sides,
        credentials: &credentials,
        shows_bodies: arguments.show_bodies,
        is_quiet: arguments.quiet,
        is_watched: std::io::stdout().is_terminal() && std::io::stderr().is_terminal(),
    }
    .run(&cases)
}

fn sides(arguments: &Arguments, config: &LocalClientConfig) -> Result<Sides, String> {
    let named =
        |option: &str, url: &str| Place::parse(url).map_err(|wrong| format!("{option} {wrong}"));
    let (place, path) = named("--against", &arguments.against)?;
    // A proxy that strips the path asks Django for all of it.
    let usual = match config.mount.as_str() {
        "" => "/api/admin",
        mount => mount,
    };
    let django = Side {
        mount: if path.is_empty() {
            usual.to_owned()
        } else {
            path
        },
        place,
    };
    let place = match &arguments.sidecar {
        Some(url) => named("--sidecar", url)?.0,
        None => Place::of(&listener(config)?),
    };
    let host = arguments
        .host
        .clone()
        .unwrap_or_else(|| django.place.host());
    if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("--host is no host's name".to_owned());
    }
    Ok(Sides {
        django,
        sidecar: Side {
            place,
            mount: config.mount.clone(),
        },
        host,
        ca_file: arguments.ca_file.clone(),
    })
}

fn listener(config: &LocalClientConfig) -> Result<Bind, String> {
    let unknown = "SIDECAR_BIND has port 0, so that nobody knows it: give --sidecar";
    config.bind.from_here().ok_or_else(|| unknown.to_owned())
}

struct Comparison<'a> {
    sides: &'a Sides,
    credentials: &'a Credentials,
    shows_bodies: bool,
    is_quiet: bool,
    /// Whether somebody sits before it
    is_watched: bool,
}

/// What one case came to.
struct Outcome {
    verdict: Verdict,
    /// Django's status
    django: Option<u16>,
}

impl Comparison<'_> {
    fn run(&self, cases: &[Case]) -> i32 {
        let (mut same, mut intended, mut different) = (0, 0, 0);
        let mut notes = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            self.progress(&format!(
                "{}/{} {}",
                number + 1,
                cases.len(),
                self.described(case)
            ));
            let outcome = self.outcome(case);
            self.progress("");
            self.print(case, &outcome.verdict);
            match &outcome.verdict {
                Verdict::Same => same += 1,
                Verdict::Intended(_) => intended += 1,
                Verdict::Different(_) => different += 1,
            }
            let is_first = number == 0;
            match (outcome.django, case.who) {
                // Without an answer to the first, none to the others.
                (None, _) if is_first => break,
                (Some(401 | 403), Who::Anonymous) => {}
                (Some(status), Who::Anonymous) if is_first => {
                    different += 1;
                    notes.push(self.unexpected(status));
                }
                (Some(status @ (401 | 403)), who) if case.shows_whether_admitted => {
                    notes.push(format!(
                        "Django itself does not admit the given {} ({status}): that the answers are the same proves \
                         little",
                        who.name()
                    ));
                }
                _ => {}
            }
        }
        if self.credentials.cookie.is_none() && self.credentials.basic.is_none() {
            notes.push(
                "nobody who is admitted was tried: give --cookie-file or --basic-file".to_owned(),
            );
        }
        let out = &mut std::io::stdout();
        for note in notes {
            let _ = writeln!(out, "note: {note}");
        }
        let _ = writeln!(
            out,
            "{} requests: {same} same, {intended} different on purpose, {different} different",
            same + intended + different
        );
        match different {
            0 => ALL_SAME,
            _ => DIFFERENT,
        }
    }

    /// What it means that Django does not refuse an anonymous caller in DRF's way.
    fn unexpected(&self, status: u16) -> String {
        let host = &self.sides.host;
        let why = match status {
            400 => format!("its ALLOWED_HOSTS may not hold {host}: give --host"),
            404 => "it has no such URL: give the endpoints' path in --against".to_owned(),
            301 | 302 | 307 | 308 => {
                "it redirects (SECURE_SSL_REDIRECT?): ask the https address".to_owned()
            }
            _ => "see its log".to_owned(),
        };
        format!("Django answered {status} to an anonymous caller, not 401 or 403: {why}")
    }

    /// A difference is one only if it is there twice: data change between two questions.
    fn outcome(&self, case: &Case) -> Outcome {
        let first = self.compared(case);
        match first.verdict {
            Verdict::Different(_) if first.django.is_some() => self.compared(case),
            _ => first,
        }
    }

    fn compared(&self, case: &Case) -> Outcome {
        let django = self.asked(case, &self.sides.django);
        let status = django.as_ref().ok().map(|answer| answer.status);
        let verdict = match (
            django,
            status.map(|_| self.asked(case, &self.sides.sidecar)),
        ) {
            (Err(error), _) => Verdict::Different(format!("no answer from Django: {error}")),
            (_, Some(Err(error))) => {
                Verdict::Different(format!("no answer from the sidecar: {error}"))
            }
            (Ok(django), Some(Ok(sidecar))) => {
                let is_private = case.is_export && django.status == 200 && !self.shows_bodies;
                compare(django, sidecar, case.allowance, is_private).unwrap_or_else(|error| {
                    Verdict::Different(format!("an answer broke off: {error}"))
                })
            }
            (Ok(_), None) => Verdict::Different("the sidecar was not asked".to_owned()),
        };
        Outcome {
            verdict,
            django: status,
        }
    }

    fn asked(&self, case: &Case, side: &Side) -> std::io::Result<Answer> {
        let host = case.host.unwrap_or(&self.sides.host);
        let mut headers = vec![("Host".to_owned(), host.to_owned())];
        let credentials = match case.who {
            Who::Anonymous => None,
            Who::Cookie => self
                .credentials
                .cookie
                .as_ref()
                .map(|cookie| ("Cookie", cookie)),
            Who::Basic => self
                .credentials
                .basic
                .as_ref()
                .map(|basic| ("Authorization", basic)),
        };
        let more = case.headers.iter().map(|(name, value)| (*name, value));
        let all = credentials
            .into_iter()
            .map(|(name, value)| (name, &**value))
            .chain(more);
        headers.extend(all.map(|(name, value)| (name.to_owned(), value.clone())));
        let request = Request {
            method: case.method,
            target: format!("{}{}", side.mount, case.target),
            headers,
        };
        ask(
            &side.place,
            &request,
            Instant::now() + PATIENCE,
            self.sides.ca_file.as_deref(),
        )
    }

    fn described(&self, case: &Case) -> String {
        let target = format!("{}{}", self.sides.django.mount, case.target);
        format!("{:<7} {target:<39} {}", case.method, case.caller())
    }

    fn print(&self, case: &Case, verdict: &Verdict) {
        let (word, more) = match verdict {
            Verdict::Same => ("same", ""),
            Verdict::Intended(why) => ("on purpose", *why),
            Verdict::Different(what) => ("DIFFERENT", what.as_str()),
        };
        if self.is_quiet && !matches!(verdict, Verdict::Different(_)) {
            return;
        }
        let more = match more {
            "" => String::new(),
            more => format!("\n            {more}"),
        };
        let row = format!("{word:<11} {}", self.described(case));
        let _ = writeln!(std::io::stdout(), "{}{more}", row.trim_end());
    }

    /// One line that the next one replaces.
    fn progress(&self, text: &str) {
        if self.is_watched && !self.is_quiet {
            let mut terminal = std::io::stderr();
            let _ = write!(terminal, "\r\x1b[K{text}");
            let _ = terminal.flush();
        }
    }
}

fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
