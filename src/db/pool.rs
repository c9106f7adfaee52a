//! Connections that are kept, the jobs that run on them, and what is done about a job that hangs.

mod attempts;
pub(crate) mod database;
mod lifeline;
mod pooled;
pub(crate) mod role;
pub(crate) mod shared_job;
mod sockets;
mod supervision;
pub mod task;
