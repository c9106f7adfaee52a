//! The workers of a database, their connections, and what happens when it hangs.
//!
//! Workers and connections belong to a *generation*. When the database answers no ping, the generation is replaced: its
//! sockets are shut down, so that its workers end, and the circuit opens. While the circuit is open, the database is *suspect*:
//! requests fail at once, and one attempt to connect a second goes on. The first connection that answers closes the circuit.

mod connections;
pub(crate) mod database;
mod generation;
mod jobs;
pub(crate) mod lane;
pub(crate) mod role;
mod sockets;
mod state;
pub mod task;
mod watch;
