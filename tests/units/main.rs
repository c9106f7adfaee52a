//! What pure functions answer, one file a room of `src/`: no service, no database.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod client_address;
mod client_connection;
mod config;
mod db_error;
mod django;
mod export;
mod exported_row;
mod page;
mod passwords;
mod telemetry;
