//! `watchtower-sidecar check`: looks at the real database with the service's own configuration, and says everything
//! that is wrong at once, each with what mends it. `--session` and `--user` say at which step one caller is refused.
//!
//! What decides is the code that decides for `serve`. Nothing is written, and no secret is shown; a user only where the
//! operator named one.

use std::io::{Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::{Config, ConfigErrors};

mod caller;
mod connecting;
mod file;
mod passwords;
mod replica;
mod sessions;
mod tables;

/// Nothing wrong, or only what a warning is for
const GOOD: i32 = 0;
/// Something is wrong, or the caller would be refused
const BAD: i32 = 1;
/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// The longest silence of a database: a statement over a whole table has a minute.
const LONGEST_SILENCE: Duration = Duration::from_secs(75);

/// What is to be checked, and how it is said.
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
    /// Lines for people
    Text,
    /// One JSON object
    Json,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Error,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    level: Level,
    /// Stays the same from version to version
    id: String,
    /// What is so, and why it matters
    text: String,
    /// What the operator can do; empty for what is as it should be
    advice: String,
}

/// Takes findings as they are made.
struct Findings(Sender<Finding>);

impl Findings {
    fn add(&self, level: Level, id: &str, text: impl Into<String>, advice: impl Into<String>) {
        // Nobody hears it only where nobody waits any more.
        let _ = self.0.send(Finding {
            level,
            id: id.to_owned(),
            text: text.into(),
            advice: advice.into(),
        });
    }

    fn error(&self, id: &str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Error, id, text, advice);
    }

    fn warning(&self, id: &str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Warning, id, text, advice);
    }

    fn ok(&self, id: &str, text: impl Into<String>) {
        self.add(Level::Ok, id, text, "");
    }

    /// The answer to a question; a failed one is a finding.
    fn answer<T>(&self, what: &str, answer: Result<T, crate::db::error::DbError>) -> Option<T> {
        let advice = "ask again; if it stays so, run the statement that is named in the server's log by hand";
        let failed = |error: &crate::db::error::DbError| {
            self.error(
                "database.question",
                format!("asking for {what} failed: {error}"),
                advice,
            );
        };
        answer.inspect_err(failed).ok()
    }
}

/// What is asked.
enum Subject {
    Everything,
    Session(Zeroizing<String>),
    User {
        name: String,
        password: Option<Zeroizing<String>>,
    },
}

/// Checks, prints, and gives the exit code.
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
                findings.push(silence());
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

fn silence() -> Finding {
    Finding {
        level: Level::Error,
        id: "database.silent".to_owned(),
        text: format!(
            "the database took a question and has not answered for {} seconds: what follows was not looked at",
            LONGEST_SILENCE.as_secs()
        ),
        advice: "see whether the server hangs, and whether a firewall between drops connections silently".to_owned(),
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

/// What the configuration itself warns of.
fn configuration(config: &Config, findings: &Findings) {
    for warning in config.warnings() {
        let id = warning.variable.to_ascii_lowercase().replace('_', "-");
        findings.warning(&format!("configuration.{id}"), warning.text, warning.advice);
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
            let finding = |error: &String| Finding {
                level: Level::Error,
                id: "configuration.invalid".to_owned(),
                text: error.clone(),
                advice: "`watchtower-sidecar serve --help` lists every variable".to_owned(),
            };
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

/// A number and its noun.
fn many(count: impl Into<Count>, noun: &str) -> String {
    match count.into() {
        Count(1) => format!("1 {noun}"),
        Count(count) => format!("{count} {noun}s"),
    }
}

/// Whatever counts.
struct Count(u64);

impl From<u64> for Count {
    fn from(count: u64) -> Count {
        Count(count)
    }
}

impl From<usize> for Count {
    fn from(count: usize) -> Count {
        Count(count as u64)
    }
}
