//! `watchtower-sidecar verify`: sends the same requests to the live Django and to the sidecar, and prints which answers are
//! the same and where the others differ, before the reverse proxy is pointed at the sidecar.
//!
//! It does not log in, and sends no request that writes. Cookie and password come from files. Bodies of the export hold
//! personal data and are printed only with `--show-bodies`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Bind, LocalClientConfig};
use crate::http_client::{Answer, Client, ServerUrl};

mod cases;
mod compare;
mod credentials;

use cases::{Caller, Case, cases};
use compare::{Comparison, compare};
use credentials::Credentials;

const ALL_SAME: i32 = 0;
const DIFFERENT: i32 = 1;
/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// How long one answer may take, up to its last byte.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The two servers, the credentials and what is printed.
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
    /// The `Host` of the requests, one of ALLOWED_HOSTS [default: that of --against]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A file of certificate authorities for https [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print the first difference in exported bodies too, which hold personal data
    #[arg(long)]
    show_bodies: bool,
    /// Print differences and the total alone
    #[arg(long)]
    quiet: bool,
}

/// The two servers whose answers are compared.
struct Servers {
    django: Server,
    sidecar: Server,
    host: String,
}

struct Server {
    client: Client,
    /// The path of the two endpoints
    mount: String,
}

/// Sends the requests, prints the table, and gives the exit code: 0 all the same, 1 different, 64 bad arguments.
pub fn run(arguments: &Arguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    let config = match LocalClientConfig::from_vars(lookup) {
        Ok(config) => config,
        Err(errors) => {
            say(errors.to_string().trim_end());
            return BAD_CONFIGURATION;
        }
    };
    let prepared = servers(arguments, &config).and_then(|servers| {
        let (cookie, basic) = (
            arguments.cookie_file.as_deref(),
            arguments.basic_file.as_deref(),
        );
        let credentials = Credentials::read(cookie, basic, &config.cookie_name)?;
        Ok((servers, credentials))
    });
    let (servers, credentials) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            say(error);
            return BAD_CONFIGURATION;
        }
    };
    let same_mount = servers.django.mount == servers.sidecar.mount;
    let cases = cases(&credentials, same_mount, config.debug, &config.cookie_name);
    Run {
        servers: &servers,
        credentials: &credentials,
        shows_bodies: arguments.show_bodies,
        is_quiet: arguments.quiet,
        is_on_terminal: std::io::stdout().is_terminal() && std::io::stderr().is_terminal(),
    }
    .run(&cases)
}

fn servers(arguments: &Arguments, config: &LocalClientConfig) -> Result<Servers, String> {
    let parse = |option: &str, url: &str| {
        ServerUrl::parse(url).map_err(|wrong| format!("{option} {wrong}"))
    };
    let ca_file = arguments.ca_file.as_deref();
    let (django, path) = parse("--against", &arguments.against)?;
    let sidecar = match &arguments.sidecar {
        Some(url) => parse("--sidecar", url)?.0,
        None => ServerUrl::of(&listener(config)?),
    };
    let host = match &arguments.host {
        Some(host) => host.clone(),
        None => django.host().to_owned(),
    };
    if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("--host is not the name of a host".to_owned());
    }
    let django_mount = match (path.as_str(), config.mount.as_str()) {
        // A proxy takes the path off before the sidecar sees it, and Django has all of it.
        ("", "") => "/api/admin",
        ("", mount) => mount,
        (path, _) => path,
    };
    Ok(Servers {
        django: Server {
            client: Client::new(&django, TIMEOUT, ca_file),
            mount: django_mount.to_owned(),
        },
        sidecar: Server {
            client: Client::new(&sidecar, TIMEOUT, ca_file),
            mount: config.mount.clone(),
        },
        host,
    })
}

fn listener(config: &LocalClientConfig) -> Result<Bind, String> {
    let unknown = "SIDECAR_BIND has port 0, which means any free port: give --sidecar";
    config.bind.from_here().ok_or_else(|| unknown.to_owned())
}

/// One run of the command.
struct Run<'a> {
    servers: &'a Servers,
    credentials: &'a Credentials,
    shows_bodies: bool,
    is_quiet: bool,
    is_on_terminal: bool,
}

/// The result of one case.
struct Outcome {
    comparison: Comparison,
    django_status: Option<u16>,
}

