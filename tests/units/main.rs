//! What pure functions answer, one file a room of `src/`: no service, no database.

#![allow(clippy::unwrap_used)]

mod client_connection;
mod export;
mod page;
mod telemetry;
