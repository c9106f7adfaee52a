//! Waiting for a turn: who waits gives up after a while, but not once it has begun.

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
pub(super) struct Answer<T> {
    is_settled: Arc<AtomicBool>,
    answer: oneshot::Receiver<T>,
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
    /// The answer; `None` if the turn did not begin within `patience`, or was cut short by a panic.
    pub(super) async fn wait(mut self, patience: Duration) -> Option<T> {
        match timeout(patience, &mut self.answer).await {
            Ok(answer) => answer.ok(),
            Err(_) if self.is_settled.swap(true, Ordering::AcqRel) => self.answer.await.ok(),
            Err(_) => None,
        }
    }
}
