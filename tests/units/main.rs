//! What pure functions answer, one file a room of `src/`: no service, no database.

#![allow(clippy::unwrap_used)]

mod config;
