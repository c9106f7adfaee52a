//! SQLite's file: whether it exists, which accounts may read it, and whether its journal mode works in its folder.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::findings::*;
use crate::config::Config;

/// The first bytes of every database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Reports what is wrong with the file; whether it is a database that can be read.
pub(super) fn check(config: &Config, findings: &Findings, is_talkative: bool) -> bool {
    let path = Path::new(config.database_url.target());
    let unreachable = |what: &str, advice: &str| {
        let text = format!("DATABASE_URL: the file {} {what}", path.display());
        let kind = UNREACHABLE.of("database").advising(advice.to_owned());
        findings.error(&kind, text);
        false
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return unreachable(
                "is not there",
                "four slashes begin an absolute path (sqlite:////srv/db.sqlite3); a relative one starts at the folder \
                 in which the sidecar was started",
            );
        }
        Err(error) => {
            let what = format!("can't be read: {error}");
            return unreachable(
                &what,
                "let the sidecar's account read the file, and enter every folder above it",
            );
        }
    };
    let mut first = [0; MAGIC.len()];
    let is_database = match file.read_exact(&mut first) {
        Ok(()) => first == *MAGIC,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return unreachable(
                "holds nothing",
                "use the file of Django's DATABASES setting; `manage.py migrate` fills a new one",
            );
        }
        Err(_) => false,
    };
    if !is_database {
        return unreachable(
            "is no SQLite database",
            "use the file of Django's DATABASES setting",
        );
    }
    if is_talkative {
        permissions(config, path, &file, findings);
    }
    true
}

fn permissions(config: &Config, path: &Path, file: &File, findings: &Findings) {
    let mode = file
        .metadata()
        .map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        findings.warning(
            &FILE_PERMISSIONS.advising(format!("chmod o-rwx {}", path.display())),
            format!(
                "every account of this machine may read {}, with its password hashes and sessions",
                path.display()
            ),
        );
    }
    if config.login && (access(path, AccessFlags::W_OK).is_err() || !is_writable(folder(path))) {
        findings.error(
            &FILE_READ_ONLY,
            "SIDECAR_LOGIN=on, but the file or its folder can't be written by this account: every login fails",
        );
    }
}

/// Reports whether the journal mode works in this folder.
pub(super) fn journal(config: &Config, mode: &str, findings: &Findings) {
    let path = Path::new(config.database_url.target());
    let folder = folder(path);
    if mode != "wal" {
        let text = format!(
            "{mode}: the sidecar reads for moments only, but while it does, Django's writers wait; with WAL they \
             would not"
        );
        findings.ok(&JOURNAL_MODE, text);
    } else if is_writable(folder) {
        findings.ok(&JOURNAL_MODE, "wal, and the folder can be written");
    } else {
        findings.error(
            &JOURNAL_MODE,
            format!(
                "wal, but the folder {} can't be written by this account: whenever Django is not running, nor will the \
                 database open here",
                folder.display()
            ),
        );
    }
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(Path::new("/"));
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}

fn is_writable(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}
