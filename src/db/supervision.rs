//! Who waits for a job, and what is done about one that hangs: a client library may read for ever.
//!
//! A job that reads a few rows has its caller's time and no more. One that reads a whole table may take longer, as long as it
//! gets on: it counts rows, or the server says that its session is at work. What does not get on is cut off, and a database
//! that gives no sign of life to anybody is taken for down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::connection::{Connection, Doing};
use super::sockets::Lifeline;
use super::source::{JobKind, Task};
use super::{At, Db, DbError};
use crate::blocking::{Answer, Waited};

/// How long a database may take to give a sign of life, while a job that reads a whole table takes its time.
const SIGN_OF_LIFE: Duration = Duration::from_millis(750);

/// How often it is asked for one.
const SILENCE: Duration = Duration::from_secs(4);

/// The longest that any job runs.
const LONGEST_JOB: Duration = Duration::from_secs(120);

/// What was heard of a database.
enum Heard<T> {
    /// An answer
    Answer(T),
    /// Nothing, or that it can't be reached
    Nothing,
    /// It was not asked: nobody had the time
    Unasked,
}

impl Db {
    /// Nobody waits for a database that is known to be down.
    pub(super) fn refuse_if_down(&self, at: At) -> Result<(), DbError> {
        let source = self.shared.source(at);
        if !source.is_down() {
            return Ok(());
        }
        if !source.is_being_tried() {
            let shared = Arc::clone(&self.shared);
            let questions = &self.shared.questions;
            drop(questions.start(move || shared.source(at).try_again()));
        }
        Err(DbError::Unavailable("it can't be connected to".into()))
    }

    /// The answer of a job. One that takes too long is ended, whether or not the client still waits.
    pub(super) async fn supervise<T: Send + 'static>(
        &self,
        at: At,
        task: Task,
        mut answer: Answer<T>,
    ) -> Option<T> {
        let db = self.clone();
        let (tell, told) = oneshot::channel();
        actix_web::rt::spawn(async move {
            let left = task.deadline.saturating_duration_since(Instant::now());
            let mut waited = match task.kind {
                JobKind::Short | JobKind::Writes => answer.wait(left).await,
                JobKind::Long => answer.wait(left.saturating_sub(2 * SIGN_OF_LIFE)).await,
            };
            let mut progress = task.lifeline.progress().load(Ordering::Relaxed);
            let mut patience = SIGN_OF_LIFE;
            while task.kind == JobKind::Long && matches!(waited, Waited::Running) {
                waited = answer.wait(patience).await;
                let is_on_its_way = matches!(waited, Waited::Running)
                    && task.deadline.elapsed() < LONGEST_JOB
                    && db.gets_on(at, &task, &mut progress).await;
                if !is_on_its_way {
                    break;
                }
                patience = SILENCE;
            }
            // A job for several askers has the time of the last of them. Who came first leaves without an answer, and its
            // job is ended when its own time is over.
            let left = task.lifeline.left();
            let mut tell = Some(tell);
            if matches!(waited, Waited::Running) && !left.is_zero() {
                tell = None;
                waited = answer.wait(left).await;
            }
            // It is cut again where it has gone on to another connection meanwhile.
            for _ in 0..5 {
                match waited {
                    Waited::Answered(answer) => {
                        if let Some(tell) = tell {
                            let _ = tell.send(answer);
                        }
                        return;
                    }
                    Waited::Nothing => return,
                    // Whoever asked does not wait for the end of the job.
                    Waited::Running if task.deadline <= Instant::now() => tell = None,
                    Waited::Running => {}
                }
                if task.lifeline.cut() {
                    db.shared.source(at).distrust_idle();
                    actix_web::rt::spawn(db.clone().suspect_if_silent(at));
                }
                waited = answer.wait(Duration::from_millis(100)).await;
            }
        });
        told.await.ok()
    }

    /// Whether a job gets on, as far as it can be seen from outside.
    async fn gets_on(&self, at: At, task: &Task, progress: &mut u64) -> bool {
        let now = task.lifeline.progress().load(Ordering::Relaxed);
        if std::mem::replace(progress, now) != now {
            return true;
        }
        let session = task.lifeline.session();
        let doing = self.ask_another(at, move |connection| match session {
            Some(session) => connection.doing(session),
            None if connection.is_alive() => Doing::Work,
            None => Doing::Nothing,
        });
        match doing.await {
            Heard::Answer(doing) => doing == Doing::Work,
            Heard::Nothing => false,
            Heard::Unasked => !self.shared.source(at).is_down(),
        }
    }

    /// A job hung, and so may everything: whoever comes next is to know.
    async fn suspect_if_silent(self, at: At) {
        let is_alive = self.ask_another(at, Connection::is_alive).await;
        if let Heard::Nothing | Heard::Answer(false) = is_alive {
            self.shared.source(at).suspect();
        }
    }

    /// What `question` is answered on another connection, soon.
    async fn ask_another<T: Send + 'static>(
        &self,
        at: At,
        question: impl Fn(&mut Connection) -> T + Send + 'static,
    ) -> Heard<T> {
        let deadline = Instant::now() + SIGN_OF_LIFE;
        let task = Task::new(JobKind::Short, deadline, Lifeline::default());
        let (shared, limits) = (Arc::clone(&self.shared), task.clone());
        let mut answer = self.shared.questions.start(move || {
            let ask = |connection: &mut Connection| Ok::<_, DbError>(question(connection));
            shared.source(at).run(&limits, &ask)
        });
        match answer.wait(SIGN_OF_LIFE).await {
            Waited::Answered(Ok(answer)) => Heard::Answer(answer),
            Waited::Answered(Err(_)) => Heard::Nothing,
            Waited::Running => {
                task.lifeline.cut();
                Heard::Nothing
            }
            Waited::Nothing => Heard::Unasked,
        }
    }
}
