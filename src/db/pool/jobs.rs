//! Runs a job on a connection, and at most once more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connections::Lease;
use super::database::Database;
use super::state::CONNECT_TIMEOUT;
use super::task::Task;
use crate::db::connection::Connection;
use crate::db::connection::job_kind::JobKind;
use crate::db::error::{DbError, MayBeDbError};

/// How long the retry of a job that ran beyond its deadline may wait for a connection.
const LATE_RETRY: Duration = Duration::from_secs(1);

impl Database {
    /// Runs `job`. If its connection broke, runs it once more on another one, unless it writes, its callers have left, or its
    /// deadline has passed. Blocks.
    ///
    /// # Errors
    /// The job's, or [`DbError::Unavailable`] if there was no connection before the deadline.
    pub(crate) fn run<T, E: MayBeDbError>(
        self: &Arc<Self>,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let writes = task.kind == JobKind::Writes;
        if writes && self.is_file() {
            return self.write_to_file(task, job);
        }
        // A job that writes runs once, on a connection that has answered a ping: if the answer is lost, the write may have
        // succeeded.
        let mut lease = self.take(task, false, writes)?;
        if let Some(result) = self.run_on(&mut lease, task, job) {
            return result;
        }
        drop(lease);
        let may_retry = !writes && task.callers.are_waiting();
        // A job that reads a whole table may run beyond its deadline.
        let deadline = match task.kind {
            JobKind::Long => task.deadline.max(Instant::now() + LATE_RETRY),
            JobKind::Short | JobKind::Writes => task.deadline,
        };
        if may_retry && Instant::now() < deadline {
            let task = Task { deadline, ..*task };
            // After a restart of the server every idle connection is dead.
            let mut lease = self.take(&task, true, true)?;
            if let Some(result) = self.run_on(&mut lease, &task, job) {
                return result;
            }
        }
        Err(DbError::Unavailable("the connection broke".into()).into())
    }

    /// Runs `job` once; `None` if the connection broke.
    fn run_on<T, E: MayBeDbError>(
        &self,
        lease: &mut Lease,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let left = task.deadline.saturating_duration_since(Instant::now());
        let connection = lease.connection();
        let (result, may_stay) = connection.run(&self.opener.settings, task.kind, left, job);
        if result.is_err() && !connection.is_alive() {
            lease.is_broken = true;
            return None;
        }
        lease.is_broken = !may_stay;
        Some(result)
    }

    /// Runs a job that writes on a new connection. SQLite opens a file without a word for reading alone where it may not be
    /// written, so a connection from that time would refuse each later write.
    fn write_to_file<T, E: MayBeDbError>(
        &self,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.opener.establish(CONNECT_TIMEOUT);
        let mut connection = opened.map_err(|error| DbError::Unavailable(error.to_string()))?;
        task.callers.begin();
        let left = task.deadline.saturating_duration_since(Instant::now());
        connection
            .run(&self.opener.settings, task.kind, left, job)
            .0
    }
}
