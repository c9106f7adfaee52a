//! What is asked of the whole user table: the statistics, and what the page shows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant as Moment;

use super::sockets::Lifeline;
use super::source::{JobKind, Task};
use super::{
    At, Connection, DateShape, Db, ExportError, Joined, Lookup, Preview, Scan, Shared, Stats,
    UserTable, no_answer,
};

impl Db {
    /// The three counts, by a query that began after this call. Those who ask while one runs share the next.
    ///
    /// # Errors
    /// As [`Db::run`], or the view's.
    pub async fn stats(&self, deadline: Moment) -> Result<Stats, Arc<ExportError>> {
        let shared = Arc::clone(&self.shared);
        shared.statistics_questions.fetch_add(1, Ordering::Relaxed);
        let stats = move |connection: &mut Connection, table: &UserTable| {
            shared.statistics_queries.fetch_add(1, Ordering::Relaxed);
            table.stats(connection)
        };
        self.scan(&self.shared.stats, deadline, stats).await
    }

    /// Active users by month, for the page; shared as the statistics are.
    ///
    /// # Errors
    /// As [`Db::stats`].
    pub async fn joined(&self, deadline: Moment) -> Result<Joined, Arc<ExportError>> {
        let joined = |connection: &mut Connection, table: &UserTable| table.joined(connection);
        self.scan(&self.shared.joined, deadline, joined).await
    }

    async fn scan<T: Clone + Send + 'static>(
        &self,
        scan: &Scan<T>,
        deadline: Moment,
        job: impl Fn(&mut Connection, &UserTable) -> Result<T, ExportError> + Send + 'static,
    ) -> Result<T, Arc<ExportError>> {
        self.refuse_if_down(At::Replica)
            .map_err(|error| Arc::new(error.into()))?;
        let lifeline = scan.lifeline.clone();
        let task = Task::new(JobKind::Long, deadline, lifeline.clone());
        let shared = Arc::clone(&self.shared);
        let answer = scan.query.ask(move || {
            // For those who ask meanwhile, too.
            let limits = Task::new(JobKind::Long, super::deadline(), lifeline);
            limits.lifeline.begin(limits.deadline);
            shared
                .with_table(At::Replica, &limits, &job)
                .map_err(Arc::new)
        });
        let answer = self.supervise(At::Replica, task, answer).await;
        answer.unwrap_or_else(|| Err(Arc::new(no_answer().into())))
    }

    /// Some of the exportable users, for the page.
    ///
    /// # Errors
    /// As [`Db::export`].
    pub async fn preview(
        &self,
        deadline: Moment,
        dates: &DateShape,
        lookup: Lookup,
    ) -> Result<Preview, ExportError> {
        let task = Task::new(JobKind::Long, deadline, Lifeline::default());
        let dates = dates.clone();
        let job = move |connection: &mut Connection, table: &UserTable| {
            table.preview(connection, &dates, &lookup)
        };
        self.in_lane(&self.shared.previews, At::Replica, task, job)
            .await
    }

    /// How many have asked for statistics, and how many queries answered them.
    pub fn statistics_figures(&self) -> (u64, u64) {
        let Shared {
            statistics_questions,
            statistics_queries,
            ..
        } = &*self.shared;
        (
            statistics_questions.load(Ordering::Relaxed),
            statistics_queries.load(Ordering::Relaxed),
        )
    }
}
