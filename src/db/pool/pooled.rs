//! The connections of a pool as r2d2 opens and drops them, and what they show of the database's health.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel::r2d2::ManageConnection;

use super::attempts::Attempts;
use super::lifeline::Hold;
use crate::db::connection::Connection;
use crate::db::connection::opener::ConnectionOpener;
use crate::telemetry::RateLimitedLog;

/// An attempt to connect that fails within this time did not wait for a silent server.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What jobs and attempts to connect have shown.
pub(super) struct Health {
    /// `None` for a file, since opening it does not hang
    pub(super) attempts: Option<Attempts>,
    pub(super) latest_failed: AtomicBool,
    pub(super) is_closed: AtomicBool,
    /// A job has hung, and no connection was opened since
    pub(super) is_suspected: AtomicBool,
    /// How often that has happened. Connections of earlier generations are not trusted
    pub(super) generation: AtomicU64,
    /// Connections whose latest answer is older are not trusted
    pub(super) trusted_since: Mutex<Instant>,
}

impl Health {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn trusted_since(&self) -> MutexGuard<'_, Instant> {
        // No code that can panic runs under the lock.
        self.trusted_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pooled connection.
pub(super) struct Pooled {
    pub(super) connection: Connection,
    pub(super) generation: u64,
    pub(super) hold: Hold,
    /// When it was opened, or its latest job ended
    pub(super) answered: Instant,
    /// Whether an error has shown that the connection must be closed
    pub(super) dead: bool,
}

/// Opens connections for r2d2.
pub(super) struct Opener {
    pub(super) opener: ConnectionOpener,
    pub(super) health: Arc<Health>,
}

impl ManageConnection for Opener {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        let establish = || {
            if self.health.is_closed.load(Ordering::Acquire) {
                return Err(ConnectionError::BadConnection(
                    "shutting down: no new connections".into(),
                ));
            }
            let before = self.health.generation();
            let mut connection = self.opener.establish()?;
            let after = self.health.generation();
            // The first query belongs to the attempt, since a server may fall silent before it answers one. Behind a
            // pooler the session can change at any time, so its number is of no use.
            let session = match self.opener.settings.prepares {
                true => connection.session(),
                false => None,
            };
            // This query was answered, so a suspicion from before it does not concern this connection.
            let generation = match session {
                Some(_) => after,
                None => before,
            };
            Ok((connection, session, generation))
        };
        let connected = match &self.health.attempts {
            None => establish().map(|connected| (connected, None)),
            // An operator may end a session as it begins. That does not mean that the server is down, so it is tried again.
            Some(attempts) => attempts.watch(|| {
                let began = Instant::now();
                establish().or_else(|error| match began.elapsed() < AT_ONCE {
                    true => establish(),
                    false => Err(error),
                })
            }),
        };
        let failed = connected.is_err();
        self.health.latest_failed.store(failed, Ordering::Release);
        let ((connection, session, generation), socket) = connected?;
        if generation == self.health.generation() {
            self.health.is_suspected.store(false, Ordering::Release);
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
        // A job that panicked may have left a transaction open without Diesel's knowledge.
        pooled.dead || std::thread::panicking() || pooled.connection.is_broken()
    }
}

/// Logs failed connections, one line a minute: r2d2 retries in the background, many times a minute.
#[derive(Debug, Default)]
pub(super) struct LogConnectionErrors(RateLimitedLog);

impl r2d2::HandleError<ConnectionError> for LogConnectionErrors {
    fn handle_error(&self, error: ConnectionError) {
        let message = format_args!("can't connect to the database: {error}");
        self.0
            .every_minute(log::Level::Warn, module_path!(), message);
    }
}
