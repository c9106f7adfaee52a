//! `watchtower-sidecar verify`: sends the same requests to the live Django and to the sidecar, and prints which answers are
//! the same and where the others differ, before the reverse proxy is pointed at the sidecar.
//!
//! It does not log in, and sends no request that writes. Cookie and password come from files. Bodies of the export hold
//! personal data and are printed only with `--show-bodies`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::LocalClientConfig;
use crate::http_client::{self, Answer, Client, parse_server};
use crate::telemetry::say;

mod cases;
mod compare;
mod credentials;

use cases::{Caller, Case, cases};
use compare::{Comparison, compare};
use credentials::Credentials;

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

/// One run of the command.
struct Run<'a> {
    arguments: &'a Arguments,
    django: Server,
    sidecar: Server,
    /// The `Host` of the requests
    host: String,
    credentials: Credentials,
    cases: Vec<Case>,
}

struct Server {
    client: Client,
    /// The path of the two endpoints
    mount: String,
}

/// Sends the requests, prints the table, and gives the exit code: 0 all the same, 1 different, 64 bad arguments.
pub fn run(arguments: &Arguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    let config = LocalClientConfig::from_vars(lookup);
    let config = config.map_err(|errors| errors.to_string().trim_end().to_owned());
    match config.and_then(|config| Run::new(arguments, config)) {
        Ok(run) => i32::from(!run.compare_all()),
        Err(error) => {
            say(error);
            BAD_CONFIGURATION
        }
    }
}

