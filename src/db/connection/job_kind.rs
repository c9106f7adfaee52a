//! What a job does to the database, and the time limits that follow from it.

use std::time::Duration;

/// The timeout of a statement that reads a few rows, and of any wait for a lock.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(4);

/// The timeout of a statement that reads a whole table.
pub(crate) const WHOLE_TABLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a job does to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobKind {
    /// Reads a few rows by their keys
    Short,
    /// Reads a whole table
    Long,
    /// Writes. It never runs twice
    Writes,
}
