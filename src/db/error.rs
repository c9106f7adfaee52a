//! Why the database, or a view over it, gave no answer.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::types::value::ValueError;

/// Why the database gave no answer. Its texts are for the log, never for a client.
#[derive(Debug)]
pub enum DbError {
    /// It is unreachable, full, or locked: a retry may help.
    Unavailable(String),
    /// It refused the statement.
    Refused(DieselError),
    /// The tables are not those of the configured Django project.
    Schema(String),
    /// Work beside the database, named here, left no time for it.
    Busy(&'static str),
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DbError::Unavailable(why) => write!(f, "the database is unavailable: {why}"),
            DbError::Refused(error) => write!(f, "the database refused a statement: {error}"),
            DbError::Schema(why) => write!(f, "the database does not fit: {why}"),
            DbError::Busy(what) => write!(f, "no time was left: {what}"),
        }
    }
}

impl std::error::Error for DbError {}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                DbError::Unavailable(info.message().to_owned())
            }
            DieselError::DatabaseError(_, info) if is_passing(info.message()) => {
                DbError::Unavailable(info.message().to_owned())
            }
            _ => DbError::Refused(error),
        }
    }
}

/// Whether the message tells of trouble with the server or the file, and not with the statement.
fn is_passing(message: &str) -> bool {
    // The messages of SQLITE_BUSY (after the busy timeout), CANTOPEN, IOERR, PROTOCOL, FULL.
    let of_sqlite = [
        "database is locked",
        "unable to open database file",
        "disk I/O error",
        "locking protocol",
        "database or disk is full",
    ];
    // An operator or a standby that has to catch up with its primary has cancelled the statement; the disk is full, under
    // a sort for example.
    let of_servers = [
        "canceling statement",
        "Query execution was interrupted",
        "No space left on device",
    ];
    of_sqlite.contains(&message) || of_servers.iter().any(|words| message.contains(words))
}

/// An error that may come from the database.
pub trait MayBeDbError: From<DbError> {
    /// The database's error, if it is one.
    fn db_error(&self) -> Option<&DbError>;

    /// Turns a refusal that came after `limit` into an outage: the statement has run into a timeout of the database. (The
    /// message can't tell, since servers translate it.)
    fn after(self, elapsed: Duration, limit: Duration) -> Self {
        match self.db_error() {
            Some(error @ DbError::Refused(_)) if elapsed >= limit => {
                DbError::Unavailable(error.to_string()).into()
            }
            _ => self,
        }
    }
}

impl MayBeDbError for DbError {
    fn db_error(&self) -> Option<&DbError> {
        Some(self)
    }
}

impl MayBeDbError for ExportError {
    fn db_error(&self) -> Option<&DbError> {
        match self {
            ExportError::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a view could not answer.
#[derive(Debug)]
pub enum ExportError {
    /// The database failed.
    Database(DbError),
    /// An exception inside the view's `try` in Django; the text is `str(e)`.
    View(String),
    /// An exception while Django renders the answer, outside of the view's `try`.
    Unrenderable,
    /// The spool could not be written or read.
    Spool(std::io::Error),
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExportError::Database(error) => error.fmt(f),
            ExportError::View(details) => f.write_str(details),
            ExportError::Unrenderable => f.write_str("a value is not JSON serializable"),
            ExportError::Spool(error) => {
                let folder = std::env::temp_dir();
                let folder = folder.display();
                write!(f, "the temporary folder {folder} can't be used: {error}")
            }
        }
    }
}

impl From<DbError> for ExportError {
    fn from(error: DbError) -> Self {
        ExportError::Database(error)
    }
}

impl From<DieselError> for ExportError {
    fn from(error: DieselError) -> Self {
        if let DieselError::DeserializationError(inner) = &error
            && let Some(value) = inner.downcast_ref::<ValueError>()
        {
            return match value {
                ValueError::Unreadable(text) => ExportError::View(text.clone()),
                ValueError::Unrenderable => ExportError::Unrenderable,
            };
        }
        ExportError::Database(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_error_is_an_outage_and_a_refused_statement_is_not() {
        for (message, is_outage) in [
            ("database is locked", true),
            ("unable to open database file", true),
            ("disk I/O error", true),
            ("locking protocol", true),
            (
                "could not write to file \"base/pgsql_tmp/1\": No space left on device",
                true,
            ),
            ("canceling statement due to user request", true),
            ("no such table: django_session", false),
            ("database disk image is malformed", false),
        ] {
            let info = Box::new(message.to_owned());
            let error = DieselError::DatabaseError(DatabaseErrorKind::Unknown, info);
            let error = DbError::from(error);
            assert_eq!(
                matches!(error, DbError::Unavailable(_)),
                is_outage,
                "{message}"
            );
        }
    }
}
