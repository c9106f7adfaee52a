//! `watchtower-sidecar verify`: sends the same requests to the live Django and to the sidecar, and prints which answers are
//! the same, which differ for a reason that changes nothing for clients, and which are different, before the reverse proxy is
//! pointed at the sidecar.
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
mod explain;
mod languages;
mod report;

use cases::{Caller, Case, cases};
use compare::{Outcome, compare};
use credentials::Credentials;

/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// How long one answer may take, up to its last byte.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What a proxy says of a client's connection in `X-Forwarded-Proto`.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Scheme {
    Http,
    Https,
}

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
    /// A file with a token of DRF: its key, or a line `keyword key` where the keyword is not Token; - is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The `Host` of the requests, one of ALLOWED_HOSTS [default: that of --against]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Send `X-Forwarded-Proto` to both, as a proxy that ends TLS does: for a Django that redirects to https
    /// [default: https if --against is https://, otherwise none]
    #[arg(long, value_name = "SCHEME", hide_possible_values = true)]
    forwarded_proto: Option<Scheme>,
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
    /// The `X-Forwarded-Proto` of the requests
    forwarded_proto: Option<&'static str>,
    credentials: Credentials,
    cases: Vec<Case>,
}

struct Server {
    client: Client,
    url: String,
    /// The path of the two endpoints
    mount: String,
}

