//! The figures of a pool.

/// The connections of a pool, for metrics.
pub struct PoolFigures {
    /// `primary` or `replica`
    pub database: &'static str,
    /// False while the database is known to be down
    pub is_up: bool,
    /// Open and unused
    pub idle: u32,
    /// Open and used
    pub used: u32,
    /// The size of the pool
    pub most: u32,
}
