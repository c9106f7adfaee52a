//! What a column holds, as Django's backend for the database reads and writes it.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
pub mod stored_time;
pub mod value;
