//! Waiting for a turn: who waits may give up before it begins, and is told when it has begun already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::rt::time::timeout;
use tokio::sync::oneshot;

/// Someone who waits, as those see it whom he waits for.
pub(super) struct Asker<T> {
    is_settled: Arc<AtomicBool>,
    answer: oneshot::Sender<T>,
}

/// The other end: the answer to come.
pub struct Answer<T> {
    is_settled: Arc<AtomicBool>,
    answer: oneshot::Receiver<T>,
}

/// What waiting came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// The answer
    Answered(T),
    /// The turn has begun, and takes its time: wait again, or leave.
    Running,
    /// There will be no answer: the turn had not begun, so it never will; or it was cut short by a panic.
    Nothing,
}

/// Both ends.
pub(super) fn asker<T>() -> (Asker<T>, Answer<T>) {
    let is_settled = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = oneshot::channel();
    let asker = Asker {
        is_settled: Arc::clone(&is_settled),
        answer: sender,
    };
    let answer = Answer {
        is_settled,
        answer: receiver,
    };
    (asker, answer)
}

impl<T> Asker<T> {
    /// Begins his turn; `None` if he has given up or gone away.
    pub(super) fn begin(self) -> Option<oneshot::Sender<T>> {
        let has_given_up = self.is_settled.swap(true, Ordering::AcqRel);
        (!has_given_up && !self.answer.is_closed()).then_some(self.answer)
    }
}

impl<T> Answer<T> {
    /// Waits for so long. Not to be called again once it gave an answer or nothing.
    pub async fn wait(&mut self, patience: Duration) -> Waited<T> {
        match timeout(patience, &mut self.answer).await {
            Ok(Ok(answer)) => Waited::Answered(answer),
            Ok(Err(_)) => Waited::Nothing,
            Err(_) if self.is_settled.swap(true, Ordering::AcqRel) => Waited::Running,
            Err(_) => Waited::Nothing,
        }
    }

    /// The answer; `None` if the turn did not begin within `patience`, or was cut short by a panic.
    pub async fn once_begun(mut self, patience: Duration) -> Option<T> {
        loop {
            match self.wait(patience).await {
                Waited::Answered(answer) => return Some(answer),
                Waited::Nothing => return None,
                Waited::Running => {}
            }
        }
    }
}
