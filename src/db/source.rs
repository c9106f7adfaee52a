//! One database: its pool of connections, what is known of its being away, and the jobs that run on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel::r2d2::{ManageConnection, Pool};
use nix::unistd::{AccessFlags, access};

use super::PoolFigures;
use super::connection::{Connection, ConnectionOpener, STATEMENT_LIMIT, SessionSettings};
use super::error::{DbError, MayBeDbError};
use super::sockets::{Attempts, Hold, Lifeline, UnderWay};
use crate::config::Backend;
use crate::telemetry::RateLimitedLog;

/// The longest pause between two attempts to connect is half of this.
const RETRY: Duration = Duration::from_secs(2);

/// How long one look for a connection lasts before it is asked whether there can be one at all.
const LOOK: Duration = Duration::from_millis(100);

/// An attempt to connect that fails within this time was no wait for a server that is silent.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A connection that answered within this time before a job was cut has nothing to do with that: the job hung for longer.
const LATELY: Duration = Duration::from_secs(1);

/// What a job does to the database, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobKind {
    /// Reads a few rows by their keys
    Short,
    /// Reads a whole table
    Long,
    /// Writes, so that it never runs twice
    Writes,
}

/// A job's kind and its limits.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) kind: JobKind,
    /// Until when a connection is looked for, and a lock waited for
    pub(super) deadline: Instant,
    pub(super) lifeline: Lifeline,
}

impl Task {
    /// A job of this kind whose caller waits for so long.
    pub(super) fn new(kind: JobKind, deadline: Instant, lifeline: Lifeline) -> Task {
        Task {
            kind,
            deadline,
            lifeline,
        }
    }

    /// What must be known before the job itself can run, within the same time.
    pub(super) fn preparing(&self) -> Task {
        Task {
            kind: JobKind::Short,
            ..self.clone()
        }
    }
}

/// A database and the connections to it.
pub(super) struct Source {
    pool: Pool<Opener>,
    contact: Arc<Contact>,
    file: Option<PathBuf>,
    settings: SessionSettings,
    size: u32,
}

/// What the attempts to connect have shown.
struct Contact {
    /// `None`: it is a file, and opening that does not hang
    attempts: Option<Attempts>,
    latest_failed: AtomicBool,
    is_closed: AtomicBool,
    /// A job has hung, and no connection was made since
    is_suspected: AtomicBool,
    /// How often that has happened: connections from before are not trusted
    generation: AtomicU64,
    /// A connection whose latest answer is older is not trusted
    trusted_since: Mutex<Instant>,
}

impl Source {
    /// The database of this name, with at most `size` connections, opened when they are first needed.
    pub(super) fn new(
        name: &'static str,
        opener: ConnectionOpener,
        size: u32,
        under_way: &Arc<UnderWay>,
    ) -> Source {
        let settings = opener.settings.clone();
        let file = (opener.url.backend() == Backend::Sqlite).then(|| opener.url.target().into());
        let contact = Arc::new(Contact {
            attempts: file
                .is_none()
                .then(|| Attempts::new(name, opener.url.ports(), under_way)),
            latest_failed: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_suspected: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            trusted_since: Mutex::new(Instant::now()),
        });
        let opener = Opener {
            opener,
            contact: Arc::clone(&contact),
        };
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .connection_timeout(RETRY)
            // A dead connection shows itself by its first error, and the job is then run again on a fresh one.
            .test_on_check_out(false)
            .error_handler(Box::<LogConnectionErrors>::default())
            .build_unchecked(opener);
        Source {
            pool,
            contact,
            file,
            settings,
            size,
        }
    }

    /// Whether nothing has been heard of it since a job hung, or there is no connection, the latest attempt to make one
    /// failed, and a file is still not there. A file is not opened for that: closing it would end the locks that this
    /// process holds on it (POSIX, `fcntl`), SQLite's among them.
    pub(super) fn is_down(&self) -> bool {
        self.contact.is_suspected.load(Ordering::Acquire)
            || (self.contact.latest_failed.load(Ordering::Acquire)
                && self.pool.state().connections == 0
                && self
                    .file
                    .as_ref()
                    .is_none_or(|path| access(path, AccessFlags::R_OK).is_err()))
    }

    /// What there is of its connections.
    pub(super) fn figures(&self, database: &'static str) -> PoolFigures {
        let open = self.pool.state();
        PoolFigures {
            database,
            is_up: !self.is_down(),
            idle: open.idle_connections,
            used: open.connections.saturating_sub(open.idle_connections),
            most: self.size,
        }
    }

    /// Whether attempts to connect go on, as r2d2 makes them by itself once one was asked for. One that hangs is ended.
    pub(super) fn is_being_tried(&self) -> bool {
        // A missing file was asked for.
        let attempts = self.contact.attempts.as_ref();
        attempts.is_none_or(Attempts::end_overdue)
    }

    /// Has an attempt to connect made, without waiting for it. Blocking, but not for long.
    pub(super) fn try_again(&self) {
        drop(self.checked_out(Instant::now() + Duration::from_millis(1)));
    }

    /// Makes no more connections; returns when no attempt is under way, or soon.
    pub(super) fn close(&self) {
        self.contact.is_closed.store(true, Ordering::Release);
        self.contact.attempts.iter().for_each(Attempts::finish);
    }

