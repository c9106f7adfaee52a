//! `watchtower-sidecar export` and `stats`: the bodies of the two views without HTTP, for operators.
//!
//! A file appears only when it is complete: it is written without a name, so that no signal leaves a part of it. It holds
//! personal data, so only its owner may read it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use indicatif::{ProgressBar, ProgressStyle};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::libc::SIGXFSZ;
use nix::unistd::linkat;
use tempfile::{Builder, NamedTempFile};

use crate::config::Config;
use crate::db::connection::session_settings::SessionSettings;
use crate::db::error::ExportError;
use crate::db::pool::task::deadline;
use crate::db::types::stored_time::Clock;
use crate::db::views::exportable_users::DateShape;
use crate::db::{Db, DbOptions};
use crate::django::negotiation::Renderer;
use crate::export::parameters::{ParameterError, Parameters};
use crate::export::{Csv, Export, ExportRequest, Layout, stats_json};
use crate::telemetry::metrics::Metrics;

/// `EX_USAGE` of sysexits.h
const BAD_CONFIGURATION: i32 = 64;

/// Which users are exported, as what, and to which file.
#[derive(clap::Args)]
pub struct ExportArguments {
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// The file to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Only users who joined later: 2026-11-26 or 2026-11-26T14:00:00Z
    #[arg(long, value_name = "DATE")]
    joined_after: Option<String>,
    /// Only users whose key comes after this one, by key, 1000 of them if --limit does not say
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    after_id: Option<String>,
    /// At most this many users, by key: 1 to 10000
    #[arg(long, value_name = "NUMBER")]
    limit: Option<String>,
    /// In CSV: begin with a byte order mark, for Excel
    #[arg(long)]
    bom: bool,
    /// In CSV: put no apostrophe before texts that a spreadsheet would run as formulas
    #[arg(long)]
    keep_formulas: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The view's answer
    Json,
    /// A table
    Csv,
    /// One user a line
    Ndjson,
}

/// How the numbers are printed.
#[derive(clap::Args)]
pub struct StatsArguments {
    /// The format
    #[arg(long, value_enum, default_value_t = StatsFormat::Table)]
    format: StatsFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StatsFormat {
    /// Lines for people
    Table,
    /// The view's answer
    Json,
}

/// Why a command fails, as a sentence.
enum Failure {
    /// The environment or an argument is wrong
    Usage(String),
    /// Any other reason
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Other(error.to_string())
    }
}

/// Writes the export, and gives the exit code: 0 done, 1 failed, 64 bad configuration or arguments.
pub fn export(arguments: &ExportArguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    exit_code(open(lookup).and_then(|service| {
        actix_web::rt::System::new().block_on(write_export(arguments, &service))
    }))
}

/// Prints the numbers, and gives the exit code as [`export`] does.
pub fn stats(arguments: &StatsArguments, lookup: impl Fn(&str) -> Option<String>) -> i32 {
    exit_code(open(lookup).and_then(|service| {
        let stats = service.db.stats(deadline());
        let stats = actix_web::rt::System::new().block_on(stats);
        let stats = stats.map_err(|error| failed(&error))?;
        let text = match arguments.format {
            StatsFormat::Json => stats_json(&stats),
            StatsFormat::Table => {
                let rows = [
                    ("active users", stats.total_active_users),
                    ("with TV service", stats.tv_users),
                    ("with movie service", stats.movie_users),
                    ("would be exported", stats.tv_users),
                ];
                let lines = rows.map(|(name, number)| format!("{name:<20}{number:>12}"));
                lines.join("\n")
            }
        };
        writeln!(io::stdout(), "{text}")?;
        Ok(())
    }))
}

fn exit_code(result: Result<(), Failure>) -> i32 {
    let (text, code) = match result {
        Ok(()) => return 0,
        Err(Failure::Usage(text)) => (text, BAD_CONFIGURATION),
        Err(Failure::Other(text)) => (text, 1),
    };
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
    code
}

/// The parts of the service that the commands use.
struct Service {
    db: Db,
    dates: DateShape,
    clock: Clock,
}