impl Run<'_> {
    /// Reads the credentials; an error is a sentence that names the option.
    fn new(arguments: &Arguments, config: LocalClientConfig) -> Result<Run<'_>, String> {
        let parse = |option: &str, url: &str| {
            parse_server(url).map_err(|wrong| format!("{option} {wrong}"))
        };
        let (django, path) = parse("--against", &arguments.against)?;
        let sidecar = match &arguments.sidecar {
            Some(url) => parse("--sidecar", url)?.0,
            None => {
                let bind = config.bind.from_here();
                bind.ok_or("SIDECAR_BIND has port 0, which means any free port: give --sidecar")?
                    .url()
            }
        };
        let host = arguments
            .host
            .as_deref()
            .unwrap_or(http_client::host(&django));
        if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("--host is not the name of a host".to_owned());
        }
        let django_mount = match (path.as_str(), config.mount.as_str()) {
            // A proxy takes the path off before the sidecar sees it, and Django has all of it.
            ("", "") => "/api/admin",
            ("", mount) => mount,
            (path, _) => path,
        };
        let (cookie_file, basic_file) = (&arguments.cookie_file, &arguments.basic_file);
        let credentials = Credentials::read(
            cookie_file.as_deref(),
            basic_file.as_deref(),
            &config.cookie_name,
        )?;
        let same_mount = django_mount == config.mount;
        let cases = cases(&credentials, same_mount, config.debug, &config.cookie_name);
        let server = |url: &str, mount| Server {
            client: Client::new(url, TIMEOUT, arguments.ca_file.as_deref()),
            mount,
        };
        Ok(Run {
            arguments,
            host: host.to_owned(),
            django: server(&django, django_mount.to_owned()),
            sidecar: server(&sidecar, config.mount),
            credentials,
            cases,
        })
    }

    /// Sends all requests and prints the table. Returns whether all answers are the same, or different on purpose.
    fn compare_all(&self) -> bool {
        let (mut same, mut intended, mut different) = (0, 0, 0);
        let mut notes = Vec::new();
        for (number, case) in self.cases.iter().enumerate() {
            let (status, comparison) = self.outcome(case);
            self.print(case, &comparison);
            match comparison {
                Comparison::Same => same += 1,
                Comparison::Intended(_) => intended += 1,
                Comparison::Different(_) => different += 1,
            }
            match (number, status) {
                // Where the first request gets no answer, the others get none.
                (0, None) => break,
                (0, Some(status)) if !matches!(status, 401 | 403) => {
                    different += 1;
                    notes.push(self.unexpected(status));
                }
                (1.., Some(status @ (401 | 403))) if case.shows_admission() => {
                    notes.push(format!(
                        "Django itself does not admit the given {} ({status}): that the answers are the same proves \
                         little",
                        case.caller.name()
                    ));
                }
                _ => {}
            }
        }
        if self.credentials.cookie.is_none() && self.credentials.basic.is_none() {
            let note = "no caller was tried who is admitted: give --cookie-file or --basic-file"
                .to_owned();
            notes.push(note);
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
        different == 0
    }

    /// Why Django may have answered an anonymous caller with another status than DRF's refusal.
    fn unexpected(&self, status: u16) -> String {
        let reason = match status {
            400 => &format!("its ALLOWED_HOSTS may not hold {}: give --host", self.host),
            404 => "it has no such URL: give the endpoints' path in --against",
            301 | 302 | 307 | 308 => "it redirects (SECURE_SSL_REDIRECT?): give the https address",
            _ => "see its log",
        };
        format!("Django answered {status} to an anonymous caller, not 401 or 403: {reason}")
    }

    /// Django's status, if it answers, and the comparison. Tries a difference a second time: the data may have changed between
    /// the two requests.
    fn outcome(&self, case: &Case) -> (Option<u16>, Comparison) {
        match self.compare_once(case) {
            (Some(_), Comparison::Different(_)) => self.compare_once(case),
            first => first,
        }
    }

    fn compare_once(&self, case: &Case) -> (Option<u16>, Comparison) {
        let django = match self.send(case, &self.django) {
            Ok(django) => django,
            Err(error) => {
                let text = format!("no answer from Django: {error}");
                return (None, Comparison::Different(text));
            }
        };
        let status = django.status().as_u16();
        let is_export = case.target.starts_with("/export-users");
        let is_private = is_export && status == 200 && !self.arguments.show_bodies;
        let compared = match self.send(case, &self.sidecar) {
            Ok(sidecar) => compare(django, sidecar, case.allowance, is_private)
                .map_err(|error| format!("an answer broke off: {error}")),
            Err(error) => Err(format!("no answer from the sidecar: {error}")),
        };
        (Some(status), compared.unwrap_or_else(Comparison::Different))
    }

    fn send(&self, case: &Case, server: &Server) -> std::io::Result<Answer> {
        let mut headers = vec![("Host", case.host.unwrap_or(&self.host))];
        let (cookie, basic) = (&self.credentials.cookie, &self.credentials.basic);
        match (case.caller, cookie, basic) {
            (Caller::Cookie, Some(cookie), _) => headers.push(("Cookie", cookie)),
            (Caller::Basic, _, Some(basic)) => headers.push(("Authorization", basic)),
            _ => {}
        }
        let more = case.header.iter();
        headers.extend(more.map(|(name, value)| (*name, value.as_str())));
        let target = format!("{}{}", server.mount, case.target);
        server.client.send(case.method, &target, &headers)
    }

    /// Prints a case's row of the table.
    fn print(&self, case: &Case, comparison: &Comparison) {
        let (word, more) = match comparison {
            Comparison::Different(what) => ("DIFFERENT", what.as_str()),
            _ if self.arguments.quiet => return,
            Comparison::Same => ("same", ""),
            Comparison::Intended(reason) => ("on purpose", *reason),
        };
        let caller = case.caller.name();
        let label = match case.note {
            "" => caller.to_owned(),
            note => format!("{caller}, {note}"),
        };
        let target = format!("{}{}", self.django.mount, case.target);
        let out = &mut std::io::stdout();
        let _ = writeln!(out, "{word:<11} {:<7} {target:<39} {label}", case.method);
        if !more.is_empty() {
            let _ = writeln!(out, "            {more}");
        }
    }
}