impl Run<'_> {
    fn run(&self, cases: &[Case]) -> i32 {
        let (mut same, mut intended, mut different) = (0, 0, 0);
        let mut notes = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            self.progress(&format!(
                "{}/{} {}",
                number + 1,
                cases.len(),
                self.description(case)
            ));
            let outcome = self.outcome(case);
            self.progress("");
            self.print(case, &outcome.comparison);
            match &outcome.comparison {
                Comparison::Same => same += 1,
                Comparison::Intended(_) => intended += 1,
                Comparison::Different(_) => different += 1,
            }
            let is_first = number == 0;
            match (outcome.django_status, case.caller) {
                // Where the first request gets no answer, the others get none.
                (None, _) if is_first => break,
                (Some(401 | 403), Caller::Anonymous) => {}
                (Some(status), Caller::Anonymous) if is_first => {
                    different += 1;
                    notes.push(self.unexpected(status));
                }
                (Some(status @ (401 | 403)), caller) if case.shows_admission => {
                    notes.push(format!(
                        "Django itself does not admit the given {} ({status}): that the answers are the same proves \
                         little",
                        caller.name()
                    ));
                }
                _ => {}
            }
        }
        if self.credentials.cookie.is_none() && self.credentials.basic.is_none() {
            notes.push(
                "no caller was tried who is admitted: give --cookie-file or --basic-file"
                    .to_owned(),
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

    /// Why Django may have answered an anonymous caller with another status than DRF's refusal.
    fn unexpected(&self, status: u16) -> String {
        let host = &self.servers.host;
        let reason = match status {
            400 => format!("its ALLOWED_HOSTS may not hold {host}: give --host"),
            404 => "it has no such URL: give the endpoints' path in --against".to_owned(),
            301 | 302 | 307 | 308 => {
                "it redirects (SECURE_SSL_REDIRECT?): give the https address".to_owned()
            }
            _ => "see its log".to_owned(),
        };
        format!("Django answered {status} to an anonymous caller, not 401 or 403: {reason}")
    }

    /// Tries a difference a second time: the data may have changed between the two requests.
    fn outcome(&self, case: &Case) -> Outcome {
        let first = self.compare_once(case);
        match first.comparison {
            Comparison::Different(_) if first.django_status.is_some() => self.compare_once(case),
            _ => first,
        }
    }

    fn compare_once(&self, case: &Case) -> Outcome {
        let django = match self.send(case, &self.servers.django) {
            Ok(django) => django,
            Err(error) => {
                return Outcome {
                    comparison: Comparison::Different(format!("no answer from Django: {error}")),
                    django_status: None,
                };
            }
        };
        let status = django.status;
        let comparison = match self.send(case, &self.servers.sidecar) {
            Ok(sidecar) => {
                let is_private = case.is_export && status == 200 && !self.shows_bodies;
                compare(django, sidecar, case.allowance, is_private).unwrap_or_else(|error| {
                    Comparison::Different(format!("an answer broke off: {error}"))
                })
            }
            Err(error) => Comparison::Different(format!("no answer from the sidecar: {error}")),
        };
        Outcome {
            comparison,
            django_status: Some(status),
        }
    }

    fn send(&self, case: &Case, server: &Server) -> std::io::Result<Answer> {
        let mut headers = vec![("Host", case.host.unwrap_or(&self.servers.host))];
        let (cookie, basic) = (&self.credentials.cookie, &self.credentials.basic);
        match (case.caller, cookie, basic) {
            (Caller::Cookie, Some(cookie), _) => headers.push(("Cookie", cookie)),
            (Caller::Basic, _, Some(basic)) => headers.push(("Authorization", basic)),
            _ => {}
        }
        let more = case.headers.iter();
        headers.extend(more.map(|(name, value)| (*name, value.as_str())));
        let target = format!("{}{}", server.mount, case.target);
        server.client.send(case.method, &target, &headers)
    }

    fn description(&self, case: &Case) -> String {
        let target = format!("{}{}", self.servers.django.mount, case.target);
        format!("{:<7} {target:<39} {}", case.method, case.label())
    }

    fn print(&self, case: &Case, comparison: &Comparison) {
        let (word, more) = match comparison {
            Comparison::Same => ("same", ""),
            Comparison::Intended(reason) => ("on purpose", *reason),
            Comparison::Different(what) => ("DIFFERENT", what.as_str()),
        };
        if self.is_quiet && !matches!(comparison, Comparison::Different(_)) {
            return;
        }
        let more = match more {
            "" => String::new(),
            more => format!("\n            {more}"),
        };
        let row = format!("{word:<11} {}", self.description(case));
        let _ = writeln!(std::io::stdout(), "{}{more}", row.trim_end());
    }

    /// Shows a line on the terminal in place of the last one.
    fn progress(&self, text: &str) {
        if self.is_on_terminal && !self.is_quiet {
            let mut terminal = std::io::stderr();
            let _ = write!(terminal, "\r\x1b[K{text}");
            let _ = terminal.flush();
        }
    }
}

fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
