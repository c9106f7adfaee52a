//! The command line: `serve` (the default) and `demo`. Exit codes: 0 stopped as asked, 1 failed, 64 bad configuration.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use watchtower_sidecar::config::{Bind, Config, VARIABLES};
use watchtower_sidecar::server::Application;
use watchtower_sidecar::telemetry;

/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: u8 = 64;

/// Answers a Django application's admin export endpoints from its own database.
#[derive(Parser)]
#[command(version, after_long_help = variables())]
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
}

fn main() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    restart_with_few_heaps();
    actix_web::rt::System::new().block_on(async {
        match command {
            Command::Serve => serve(|name| std::env::var(name).ok(), |_| {}).await,
            #[cfg(feature = "sqlite")]
            Command::Demo => demo().await,
        }
    })
}

/// glibc's malloc gives threads heaps of their own, up to eight a core, and every one of them keeps what the largest job
/// that came by has needed. Two are as fast here; glibc can be told so only before `main`, by a variable.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn restart_with_few_heaps() {
    use std::os::unix::process::CommandExt;

    const HEAPS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(HEAPS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    command.arg0(arguments.next().unwrap_or_default());
    // It returns only where it fails, and this process is as good then.
    let _ = command.args(arguments).env(HEAPS, "2").exec();
}

/// Serves with the configuration that `lookup` finds; `started` is told the base URL.
async fn serve(lookup: impl Fn(&str) -> Option<String>, started: impl FnOnce(&str)) -> ExitCode {
    let config = match Config::from_vars(lookup) {
        Ok(config) => config,
        Err(errors) => {
            eprint!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if let Err(error) = telemetry::start(&config.logging) {
        eprintln!("the log file can't be opened: {error}");
        return ExitCode::FAILURE;
    }
    for warning in config.warnings() {
        log::warn!("{warning}");
    }
    let application = match Application::build(config) {
        Ok(application) => application,
        Err(error) => {
            eprintln!("can't start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let url = match application.address() {
        Bind::Tcp(address) => format!("http://{address}"),
        Bind::Unix(path) => format!("unix:{}", path.display()),
    };
    log::info!("listening on {url}");
    started(&url);
    match application.run_until_stopped().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "sqlite")]
async fn demo() -> ExitCode {
    use watchtower_sidecar::demo::{Demo, instructions};

    let demo = match Demo::create(1_000_000) {
        Ok(demo) => demo,
        Err(error) => {
            eprintln!("the demo's database can't be made: {error}");
            return ExitCode::FAILURE;
        }
    };
    // What the environment says of the listener and the log counts; the rest is the demo's own.
    let lookup = |name: &str| match name {
        "DATABASE_URL" => Some(demo.database_url()),
        "DJANGO_SECRET_KEY" => Some("demo-key-of-a-database-of-made-up-people".to_owned()),
        "DJANGO_ALLOWED_HOSTS" => Some(r#"["*"]"#.to_owned()),
        // The printed lines name this path.
        "SIDECAR_MOUNT" => None,
        "SIDECAR_LOGIN" => std::env::var(name).ok().or(Some("on".to_owned())),
        name if name.starts_with("SIDECAR_") => std::env::var(name).ok(),
        _ => None,
    };
    serve(lookup, |url| println!("{}", instructions(url))).await
}

/// The table of environment variables for `--help`.
fn variables() -> String {
    let mut text = String::from("Environment variables:\n");
    for variable in VARIABLES {
        let default = match variable.default {
            Some(default) => format!("default: {default}"),
            None => format!("no default; for example {}", variable.example),
        };
        let file = if variable.secret {
            format!("; or {}_FILE, a file that holds it", variable.name)
        } else {
            String::new()
        };
        text.push_str(&format!(
            "  {}\n      {} ({default}{file})\n",
            variable.name, variable.meaning
        ));
    }
    text
}
