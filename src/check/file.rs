//! SQLite's file: whether it exists, which accounts may read it, and whether its journal mode works in its folder.

use std::fs::{File, metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::findings::*;
use crate::config::Config;

/// The first bytes of every database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Reports why the file can't be read as a database, if so.
pub(super) fn check(path: &str, findings: &Findings) -> Option<()> {
    let mut first = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    let (what, advice) = match read {
        Ok(()) if first == *MAGIC => return Some(()),
        Ok(()) => (
            "is no SQLite database".to_owned(),
            "use the file of Django's DATABASES setting",
        ),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => (
                "is not there".to_owned(),
                "four slashes begin an absolute path (sqlite:////srv/db.sqlite3); a relative one starts at the folder \
                 in which the sidecar was started",
            ),
            ErrorKind::UnexpectedEof => (
                "holds nothing".to_owned(),
                "use the file of Django's DATABASES setting; `manage.py migrate` fills a new one",
            ),
            _ => (
                format!("can't be read: {error}"),
                "let the sidecar's account read the file, and enter every folder above it",
            ),
        },
    };
    let text = format!("DATABASE_URL: the file {path} {what}");
    findings.error("database.unreachable", &text, advice);
    None
}

/// Reports who may read and write the file, if there is one.
pub(super) fn permissions(config: &Config, findings: &Findings) {
    let path = config.database_url.target();
    let Ok(mode) = metadata(path).map(|metadata| metadata.permissions().mode()) else {
        return;
    };
    if mode & 0o004 != 0 {
        findings.warning(
            "sqlite.permissions",
            &format!("every account of this machine may read {path}, with its password hashes and sessions"),
            &format!("chmod o-rwx {path}"),
        );
    }
    if config.login && (access(path, AccessFlags::W_OK).is_err() || !is_writable(folder(path))) {
        findings.error(
            "sqlite.read-only",
            "SIDECAR_LOGIN=on, but the file or its folder can't be written by this account: every login fails",
            "let the sidecar's account write both, or set SIDECAR_LOGIN=off",
        );
    }
}

/// Reports whether the journal mode works in the file's folder.
pub(super) fn journal_mode(config: &Config, journal_mode: &str, findings: &Findings) {
    let folder = folder(config.database_url.target());
    const ID: &str = "sqlite.journal-mode";
    if journal_mode != "wal" {
        let text = format!(
            "{journal_mode}: the sidecar reads for moments only, but while it does, Django's writers wait; with WAL they \
             would not"
        );
        findings.ok(ID, &text);
    } else if is_writable(folder) {
        findings.ok(ID, "wal, and the folder can be written");
    } else {
        findings.error(
            ID,
            &format!(
                "wal, but the folder {} can't be written by this account: whenever Django is not running, nor will the \
                 database open here",
                folder.display()
            ),
            "let the sidecar's account write the folder, or leave WAL: PRAGMA journal_mode = delete",
        );
    }
}

fn is_writable(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

fn folder(path: &str) -> &Path {
    let folder = Path::new(path).parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