fn open(lookup: impl Fn(&str) -> Option<String>) -> Result<Service, Failure> {
    let config = Config::from_vars(lookup).map_err(|errors| Failure::Usage(errors.to_string()))?;
    let settings = config.django;
    let other = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
    let metrics = Metrics::new().map_err(|error| other(&error))?;
    Ok(Service {
        clock: Clock::new(settings.use_tz, &settings.time_zone),
        dates: DateShape {
            use_tz: settings.use_tz,
        },
        db: Db::new(DbOptions {
            url: config.database_url,
            read_url: config.database_read_url,
            writable: false,
            user_table: config.user_table,
            username_field: config.username_field,
            none_fields: config.none_fields,
            exports_at_once: 1,
            session: SessionSettings::new(config.prepared_statements, &settings),
            waits: metrics.waits(),
        }),
    })
}

async fn write_export(arguments: &ExportArguments, service: &Service) -> Result<(), Failure> {
    // A file at its size limit is handled as a full disk is; by default this signal ends the process.
    let _ = signal(SignalKind::from_raw(SIGXFSZ));
    let parameters = Parameters {
        joined_after: arguments.joined_after.clone(),
        after_id: arguments.after_id.clone(),
        limit: arguments.limit.clone(),
    };
    let selection = parameters.parse(&service.db, &service.clock, deadline());
    let selection = selection.await.map_err(|error| match error {
        ParameterError::Wrong(sentence) => Failure::Usage(sentence),
        ParameterError::Database(error) => Failure::Other(error.to_string()),
    })?;
    let request = ExportRequest {
        dates: service.dates.clone(),
        selection,
        layout: match arguments.format {
            Format::Json => Layout::Json(Renderer::default()),
            Format::Ndjson => Layout::Ndjson,
            Format::Csv => Layout::Csv(Csv {
                bom: arguments.bom,
                keeps_formulas: arguments.keep_formulas,
            }),
        },
    };
    // The bar is shown on standard error, and only if that is a terminal.
    let progress = ProgressBar::new_spinner().with_message("reading the users");
    progress.enable_steady_tick(Duration::from_millis(100));
    let export = Export::collect(&service.db, deadline(), request).await;
    let mut export = export.map_err(|error| failed(&error))?;
    let length = export.length().map_err(ExportError::Spool);
    let length = length.map_err(|error| failed(&error))?;
    let users = export.count;
    progress.set_length(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}") {
        progress.set_style(style);
    }
    let output = match arguments.output.as_os_str() == "-" {
        true => None,
        false => Some(arguments.output.as_path()),
    };
    let written = |bytes| progress.inc(bytes);
    let result = match output {
        None => write_whole(export, &mut io::stdout().lock(), written),
        Some(path) => write_file(export, path, written),
    };
    progress.finish_and_clear();
    result.map_err(|error| {
        let name = output.map_or("standard output".into(), Path::to_string_lossy);
        Failure::Other(format!("{name} can't be written: {error}"))
    })?;
    if let Some(path) = output {
        let name = path.display();
        let _ = writeln!(io::stderr(), "{users} users, {length} bytes: {name}");
    }
    Ok(())
}

fn write_whole(export: Export, out: &mut impl Write, written: impl FnMut(u64)) -> io::Result<()> {
    export.write_to(out, written)?;
    out.flush()
}

/// Writes a new file in the same folder and moves it to `path`. A pipe or a device is written directly.
fn write_file(export: Export, path: &Path, written: impl FnMut(u64)) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(path) if !path.is_file() => {
            let mut file = File::options().write(true).open(path)?;
            return write_whole(export, &mut file, written);
        }
        // A link is followed.
        Ok(path) => path,
        Err(_) => path.to_owned(),
    };
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let write = |file: &File| {
        let mut out = BufWriter::new(file);
        write_whole(export, &mut out, written)?;
        drop(out);
        file.sync_all()
    };
    let unnamed = File::options()
        .write(true)
        .mode(0o600)
        .custom_flags(OFlag::O_TMPFILE.bits())
        .open(folder);
    match unnamed {
        Ok(file) => {
            write(&file)?;
            // A link can't replace a file, so it gets another name first.
            let link = |name: &Path| link(&file, name);
            Builder::new().make_in(folder, link)?.persist(path)?;
        }
        // The file system has no files without a name, as NFS.
        Err(_) => {
            let file = NamedTempFile::new_in(folder)?;
            write(file.as_file())?;
            file.persist(path)?;
        }
    }
    Ok(())
}

/// Gives an open file a name.
fn link(file: &File, name: &Path) -> io::Result<()> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    linkat(AT_FDCWD, Path::new(&open), AT_FDCWD, name, follow)?;
    Ok(())
}

fn failed(error: &ExportError) -> Failure {
    Failure::Other(match error {
        ExportError::View(details) => format!("Django's view would fail, too: {details}"),
        error => error.to_string(),
    })
}
