//! Watches running jobs, and ends those that hang: a client library may wait for an answer without end.
//!
//! A short job has until its caller's deadline. A job that reads a whole table may take longer, while it counts rows or the
//! server says that its session is active. A job without progress is cut. A database that then answers no ping either is
//! taken for down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::database::Database;
use super::task::Task;
use crate::blocking::pending_job::{PendingJob, Wait};
use crate::db::connection::job_kind::JobKind;
use crate::db::connection::{Connection, Doing};
use crate::db::error::DbError;

/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_millis(750);

/// The time between two pings during a job that reads a whole table.
const PING_INTERVAL: Duration = Duration::from_secs(4);

/// The longest that a job may run.
const LONGEST_JOB: Duration = Duration::from_secs(120);

/// The result of a ping.
enum Ping<T> {
    /// The database's answer
    Answer(T),
    /// No answer, or no connection
    Silence,
    /// The ping was not sent, since all ping workers were busy
    NotSent,
}

impl Database {
    /// Fails at once while the database is down, and sees to it that attempts to connect go on.
    pub(crate) fn refuse_if_down(self: &Arc<Self>) -> Result<(), DbError> {
        if !self.is_down() {
            return Ok(());
        }
        if !self.is_being_tried() {
            let database = Arc::clone(self);
            drop(self.pings.start(move || database.try_again()));
        }
        Err(DbError::Unavailable("it can't be connected to".into()))
    }

    /// The answer of a job; `None` if it hung or panicked. The job is watched to its end even if the client goes away.
    pub(crate) async fn supervise<T: Send + 'static>(
        self: &Arc<Self>,
        task: Task,
        mut answer: PendingJob<T>,
    ) -> Option<T> {
        let database = Arc::clone(self);
        let (sender, receiver) = oneshot::channel();
        actix_web::rt::spawn(async move {
            let left = task.deadline.saturating_duration_since(Instant::now());
            let mut waited = match task.kind {
                JobKind::Short | JobKind::Writes => answer.wait(left).await,
                JobKind::Long => answer.wait(left.saturating_sub(2 * PING_TIMEOUT)).await,
            };
            let mut progress = task.lifeline.progress().load(Ordering::Relaxed);
            let mut interval = PING_TIMEOUT;
            while task.kind == JobKind::Long && matches!(waited, Wait::Running) {
                waited = answer.wait(interval).await;
                let goes_on = matches!(waited, Wait::Running)
                    && task.deadline.elapsed() < LONGEST_JOB
                    && database.makes_progress(&task, &mut progress).await;
                if !goes_on {
                    break;
                }
                interval = PING_INTERVAL;
            }
            // A shared job may run until the deadline of its last caller. This caller gets no answer, and the job is cut
            // at that later deadline.
            let left = task.lifeline.left();
            let mut sender = Some(sender);
            if matches!(waited, Wait::Running) && !left.is_zero() {
                sender = None;
                waited = answer.wait(left).await;
            }
            // The job is cut more than once, since it may have gone on to another connection.
            for _ in 0..5 {
                match waited {
                    Wait::Done(answer) => {
                        if let Some(sender) = sender {
                            let _ = sender.send(answer);
                        }
                        return;
                    }
                    Wait::Dropped => return,
                    // The caller does not wait for the end of the job.
                    Wait::Running if task.deadline <= Instant::now() => sender = None,
                    Wait::Running => {}
                }
                if task.lifeline.cut() {
                    database.distrust_idle();
                    actix_web::rt::spawn(Arc::clone(&database).suspect_if_silent());
                }
                waited = answer.wait(Duration::from_millis(100)).await;
            }
        });
        receiver.await.ok()
    }

    /// Whether the job has counted rows since the last call, or its session is active.
    async fn makes_progress(self: &Arc<Self>, task: &Task, progress: &mut u64) -> bool {
        let now = task.lifeline.progress().load(Ordering::Relaxed);
        if std::mem::replace(progress, now) != now {
            return true;
        }
        let session = task.lifeline.session();
        let doing = self.ping(move |connection| match session {
            Some(session) => connection.doing(session),
            None if connection.is_alive() => Doing::Work,
            None => Doing::Nothing,
        });
        match doing.await {
            Ping::Answer(doing) => doing == Doing::Work,
            Ping::Silence => false,
            Ping::NotSent => !self.is_down(),
        }
    }

    /// Pings the database after a job hung. Without an answer the database is down.
    async fn suspect_if_silent(self: Arc<Self>) {
        let is_alive = self.ping(Connection::is_alive).await;
        if let Ping::Silence | Ping::Answer(false) = is_alive {
            self.suspect();
        }
    }

    /// Runs a query on another connection, with the timeout of a ping.
    async fn ping<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl Fn(&mut Connection) -> T + Send + 'static,
    ) -> Ping<T> {
        let deadline = Instant::now() + PING_TIMEOUT;
        let task = Task::new(JobKind::Short, deadline);
        let (database, limits) = (Arc::clone(self), task.clone());
        let mut answer = self.pings.start(move || {
            database.run(&limits, &|connection| Ok::<_, DbError>(query(connection)))
        });
        match answer.wait(PING_TIMEOUT).await {
            Wait::Done(Ok(answer)) => Ping::Answer(answer),
            Wait::Done(Err(_)) => Ping::Silence,
            Wait::Running => {
                task.lifeline.cut();
                Ping::Silence
            }
            Wait::Dropped => Ping::NotSent,
        }
    }
}
