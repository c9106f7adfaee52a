//! `watchtower-sidecar check`: looks at the real database with the service's own configuration, and reports everything
//! that is wrong at once, each with advice. `--session` and `--user` report at which step one caller is refused.
//!
//! Sessions and passwords are checked by the code that checks them for `serve`. The command writes nothing, shows no secret,
//! and names a user only where the operator named that user.

use std::io::{Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{Backend, Config, ConfigErrors};
use crate::export::temporary_folder;
use findings::{Finding, Findings, Level, many};

mod caller;
mod client_errors;
mod connecting;
mod file;
mod findings;
mod passwords;
mod replica;
mod sessions;
mod tables;

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
    /// By name, and with a password to check
    User(String, Option<Zeroizing<String>>),
}

/// Checks and prints. The exit code: 1 if a finding is an error.
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
            return 1;
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
                let seconds = LONGEST_SILENCE.as_secs();
                findings.push(Finding::new(
                    Level::Error,
                    "database.silent",
                    &format!(
                        "the database accepted a query and has not answered for {seconds} seconds: what follows was not \
                         looked at"
                    ),
                    "see whether the server hangs, and whether a firewall between drops connections silently",
                ));
                break;
            }
        }
    }
    print(&findings, arguments.format);
    i32::from(count(&findings, Level::Error) > 0)
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
        (None, Some(name)) => {
            let password = arguments.password_stdin.then(from_stdin).transpose()?;
            Subject::User(name.clone(), password)
        }
        (None, None) => Subject::Everything,
    })
}

/// `None` where a finding leaves nothing more to look at.
fn examine(config: &Config, subject: &Subject, findings: &Findings) -> Option<()> {
    if let Subject::Everything = subject {
        beside_the_database(config, findings);
    }
    let mut primary = connecting::primary(config, findings)?;
    match subject {
        Subject::Session(key) => caller::session(&mut primary, key),
        Subject::User(name, password) => {
            let password = password.as_deref().map(String::as_str);
            caller::user(&mut primary, name, password)
        }
        Subject::Everything => {
            connecting::server(&mut primary)?;
            let users = tables::users(&mut primary, config.login, "users");
            tables::addresses(&mut primary);
            let _ = tables::tokens(&mut primary);
            let sessions_are_readable = tables::sessions(&mut primary).is_some();
            if let Some(table) = &users {
                if sessions_are_readable {
                    sessions::check(&mut primary, table);
                }
                passwords::check(&mut primary, table);
            }
            replica::check(&mut primary)
        }
    }
}

/// Reports the warnings of the configuration, and whether exports have a folder.
fn beside_the_database(config: &Config, findings: &Findings) {
    // Here, since a file with other permissions may answer no query.
    if config.database_url.backend() == Backend::Sqlite {
        file::permissions(config, findings);
    }
    for warning in config.warnings() {
        let id = warning.variable.to_ascii_lowercase().replace('_', "-");
        findings.warning(
            &format!("configuration.{id}"),
            &warning.text,
            warning.advice,
        );
    }
    const FOLDER: &str = "export.temporary-folder";
    match temporary_folder::check() {
        Ok(()) => findings.ok(FOLDER, "large exports can be written to it"),
        Err(error) => findings.error(
            FOLDER,
            &format!("{error}: `serve` is not ready, and answers large exports 503"),
            "set TMPDIR to a folder with room that the sidecar's account may write to, or mount one at /tmp",
        ),
    }
}

fn misconfigured(errors: &ConfigErrors, format: Format) {
    let advice = "`watchtower-sidecar serve --help` lists every variable";
    let finding = |text: &String| Finding::new(Level::Error, "configuration.invalid", text, advice);
    match format {
        Format::Text => drop(write!(std::io::stderr(), "{errors}")),
        Format::Json => print(&errors.0.iter().map(finding).collect::<Vec<_>>(), format),
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    let of_level = findings.iter().filter(|finding| finding.level == level);
    of_level.count()
}

fn print(findings: &[Finding], format: Format) {
    let [errors, warnings] = [Level::Error, Level::Warning].map(|level| count(findings, level));
    let text = match format {
        Format::Json => serde_json::json!({
            "good": errors == 0, "errors": errors, "warnings": warnings, "findings": findings
        })
        .to_string(),
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
            text + &format!("{}, {}", many(errors, "error"), many(warnings, "warning"))
        }
    };
    let _ = writeln!(std::io::stdout(), "{text}");
}