    /// Notes that a job has hung: the connections that there are may hang as well.
    pub(super) fn suspect(&self) {
        if !self.contact.is_suspected.swap(true, Ordering::AcqRel) {
            self.contact.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Notes that a job was cut: a connection that answered nothing lately may hang as well, and is closed when it is taken
    /// from the pool. Otherwise each of them would cost one more job its time.
    pub(super) fn distrust_idle(&self) {
        if let Some(lately) = Instant::now().checked_sub(LATELY) {
            *self.contact.trusted_since() = lately;
        }
    }

    /// What `job` returns; when its connection turns out to be dead, once more on another. Blocking.
    ///
    /// # Errors
    /// The job's, or that no connection was to be had.
    pub(super) fn run<T, E: MayBeDbError>(
        &self,
        task: &Task,
        job: &dyn Fn(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        // `None`: the connection is of no more use, whatever the job made of it.
        let run = |pooled: &mut Pooled| {
            let attached = task.lifeline.attach(pooled.hold);
            let began = Instant::now();
            let left = task.deadline.saturating_duration_since(began);
            let limited = |connection: &mut Connection| {
                connection.limited(&self.settings, task.kind, left, job)
            };
            let result = match limited(&mut pooled.connection) {
                Err(_) if !pooled.connection.is_alive() => {
                    pooled.dead = true;
                    None
                }
                Err(error) => {
                    pooled.dead |=
                        error.db_error().is_some() && pooled.connection.is_spoilt_by_errors();
                    // A migration may have changed a column's type since the statement was prepared.
                    let is_refused = matches!(error.db_error(), Some(DbError::Refused(_)));
                    let result = match task.kind {
                        JobKind::Short | JobKind::Long
                            if is_refused
                                && self.settings.prepares
                                && pooled.connection.forget_statements() =>
                        {
                            pooled.dead = true;
                            limited(&mut pooled.connection)
                        }
                        _ => Err(error),
                    };
                    Some(result.map_err(|error| error.after(began.elapsed(), STATEMENT_LIMIT)))
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
        // After a restart of the database every idle connection is dead: each is asked before the job runs again. What
        // writes is asked first, and never run again: nobody could tell whether the lost answer was a success.
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

    /// A connection; none after the deadline, nor when there can't be one.
    fn checked_out(
        &self,
        deadline: Instant,
    ) -> Result<diesel::r2d2::PooledConnection<Opener>, DbError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pool.get_timeout(left.min(LOOK)) {
                Ok(mut pooled) => {
                    pooled.dead = pooled.generation != self.contact.generation()
                        || pooled.answered < *self.contact.trusted_since();
                    if !pooled.dead {
                        return Ok(pooled);
                    }
                }
                Err(error) if left <= LOOK || self.is_down() => {
                    return Err(DbError::Unavailable(error.to_string()));
                }
                Err(_) => {}
            }
            self.is_being_tried();
        }
    }
}

impl Contact {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn trusted_since(&self) -> MutexGuard<'_, Instant> {
        // No code that can panic runs under the lock.
        self.trusted_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pooled connection.
struct Pooled {
    connection: Connection,
    generation: u64,
    hold: Hold,
    /// When it was opened, or its latest job ended
    answered: Instant,
    /// An error has shown that it is of no more use
    dead: bool,
}

/// Opens connections for r2d2.
struct Opener {
    opener: ConnectionOpener,
    contact: Arc<Contact>,
}

impl ManageConnection for Opener {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        let establish = || {
            if self.contact.is_closed.load(Ordering::Acquire) {
                return Err(ConnectionError::BadConnection("the end is near".into()));
            }
            let before = self.contact.generation();
            let mut connection = self.opener.establish()?;
            let after = self.contact.generation();
            // The first answer belongs to the attempt: a server may fall silent before it. Behind a pooler the session
            // changes by itself.
            let session = match self.opener.settings.prepares {
                true => connection.session(),
                false => None,
            };
            // What was suspected before a question that was answered is not true of this connection.
            let generation = match session {
                Some(_) => after,
                None => before,
            };
            Ok((connection, session, generation))
        };
        let connected = match &self.contact.attempts {
            None => establish().map(|connected| (connected, None)),
            // A session that is ended as it begins, by an operator say, tells nothing of the server: the next one does.
            Some(attempts) => attempts.watch(|| {
                let began = Instant::now();
                establish().or_else(|error| match began.elapsed() < AT_ONCE {
                    true => establish(),
                    false => Err(error),
                })
            }),
        };
        let failed = connected.is_err();
        self.contact.latest_failed.store(failed, Ordering::Release);
        let ((connection, session, generation), socket) = connected?;
        if generation == self.contact.generation() {
            self.contact.is_suspected.store(false, Ordering::Release);
        }
        Ok(Pooled {
            hold: Hold { socket, session },
            answered: Instant::now(),
            connection,
            generation,
            dead: false,
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectionError> {
        match pooled.connection.is_alive() {
            true => Ok(()),
            false => Err(ConnectionError::BadConnection(
                "the connection is dead".into(),
            )),
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        // A panic may have left a transaction open that Diesel does not know of.
        pooled.dead || std::thread::panicking() || pooled.connection.is_broken()
    }
}

/// r2d2 retries failed connections in the background, many times a minute; the log gets one line a minute.
#[derive(Debug, Default)]
struct LogConnectionErrors(RateLimitedLog);

impl r2d2::HandleError<ConnectionError> for LogConnectionErrors {
    fn handle_error(&self, error: ConnectionError) {
        let message = format_args!("can't connect to the database: {error}");
        self.0
            .every_minute(log::Level::Warn, module_path!(), message);
    }
}

#[cfg(all(test, feature = "postgres", feature = "sqlite"))]
mod tests;
