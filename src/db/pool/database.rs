//! One database: its pool of connections, its health, and the jobs that run on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::r2d2::Pool;
use nix::unistd::{AccessFlags, access};

use super::attempts::{Attempts, UnderWay};
use super::pooled::{Health, LogConnectionErrors, Opener, Pooled};
use super::role::Role;
use super::task::Task;
use crate::blocking::workers::Workers;
use crate::config::{Backend, DatabaseUrl};
use crate::db::connection::Connection;
use crate::db::connection::job_kind::JobKind;
use crate::db::connection::opener::ConnectionOpener;
use crate::db::connection::session_settings::SessionSettings;
use crate::db::error::{DbError, MayBeDbError};

/// Twice the longest pause between two attempts to connect.
const RETRY: Duration = Duration::from_secs(2);

/// How long a job waits for a connection before it checks whether the database is down.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// When a job is cut, connections that answered within this time before it stay trusted: the job hung for longer.
const LATELY: Duration = Duration::from_secs(1);

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

/// A database and the connections to it.
pub(crate) struct Database {
    role: Role,
    pool: Pool<Opener>,
    health: Arc<Health>,
    file: Option<PathBuf>,
    settings: SessionSettings,
    size: u32,
    /// The workers that ping the database while jobs run
    pub(super) pings: Arc<Workers>,
}

impl Database {
    /// The databases of all roles, with at most `size` connections each, which are opened when they are first needed. Their
    /// attempts to connect know of each other.
    pub(crate) fn all(
        openers: Vec<(Role, ConnectionOpener)>,
        size: u32,
        pings: &Arc<Workers>,
    ) -> Vec<Arc<Database>> {
        let urls = openers.iter().map(|(_, opener)| &opener.url);
        let under_way = UnderWay::new(urls.flat_map(DatabaseUrl::ports).collect());
        openers
            .into_iter()
            .map(|(role, opener)| {
                let pings = Arc::clone(pings);
                Arc::new(Database::new(role, opener, size, &under_way, pings))
            })
            .collect()
    }

    fn new(
        role: Role,
        opener: ConnectionOpener,
        size: u32,
        under_way: &Arc<UnderWay>,
        pings: Arc<Workers>,
    ) -> Database {
        let settings = opener.settings.clone();
        let file = (opener.url.backend() == Backend::Sqlite).then(|| opener.url.target().into());
        let health = Arc::new(Health {
            attempts: file
                .is_none()
                .then(|| Attempts::new(role.check(), opener.url.ports(), under_way)),
            latest_failed: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_suspected: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            trusted_since: Mutex::new(Instant::now()),
        });
        let opener = Opener {
            opener,
            health: Arc::clone(&health),
        };
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .connection_timeout(RETRY)
            // A dead connection is found by the job's first error. The job then runs again on a new connection.
            .test_on_check_out(false)
            .error_handler(Box::<LogConnectionErrors>::default())
            .build_unchecked(opener);
        Database {
            role,
            pool,
            health,
            file,
            settings,
            size,
            pings,
        }
    }

    /// Whether the database is down. That is so when no connection was opened since a job hung, and also when the pool is
    /// empty and the latest attempt to connect failed. A missing SQLite file is looked for again. It is not opened for that:
    /// closing it would release the locks that this process holds on it (POSIX, `fcntl`), SQLite's among them.
    pub(crate) fn is_down(&self) -> bool {
        self.health.is_suspected.load(Ordering::Acquire)
            || (self.health.latest_failed.load(Ordering::Acquire)
                && self.pool.state().connections == 0
                && self
                    .file
                    .as_ref()
                    .is_none_or(|path| access(path, AccessFlags::R_OK).is_err()))
    }

    /// The figures of its pool.
    pub(crate) fn figures(&self) -> PoolFigures {
        let open = self.pool.state();
        PoolFigures {
            database: match self.role {
                Role::Primary => "primary",
                Role::Replica => "replica",
            },
            is_up: !self.is_down(),
            idle: open.idle_connections,
            used: open.connections.saturating_sub(open.idle_connections),
            most: self.size,
        }
    }

