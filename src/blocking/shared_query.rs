//! One query for all who ask at the same time, as databases commit in groups: whoever asks while it runs waits, with all
//! others who do, for the next one. So nobody gets an answer that is older than the question, and never does more than one
//! query run.

use std::sync::{Arc, Mutex, PoisonError};

use super::lanes::Lanes;
use super::turns::{Answer, Asker, asker};

/// Those who wait for a query, and the lane in which it runs.
pub struct SharedQuery<T> {
    lane: Arc<Lanes>,
    askers: Mutex<Vec<Asker<T>>>,
}

impl<T: Clone + Send + 'static> SharedQuery<T> {
    /// A query that nobody waits for yet.
    pub fn new() -> Arc<Self> {
        Arc::new(SharedQuery {
            lane: Lanes::new(1),
            askers: Mutex::default(),
        })
    }

    /// The answer of a run of `query`, or of another asker's, that begins after this call.
    pub fn ask(self: &Arc<Self>, query: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let (asker, answer) = asker();
        self.lock().push(asker);
        let shared = Arc::clone(self);
        self.lane.queue(move || {
            // Whoever has been answered by the run before has nobody left to ask for.
            let askers = std::mem::take(&mut *shared.lock());
            let askers: Vec<_> = askers.into_iter().filter_map(Asker::begin).collect();
            if askers.is_empty() {
                return;
            }
            let answer = query();
            for asker in askers {
                let _ = asker.send(answer.clone());
            }
        });
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Asker<T>>> {
        // No code that can panic runs under the lock.
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn those_who_ask_while_it_runs_share_the_next_run() {
        actix_web::rt::System::new().block_on(async {
            let shared = SharedQuery::new();
            let runs = Arc::new(AtomicU64::new(0));
            let count = {
                let runs = Arc::clone(&runs);
                move || runs.fetch_add(1, Ordering::SeqCst) + 1
            };
            let (begin, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel::<()>();
            let first = actix_web::rt::spawn({
                let (shared, count) = (Arc::clone(&shared), count.clone());
                let query = move || {
                    begin.send(()).unwrap();
                    may_end.recv().unwrap();
                    count()
                };
                shared.ask(query).once_begun(LONG)
            });
            let has_begun = actix_web::web::block(move || has_begun.recv()).await;
            has_begun.unwrap().unwrap();
            let late: Vec<_> = (0..5)
                .map(|_| {
                    let (shared, count) = (Arc::clone(&shared), count.clone());
                    actix_web::rt::spawn(shared.ask(count).once_begun(LONG))
                })
                .collect();
            // All of them wait before the first run may end.
            while shared.lock().len() < late.len() {
                actix_web::rt::task::yield_now().await;
            }
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
            assert_eq!(
                shared.ask(|| panic!("on purpose")).once_begun(LONG).await,
                None
            );
            assert_eq!(shared.ask(|| 7).once_begun(LONG).await, Some(7));
        });
    }
}
