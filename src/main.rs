//! The command line: `serve` (the default), `demo`, and an operator's commands `check`, `verify`, `export`, `stats` and
//! `healthcheck`. Exit codes: 0 stopped by a signal or done, 1 failed, 64 bad configuration.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::rt::signal::unix::{SignalKind, signal};
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};
use futures_util::FutureExt;
use nix::libc::SIGXFSZ;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use watchtower_sidecar::config::{Config, VARIABLES};
use watchtower_sidecar::server::{Application, Reload};
use watchtower_sidecar::telemetry::say;
use watchtower_sidecar::{check, commands, healthcheck, telemetry, verify};

/// Did not start, or stopped by itself
const FAILED: i32 = 1;
/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// Answers a Django application's admin export endpoints from its own database.
#[derive(Parser)]
#[command(version = version(), after_long_help = variables())]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the endpoints (the default), configured by environment variables
    #[command(after_help = variables(), after_long_help = variables())]
    Serve,
    /// Serve a throw-away database of made-up users, to try the program without Django
    #[cfg(feature = "sqlite")]
    Demo,
    /// Look at the real database with this environment, and print everything that is wrong and how to mend it
    #[command(after_help = variables(), after_long_help = variables())]
    Check(check::Arguments),
    /// Send the same requests to the live Django and to the sidecar, and print what differs
    Verify(verify::Arguments),
    /// Write what export-users would answer to a file or to standard output
    #[command(after_help = variables(), after_long_help = variables())]
    Export(commands::ExportArguments),
    /// Print what export-stats would answer
    #[command(after_help = variables(), after_long_help = variables())]
    Stats(commands::StatsArguments),
    /// Check that the running service is ready; needs SIDECAR_BIND or SIDECAR_OPS_BIND alone
    Healthcheck,
}

fn main() {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| without_values(error).exit());
    keep_secrets_in_memory();
    let code = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => run_service(serve(variable, |_| {}, true)),
        #[cfg(feature = "sqlite")]
        Command::Demo => run_service(demo()),
        Command::Check(arguments) => check::run(&arguments, variable),
        Command::Verify(arguments) => verify::run(&arguments, variable),
        Command::Export(arguments) => commands::export(&arguments, variable),
        Command::Stats(arguments) => commands::stats(&arguments, variable),
        Command::Healthcheck => healthcheck::run(variable),
    };
    exit(code)
}

/// Ends the process without the C libraries' exit handlers: they free what threads that close connections still use. No
/// thread is waited for, as one may hang in a database.
fn exit(code: i32) -> ! {
    // An error is dropped: the process ends with its own exit code.
    let _ = std::io::stdout().flush();
    signal_hook::low_level::exit(code)
}

/// A variable of the process's environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Removes the values that the operator typed from an error: one may be a URL with its password.
fn without_values(mut error: clap::Error) -> clap::Error {
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ] {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && !text.starts_with('-')
        {
            error.insert(kind, ContextValue::String("(not shown)".to_owned()));
            // The suggestion repeats the value.
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

/// Runs a service and exits with its code.
fn run_service(service: impl Future<Output = i32>) -> ! {
    raise_descriptor_limit();
    let system = actix_web::rt::System::new();
    let code = system.block_on(service);
    // The runtime is not dropped, as that would wait for its threads.
    exit(code)
}

/// Forbids core files, and other processes of the same user to read this one's memory: it holds Django's keys.
fn keep_secrets_in_memory() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// Raises the limit of open files to what the system allows: each connection is one.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Serves with the variables that `lookup` gives, and calls `started` with the base URL. For an operator's configuration,
/// not for the demo's, warnings are logged and SIGHUP reads it again.
async fn serve(
    lookup: impl Fn(&str) -> Option<String>,
    started: impl FnOnce(&str),
    is_operators: bool,
) -> i32 {
    let config = match Config::from_vars(&lookup) {
        Ok(config) => config,
        Err(errors) => {
            say(errors.to_string().trim_end());
            return BAD_CONFIGURATION;
        }
    };
    let log = match telemetry::start(&config.logging) {
        Ok(log) => log,
        Err(error) => {
            say(format_args!("SIDECAR_LOG_FILE can't be opened: {error}"));
            return FAILED;
        }
    };
    // A file at its size limit (RLIMIT_FSIZE) is handled as a full disk is; by default this signal ends the process.
    let _ = signal(SignalKind::from_raw(SIGXFSZ));
    // Standard error may be a full pipe. The log does not wait for it, so panics are logged too.
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    for warning in config.warnings().iter().filter(|_| is_operators) {
        log::warn!("{}", warning.text);
    }
    let reopened = log.clone();
    let reload: Reload = Arc::new(move || {
        reopened.reopen_file();
        Config::from_vars(variable)
    });
    let run = run(config, started, is_operators.then_some(reload));
    // Actix panics if it gets no thread for a worker.
    let code = AssertUnwindSafe(run).catch_unwind().await;
    log.flush();
    code.unwrap_or(FAILED)
}

async fn run(config: Config, started: impl FnOnce(&str), reload: Option<Reload>) -> i32 {
    let application = match Application::build(config, reload) {
        Ok(application) => application,
        Err(error) => {
            log::error!("can't start: {error}");
            return FAILED;
        }
    };
    let url = application.address.url();
    log::info!("listening on {url}");
    started(&url);
    match application.run_until_stopped().await {
        Ok(()) => 0,
        Err(error) => {
            log::error!("stopped: {error}");
            FAILED
        }
    }
}

#[cfg(feature = "sqlite")]
async fn demo() -> i32 {
    use watchtower_sidecar::demo::{Demo, instructions};

    let demo = match Demo::create(1_000_000) {
        Ok(demo) => demo,
        Err(error) => {
            say(format_args!("the demo's database can't be made: {error}"));
            return FAILED;
        }
    };
    // SIDECAR_* variables of the environment count, so that listener and log can be chosen.
    let lookup = |name: &str| match name {
        "DATABASE_URL" => Some(demo.database_url()),
        "DJANGO_SECRET_KEY" => Some("demo-key-of-a-database-of-made-up-people".to_owned()),
        "DJANGO_ALLOWED_HOSTS" => Some(r#"["*"]"#.to_owned()),
        // The printed commands use the default path.
        "SIDECAR_MOUNT" => None,
        "SIDECAR_LOGIN" => std::env::var(name).ok().or(Some("on".to_owned())),
        name if name.starts_with("SIDECAR_") => std::env::var(name).ok(),
        _ => None,
    };
    let print = |url: &str| drop(writeln!(std::io::stdout(), "{}", instructions(url)));
    // A closed terminal sends SIGHUP, which stops the demo.
    serve(lookup, print, false).await
}

/// The version, and the databases that are built in.
fn version() -> String {
    let features = watchtower_sidecar::features().join(", ");
    format!("{} ({features})", env!("CARGO_PKG_VERSION"))
}

/// The table of environment variables for `--help`.
fn variables() -> String {
    let mut text = String::from("Environment variables:\n");
    for variable in VARIABLES {
        let default = match variable.default {
            Some(default) => format!("default: {default}"),
            None => format!("no default; for example {}", variable.example),
        };
        let (name, meaning) = (variable.name, variable.meaning);
        let file = variable.file.map_or_else(String::new, |name| {
            format!("; or {name}, a file that holds it")
        });
        text.push_str(&format!("  {name}\n      {meaning} ({default}{file})\n"));
    }
    text
}
