//! The queues of jobs.

/// A queue of jobs with its own workers, so that jobs of one kind never wait for those of another.
#[derive(Clone, Copy)]
pub(crate) enum Lane {
    /// Sessions and users for authentication
    Queries,
    /// Logins and logouts. SQLite has one writer at a time; others would retry until they time out
    Writes,
    /// Exports
    Exports,
    /// Pages of users for the HTML page
    UserPages,
    /// The statistics; one run at a time answers all callers
    Statistics,
    /// Users by month; one run at a time answers all callers
    Months,
    /// The readiness check; one run at a time answers all callers
    Readiness,
}

/// Every lane with its name and its number of workers, in the order of [`Lane`].
pub(super) fn lanes(queries: usize, exports: usize) -> [(&'static str, usize); 7] {
    [
        ("db-query", queries),
        ("db-write", 1),
        ("db-export", exports),
        ("db-page", 1),
        ("db-statistics", 1),
        ("db-months", 1),
        ("db-readiness", 1),
    ]
}
