//! What `check` reads from a database, over one connection of its own, in read-only transactions with timeouts.

pub mod inspector;
pub mod passwords;
pub mod privileges;
pub mod rows;
pub mod server;
pub mod tables;
mod text_row;