    /// Whether r2d2 still tries to connect, as it does by itself after the first request. Ends an attempt that hangs.
    pub(crate) fn is_being_tried(&self) -> bool {
        // The file was looked for in `is_down`.
        let attempts = self.health.attempts.as_ref();
        attempts.is_none_or(Attempts::end_overdue)
    }

    /// Starts an attempt to connect, without waiting for it. Blocks for a millisecond.
    pub(crate) fn try_again(&self) {
        drop(self.checked_out(Instant::now() + Duration::from_millis(1)));
    }

    /// Opens no more connections, and waits up to a second for the end of an attempt.
    pub(crate) fn close(&self) {
        self.health.is_closed.store(true, Ordering::Release);
        self.health.attempts.iter().for_each(Attempts::finish);
    }

    /// Marks the database as down after a job has hung, and all present connections as untrusted.
    pub(crate) fn suspect(&self) {
        if !self.health.is_suspected.swap(true, Ordering::AcqRel) {
            self.health.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Marks connections without a recent answer as untrusted after a job was cut, so that they are closed when they are
    /// taken from the pool. Otherwise each of them could make one more job hang.
    pub(crate) fn distrust_idle(&self) {
        if let Some(lately) = Instant::now().checked_sub(LATELY) {
            *self.health.trusted_since() = lately;
        }
    }

    /// Runs `job`. If its connection was dead, runs it once more on another one, unless it writes. Blocks.
    ///
    /// # Errors
    /// The job's, or [`DbError::Unavailable`] if there was no connection before the deadline.
    pub(crate) fn run<T, E: MayBeDbError>(
        &self,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        // `None`: the connection was dead.
        let run = |pooled: &mut Pooled| {
            let attached = task.lifeline.attach(pooled.hold);
            let began = Instant::now();
            let left = task.deadline.saturating_duration_since(began);
            let result = pooled.connection.run(&self.settings, task.kind, left, job);
            let result = match result {
                Err(_) if !pooled.connection.is_alive() => {
                    pooled.dead = true;
                    None
                }
                Err(error) => {
                    pooled.dead |=
                        error.db_error().is_some() && pooled.connection.is_spoilt_by_errors();
                    Some(Err(error))
                }
                result => Some(result),
            };
            drop(attached);
            pooled.answered = Instant::now();
            result
        };
        if task.kind != JobKind::Writes
            && let Some(result) = run(&mut *self.checked_out(task.deadline)?)
        {
            return result;
        }
        // After a restart of the database every idle connection is dead. So each connection is pinged before the job runs
        // again. A job that writes begins here and runs once: if the answer is lost, the write may have succeeded.
        for _ in 0..=self.size {
            let mut pooled = self.checked_out(task.deadline)?;
            let attached = task.lifeline.attach(pooled.hold);
            let is_alive = pooled.connection.is_alive();
            drop(attached);
            pooled.dead = !is_alive;
            if pooled.dead {
                continue;
            }
            match run(&mut pooled) {
                Some(result) => return result,
                None if task.kind == JobKind::Writes => break,
                None => {}
            }
        }
        Err(DbError::Unavailable("the connection broke".into()).into())
    }

    /// A trusted connection from the pool.
    ///
    /// # Errors
    /// The deadline has passed, or the database is down.
    fn checked_out(
        &self,
        deadline: Instant,
    ) -> Result<diesel::r2d2::PooledConnection<Opener>, DbError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pool.get_timeout(left.min(CHECK_INTERVAL)) {
                Ok(mut pooled) => {
                    pooled.dead = pooled.generation != self.health.generation()
                        || pooled.answered < *self.health.trusted_since();
                    if !pooled.dead {
                        return Ok(pooled);
                    }
                }
                Err(error) if left <= CHECK_INTERVAL || self.is_down() => {
                    return Err(DbError::Unavailable(error.to_string()));
                }
                Err(_) => {}
            }
            self.is_being_tried();
        }
    }
}

#[cfg(all(test, feature = "postgres", feature = "sqlite"))]
mod tests;
