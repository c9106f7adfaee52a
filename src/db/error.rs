//! Why the database, or a view over it, gave no answer.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::values::ValueError;

/// Why the database gave no answer. Its texts are for the log, never for a client.
#[derive(Debug)]
pub enum DbError {
    /// It is away, full, or locked: asking again later may help.
    Unavailable(String),
    /// It refused the statement.
    Refused(DieselError),
    /// The tables are not those of the configured Django project.
    Schema(String),
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DbError::Unavailable(why) => write!(f, "the database is unavailable: {why}"),
            DbError::Refused(error) => write!(f, "the database refused a statement: {error}"),
            DbError::Schema(why) => write!(f, "the database does not fit: {why}"),
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

/// Whether the trouble is the server's or the file's, and not the statement's.
fn is_passing(message: &str) -> bool {
    // SQLite's whole messages: SQLITE_BUSY (after the busy timeout), CANTOPEN, IOERR, PROTOCOL, FULL.
    let of_sqlite = [
        "database is locked",
        "unable to open database file",
        "disk I/O error",
        "locking protocol",
        "database or disk is full",
    ];
    // An operator's interruption, or that of a standby which has to catch up with its primary; a full disk, under a
    // sort for example.
    let of_servers = [
        "canceling statement",
        "Query execution was interrupted",
        "No space left on device",
    ];
    of_sqlite.contains(&message) || of_servers.iter().any(|words| message.contains(words))
}

/// An error that may be the database's.
pub trait MayBeDbError: From<DbError> {
    /// The database's error, if it is one.
    fn db_error(&self) -> Option<&DbError>;

    /// The error after so long: what a database refuses only when a time limit has passed, it could not do. Its words for
    /// that are in the server's language.
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
    /// The database's fault.
    Database(DbError),
    /// An exception inside the view's `try` in Django; the text is `str(e)`.
    View(String),
    /// An exception outside of it, while the answer is rendered.
    Unrenderable,
    /// The spool could not take the bytes.
    Spool(std::io::Error),
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
    fn trouble_of_the_disk_is_an_outage_and_a_refused_statement_is_none() {
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
