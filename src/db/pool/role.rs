//! Which of the two databases a job runs on.

/// The role of a database.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Sessions and users for authentication
    Primary,
    /// Exports and statistics; the primary, unless a replica is configured
    Replica,
}

impl Role {
    /// Its name in metrics and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
        }
    }

    /// The name of the check that readyz reports when this database is unreachable.
    pub(crate) fn check(self) -> &'static str {
        match self {
            Role::Primary => "database",
            Role::Replica => "replica",
        }
    }
}
