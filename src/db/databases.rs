//! The primary and the replica, and the user table that they share.

use std::sync::{Arc, OnceLock};

use super::connection::Connection;
use super::connection::job_kind::JobKind;
use super::error::{DbError, MayBeDbError};
use super::inspection::privileges::excess_privilege;
use super::models::sessions;
use super::models::user_table::{UserModel, UserTable};
use super::pool::database::Database;
use super::pool::lane::Lane;
use super::pool::role::Role;
use super::pool::task::{Limits, Task, deadline};

/// The primary and the replica, and the user table that they share.
pub(super) struct Databases {
    pub(super) primary: Arc<Database>,
    pub(super) replica: Option<Arc<Database>>,
    pub(super) user_model: UserModel,
    /// Empty before the first job
    pub(super) user_table: OnceLock<UserTable>,
}

impl Databases {
    /// The primary, and the replica if there is one.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Database>> {
        std::iter::once(&self.primary).chain(&self.replica)
    }

    /// The database of this role.
    pub(super) fn of(&self, role: Role) -> &Arc<Database> {
        match (role, &self.replica) {
            (Role::Replica, Some(replica)) => replica,
            _ => &self.primary,
        }
    }

    /// Runs `job` on the database of this role, with the user table.
    pub(super) fn run<T, E: MayBeDbError>(
        &self,
        role: Role,
        task: &Task,
        job: &dyn Fn(&mut Connection, &UserTable) -> Result<T, E>,
    ) -> Result<T, E> {
        let table = self.table(role, task)?;
        let job = |connection: &mut Connection| job(connection, table);
        self.of(role).run(task, &job)
    }

    /// Whether the database of this role answers and has what is read from it. The error names the check that failed.
    pub(super) fn probe(&self, role: Role, task: &Task) -> Result<(), (&'static str, DbError)> {
        let failed = |check| {
            move |error| match (role, &error) {
                (Role::Primary, DbError::Refused(_) | DbError::Schema(_)) => (check, error),
                _ => (role.check(), error),
            }
        };
        let table = self.table(role, task).map_err(failed("user_table"))?;
        let database = self.of(role);
        // The catalogue is not read again: the two probes select the columns that are read.
        let users = |connection: &mut Connection| {
            if let Role::Primary = role {
                table.probe(connection)?;
            }
            table.probe_export(connection)
        };
        database.run(task, &users).map_err(failed("user_table"))?;
        match role {
            Role::Primary => {
                let tokens = |connection: &mut Connection| table.probe_tokens(connection);
                database.run(task, &tokens).map_err(failed("tokens"))?;
                let sessions = database.run(task, &sessions::probe);
                sessions.map_err(failed("django_session"))
            }
            Role::Replica => Ok(()),
        }
    }

    /// The user table, read once from the catalogue by the first job.
    fn table(&self, role: Role, task: &Task) -> Result<&UserTable, DbError> {
        if let Some(table) = self.user_table.get() {
            return Ok(table);
        }
        let database = self.of(role);
        let table = database.run(&task.preparing(), &|connection| {
            UserTable::load(connection, &self.user_model)
        })?;
        let mut is_first = false;
        let table = self.user_table.get_or_init(|| {
            is_first = true;
            table
        });
        if is_first {
            warn_of_privileges(database, table.clone());
        }
        Ok(table)
    }
}

/// Warns of a privilege that the role need not have. It takes several queries, for which no job waits.
fn warn_of_privileges(database: &Arc<Database>, table: UserTable) {
    let for_job = Arc::clone(database);
    let job = move || {
        let limits = Limits::new(JobKind::Short, deadline());
        let warn = |connection: &mut Connection| {
            let excess = excess_privilege(connection, &table);
            excess.iter().for_each(|excess| excess.warn());
            Ok::<_, DbError>(())
        };
        // Without an answer there is no warning; `check` tells the same.
        let _ = for_job.run(&limits.task(&()), &warn);
    };
    if let Ok(workers) = database.workers(Lane::UserPages) {
        workers.queue(job);
    }
}