/// Sends the requests, prints the table, and gives the exit code: 0 no difference that is not explained, 1 different, 64 bad
/// arguments, also if Django redirects everything to https.
pub fn run(arguments: &Arguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    let config = LocalClientConfig::from_vars(lookup);
    let config = config.map_err(|errors| errors.to_string().trim_end().to_owned());
    let compared = config
        .and_then(|config| Run::new(arguments, config))
        .and_then(|run| run.compare_all());
    match compared {
        Ok(has_no_difference) => i32::from(!has_no_difference),
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
        let credentials = Credentials::read(
            arguments.cookie_file.as_deref(),
            arguments.basic_file.as_deref(),
            arguments.token_file.as_deref(),
            &config.cookie_name,
        )?;
        let same_mount = django_mount == config.mount;
        let cases = cases(&credentials, same_mount, &config.cookie_name);
        let forwarded_proto = match arguments.forwarded_proto {
            Some(Scheme::Https) => Some("https"),
            Some(Scheme::Http) => Some("http"),
            // As the proxy sends it that ends TLS.
            None => django.starts_with("https://").then_some("https"),
        };
        let server = |url: &str, mount| Server {
            client: Client::new(url, TIMEOUT, arguments.ca_file.as_deref()),
            url: url.to_owned(),
            mount,
        };
        Ok(Run {
            arguments,
            host: host.to_owned(),
            forwarded_proto,
            django: server(&django, django_mount.to_owned()),
            sidecar: server(&sidecar, config.mount),
            credentials,
            cases,
        })
    }

    /// Sends all requests and prints the table. Returns whether every difference is explained.
    ///
    /// # Errors
    /// Django redirects to https, so that nothing can be compared.
    fn compare_all(&self) -> Result<bool, String> {
        if !self.arguments.quiet {
            // Nothing can be done about a closed standard output.
            let _ = writeln!(
                std::io::stdout(),
                "{} requests to Django at {}{} and to the sidecar at {}{}",
                self.cases.len(),
                self.django.url,
                self.django.mount,
                self.sidecar.url,
                self.sidecar.mount
            );
        }
        let mut results = Vec::new();
        let mut notes = Vec::new();
        let mut unexpected = None;
        for (number, case) in self.cases.iter().enumerate() {
            let (status, outcome) = self.outcome(case);
            match (number, status) {
                (0, Some(_)) if matches!(outcome, Outcome::ToHttps(_)) => {
                    return Err(self.redirects_to_https());
                }
                (0, Some(status)) if !matches!(status, 401 | 403) => {
                    unexpected = Some(self.unexpected(status));
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
            if self.forwarded_proto == Some("https") && outcome.is_of_csrf(case) {
                let note = "Django and the sidecar do not both take X-Forwarded-Proto from this machine: see \
                            SIDECAR_TRUSTED_PROXIES, and SECURE_PROXY_SSL_HEADER (gunicorn: forwarded_allow_ips)";
                notes.push(note.to_owned());
            }
            results.push((case, outcome));
            // Where the first request gets no answer, the others get none.
            if (number, status) == (0, None) {
                break;
            }
        }
        if self
            .cases
            .iter()
            .all(|case| case.caller == Caller::Anonymous)
        {
            let note = "no caller was tried who is admitted: give --cookie-file, --basic-file or --token-file";
            notes.push(note.to_owned());
        }
        let (mut comparisons, explanations) = explain::explain_all(&results);
        if let (Some(first), Some(text)) = (comparisons.first_mut(), unexpected) {
            first.add_difference(text);
        }
        let cases = results.iter().map(|(case, _)| *case);
        let report = report::Report {
            rows: cases.zip(comparisons).collect(),
            explanations,
            notes,
        };
        report.print(&self.django.mount, self.arguments.quiet);
        Ok(!report.is_different())
    }

    /// What to do about a Django that redirects to https.
    fn redirects_to_https(&self) -> String {
        let what = "Django redirects to https (SECURE_SSL_REDIRECT, or its web server), so nothing can be compared";
        match self.forwarded_proto {
            Some("https") => format!(
                "{what}. It ignores X-Forwarded-Proto from this machine: give the https address in --against, or \
                 set SECURE_PROXY_SSL_HEADER (gunicorn: forwarded_allow_ips)"
            ),
            _ => format!(
                "{what}: give --forwarded-proto https, as the proxy sends it, or the https address in --against"
            ),
        }
    }

    /// Why Django may have answered an anonymous caller with another status than DRF's refusal.
    fn unexpected(&self, status: u16) -> String {
        let reason = match status {
            400 => &format!("its ALLOWED_HOSTS may not hold {}: give --host", self.host),
            404 => "it has no such URL: give the endpoints' path in --against",
            301 | 302 | 307 | 308 => "it redirects, to a login page or another host: see its log",
            _ => "see its log",
        };
        format!("Django answered {status} to an anonymous caller, not 401 or 403: {reason}")
    }

    /// Django's status, if it answers, and the result. Tries a second time if the data may have changed between the two
    /// requests.
    fn outcome(&self, case: &Case) -> (Option<u16>, Outcome) {
        match self.compare_once(case) {
            (Some(_), outcome) if outcome.may_pass() => self.compare_once(case),
            first => first,
        }
    }

    fn compare_once(&self, case: &Case) -> (Option<u16>, Outcome) {
        let django = match self.send(case, &self.django) {
            Ok(django) => django,
            Err(error) => {
                let text = format!("no answer from Django: {error}");
                return (None, Outcome::Different(text));
            }
        };
        let status = django.status().as_u16();
        let is_export = case.target.starts_with("/export-users");
        let is_private = is_export && status == 200 && !self.arguments.show_bodies;
        let compared = match self.send(case, &self.sidecar) {
            Ok(sidecar) => compare(case, &self.django.mount, django, sidecar, is_private)
                .map_err(|error| format!("an answer broke off: {error}")),
            Err(error) => Err(format!("no answer from the sidecar: {error}")),
        };
        (Some(status), compared.unwrap_or_else(Outcome::Different))
    }

    fn send(&self, case: &Case, server: &Server) -> std::io::Result<Answer> {
        // The sidecar refuses in English, and LocaleMiddleware in the language that a client asks for.
        let mut headers = vec![
            ("Host", case.host.unwrap_or(&self.host)),
            ("Accept-Language", "en"),
        ];
        headers.extend(
            self.forwarded_proto
                .map(|proto| ("X-Forwarded-Proto", proto)),
        );
        let (name, secret) = match case.caller {
            Caller::Anonymous => ("", &None),
            Caller::Cookie => ("Cookie", &self.credentials.cookie),
            Caller::Basic => ("Authorization", &self.credentials.basic),
            Caller::Token => ("Authorization", &self.credentials.token),
        };
        headers.extend(secret.iter().map(|secret| (name, secret.as_str())));
        let more = case.header.iter();
        headers.extend(more.map(|(name, value)| (*name, value.as_str())));
        let target = format!("{}{}", server.mount, case.target);
        server.client.send(case.method, &target, &headers)
    }
}
