//! One query for all who ask at the same time, as databases commit in groups: whoever asks while it runs waits, with all
//! others who do, for the next one. So nobody gets an answer that is older than the question, and never does more than one
//! query run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A query and those who wait for it.
pub(super) struct SharedQuery<T> {
    waiting: Mutex<Waiting<T>>,
}

struct Waiting<T> {
    is_running: bool,
    askers: Vec<oneshot::Sender<T>>,
}

impl<T: Clone + Send + 'static> SharedQuery<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(SharedQuery {
            waiting: Mutex::new(Waiting {
                is_running: false,
                askers: Vec::new(),
            }),
        })
    }

    /// The answer of a run of `query`, on the blocking pool, that begins after this call; `None` if that run was cut short.
    pub(super) async fn ask(self: &Arc<Self>, query: impl Fn() -> T + Send + 'static) -> Option<T> {
        let (asker, answer) = oneshot::channel();
        let is_running = {
            let mut waiting = self.lock();
            waiting.askers.push(asker);
            std::mem::replace(&mut waiting.is_running, true)
        };
        if !is_running {
            let shared = Arc::clone(self);
            // It runs to its end whoever goes away meanwhile.
            drop(actix_web::web::block(move || shared.run(query)));
        }
        answer.await.ok()
    }

    /// Runs the query for all who wait, again and again until nobody does.
    fn run(&self, query: impl Fn() -> T) {
        let running = Running(self);
        loop {
            let askers = {
                let mut waiting = self.lock();
                if waiting.askers.is_empty() {
                    // Under the lock: the next asker starts the next run.
                    waiting.is_running = false;
                    std::mem::forget(running);
                    return;
                }
                std::mem::take(&mut waiting.askers)
            };
            let answer = query();
            for asker in askers {
                // Who has gone away needs no answer.
                let _ = asker.send(answer.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // No code that can panic runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns those who wait away when the query panics.
struct Running<'q, T: Clone + Send + 'static>(&'q SharedQuery<T>);

impl<T: Clone + Send + 'static> Drop for Running<'_, T> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_running = false;
        waiting.askers.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn those_who_ask_while_it_runs_share_the_next_run() {
        actix_web::rt::System::new().block_on(async {
            let shared = SharedQuery::new();
            let runs = Arc::new(AtomicU64::new(0));
            let (begun, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let counted = Arc::clone(&runs);
            let first = actix_web::rt::spawn({
                let shared = Arc::clone(&shared);
                async move {
                    let query = move || {
                        let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
                        begun.send(()).unwrap();
                        may_end.recv().unwrap();
                        run
                    };
                    shared.ask(query).await
                }
            });
            let _has_begun = actix_web::web::block(move || has_begun.recv().map(|()| has_begun))
                .await
                .unwrap()
                .unwrap();
            let late: Vec<_> = (0..5)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    actix_web::rt::spawn(async move { shared.ask(|| unreachable!()).await })
                })
                .collect();
            // They are all in the queue before the first run may end.
            while shared.lock().askers.len() < late.len() {
                actix_web::rt::task::yield_now().await;
            }
            end.send(()).unwrap();
            end.send(()).unwrap();
            assert_eq!(first.await.unwrap(), Some(1));
            for asker in late {
                assert_eq!(asker.await.unwrap(), Some(2));
            }
            assert_eq!(runs.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_query_that_panics_turns_its_askers_away_and_the_next_one_runs() {
        actix_web::rt::System::new().block_on(async {
            let shared = SharedQuery::<u8>::new();
            assert_eq!(shared.ask(|| panic!("on purpose")).await, None);
            assert_eq!(shared.ask(|| 7).await, Some(7));
        });
    }
}
