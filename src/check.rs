//! `watchtower-sidecar check`: looks at the real database with the service's own configuration, and reports everything
//! that is wrong at once, each with advice. `--session` and `--user` report at which step one caller is refused.
//!
//! Sessions and passwords are checked by the code that checks them for `serve`. The command writes nothing, shows no secret,
//! and names a user only where the operator named that user.

use std::io::{Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{Config, ConfigErrors};
use crate::export::temporary_folder;
use findings::{Finding, FindingKind, Findings, INVALID, Level, SILENT, TEMPORARY_FOLDER, many};

mod caller;
mod client_errors;
mod connecting;
mod file;
mod findings;
mod passwords;
mod replica;
mod sessions;
mod tables;

/// No finding is an error
const GOOD: i32 = 0;
/// A finding is an error
const BAD: i32 = 1;
/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// How long the command waits for the next finding; the database ends a statement after a minute.
const LONGEST_SILENCE: Duration = Duration::from_secs(75);

/// The options of `check`.
#[derive(clap::Args)]
pub struct Arguments {
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Say at which step the caller with this session key is refused. Other users of this machine can read a command
    /// line: give - to have the key read from standard input
    #[arg(long, value_name = "KEY")]
    session: Option<String>,
    /// Say at which step the user of this name is refused
    #[arg(long, value_name = "NAME", conflicts_with = "session")]
    user: Option<String>,
    /// With --user: also check the password, a line on standard input
    #[arg(long, requires = "user")]
    password_stdin: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Lines of text
    Text,
    /// One JSON object
    Json,
}

/// What is checked.
enum Subject {
    Everything,
    Session(Zeroizing<String>),
    User {
        name: String,
        password: Option<Zeroizing<String>>,
    },
}

/// Checks and prints; the exit code.
pub fn run(arguments: &Arguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    let config = match Config::from_vars(lookup) {
        Ok(config) => config,
        Err(errors) => {
            misconfigured(&errors, arguments.format);
            return BAD_CONFIGURATION;
        }
    };
    let subject = match subject(arguments) {
        Ok(subject) => subject,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "standard input can't be read: {error}");
            return BAD;
        }
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || examine(&config, &subject, &Findings(sender)));
    let mut findings = Vec::new();
    loop {
        match receiver.recv_timeout(LONGEST_SILENCE) {
            Ok(finding) => findings.push(finding),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let text = format!(
                    "the database accepted a query and has not answered for {} seconds: what follows was not looked at",
                    LONGEST_SILENCE.as_secs()
                );
                findings.push(Finding::new(Level::Error, &SILENT, text));
                break;
            }
        }
    }
    print(&findings, arguments.format);
    match findings.iter().any(|finding| finding.level == Level::Error) {
        true => BAD,
        false => GOOD,
    }
}

fn subject(arguments: &Arguments) -> std::io::Result<Subject> {
    let from_stdin = || {
        let mut text = Zeroizing::new(String::new());
        std::io::stdin().read_to_string(&mut text)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        Ok::<_, std::io::Error>(Zeroizing::new(line.to_owned()))
    };
    Ok(match (&arguments.session, &arguments.user) {
        (Some(key), _) if key == "-" => Subject::Session(from_stdin()?),
        (Some(key), _) => Subject::Session(Zeroizing::new(key.clone())),
        (None, Some(name)) => Subject::User {
            name: name.clone(),
            password: arguments.password_stdin.then(from_stdin).transpose()?,
        },
        (None, None) => Subject::Everything,
    })
}

fn examine(config: &Config, subject: &Subject, findings: &Findings) {
    if let Subject::Everything = subject {
        configuration(config, findings);
        match temporary_folder::check() {
            Ok(()) => findings.ok(&TEMPORARY_FOLDER, "large exports can be written to it"),
            Err(error) => findings.error(
                &TEMPORARY_FOLDER,
                format!("{error}: `serve` is not ready, and answers large exports 503"),
            ),
        }
    }
    let primary = connecting::primary(config, findings, matches!(subject, Subject::Everything));
    let Some(mut primary) = primary else {
        return;
    };
    match subject {
        Subject::Session(key) => caller::session(config, &mut primary, key, findings),
        Subject::User { name, password } => {
            let password = password.as_ref().map(|password| password.as_str());
            caller::user(config, &mut primary, name, password, findings);
        }
        Subject::Everything => {
            let found = tables::all(config, &mut primary, findings);
            if let Some(table) = &found.users {
                if found.sessions_are_readable {
                    sessions::check(config, &mut primary, table, findings);
                }
                passwords::check(config, &mut primary, table, findings);
            }
            replica::check(config, &mut primary, findings);
        }
    }
}

/// Reports the warnings of the configuration.
fn configuration(config: &Config, findings: &Findings) {
    for warning in config.warnings() {
        let id = warning.variable.to_ascii_lowercase().replace('_', "-");
        let kind = FindingKind::new(format!("configuration.{id}"), warning.advice);
        findings.warning(&kind, warning.text);
    }
}

fn misconfigured(errors: &ConfigErrors, format: Format) {
    match format {
        Format::Text => drop(writeln!(
            std::io::stderr(),
            "{}",
            errors.to_string().trim_end()
        )),
        Format::Json => {
            let finding = |error: &String| Finding::new(Level::Error, &INVALID, error);
            print(&errors.0.iter().map(finding).collect::<Vec<_>>(), format);
        }
    }
}

fn print(findings: &[Finding], format: Format) {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let text = match format {
        Format::Json => {
            let report = serde_json::json!({
                "good": errors == 0, "errors": errors, "warnings": warnings, "findings": findings
            });
            report.to_string()
        }
        Format::Text => {
            let mut text = String::new();
            for finding in findings {
                let level = match finding.level {
                    Level::Ok => "ok     ",
                    Level::Warning => "WARNING",
                    Level::Error => "ERROR  ",
                };
                text.push_str(&format!("{level}  {}: {}\n", finding.id, finding.text));
                if !finding.advice.is_empty() {
                    text.push_str(&format!("         -> {}\n", finding.advice));
                }
            }
            format!(
                "{text}{}, {}",
                many(errors, "error"),
                many(warnings, "warning")
            )
        }
    };
    let _ = writeln!(std::io::stdout(), "{text}");
}
