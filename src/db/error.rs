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
            DieselError::DatabaseError(kind, info)
                if is_outage(kind) || OUTAGES_OF_SQLITE.contains(&info.message()) =>
            {
                DbError::Unavailable(info.message().to_owned())
            }
            _ => DbError::Refused(error),
        }
    }
}

/// The messages of SQLITE_BUSY (after the busy timeout), CANTOPEN, IOERR, PROTOCOL, FULL. SQLite translates none.
const OUTAGES_OF_SQLITE: [&str; 5] = [
    "database is locked",
    "unable to open database file",
    "disk I/O error",
    "locking protocol",
    "database or disk is full",
];

/// Whether Diesel's kind of error tells of trouble with the server, and not with the statement. PostgreSQL reports a conflict
/// of a standby with its primary as a serialization failure. A read-only transaction refuses what must write: the primary
/// has become a standby.
fn is_outage(kind: &DatabaseErrorKind) -> bool {
    matches!(
        kind,
        DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction
    )
}

impl DbError {
    /// The message of a refusal that may be an outage (`connection/failure.rs`). A position in the statement means that
    /// PostgreSQL could not read it: it lacks a table or a column.
    pub(super) fn unclear_message(&self) -> Option<&str> {
        match self {
            DbError::Refused(DieselError::DatabaseError(_, info))
                if info.statement_position().is_none() =>
            {
                Some(info.message())
            }
            _ => None,
        }
    }
}

/// An error that may come from the database.
pub trait MayBeDbError: From<DbError> {
    /// The database's error, if it is one.
    fn db_error(&self) -> Option<&DbError>;

    /// Turns a refusal that came after `limit` into an outage: the statement has run into a timeout of the database.
    fn after(self, elapsed: Duration, limit: Duration) -> Self {
        match self.db_error() {
            Some(DbError::Refused(_)) if elapsed >= limit => self.into_outage(),
            _ => self,
        }
    }

    /// Turns a refusal into an outage.
    fn into_outage(self) -> Self {
        match self.db_error() {
            Some(error) => DbError::Unavailable(error.to_string()).into(),
            None => self,
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
        use DatabaseErrorKind::{ClosedConnection, SerializationFailure, Unknown};
        for (kind, message, is_outage) in [
            (Unknown, "database is locked", true),
            (Unknown, "unable to open database file", true),
            (Unknown, "disk I/O error", true),
            (Unknown, "locking protocol", true),
            (Unknown, "no such table: django_session", false),
            (Unknown, "database disk image is malformed", false),
            (Unknown, "keine Berechtigung für Tabelle auth_user", false),
            (ClosedConnection, "breche Verbindung ab", true),
            (SerializationFailure, "storniere Anfrage", true),
        ] {
            let error = DieselError::DatabaseError(kind, Box::new(message.to_owned()));
            let error = DbError::from(error);
            assert_eq!(
                matches!(error, DbError::Unavailable(_)),
                is_outage,
                "{message}"
            );
        }
    }
}
