//! The workers that are replaced together.

use std::sync::Arc;

use super::lane::{Lane, lanes};
use crate::blocking::workers::Workers;

/// A generation: the workers of all lanes. Each connection remembers the number of the generation in which it was opened.
pub(super) struct Generation {
    /// How many generations were replaced before
    pub(super) number: u64,
    workers: [Arc<Workers>; 7],
}

impl Generation {
    /// A generation without threads; they start when jobs come.
    pub(super) fn new(number: u64, queries: usize, exports: usize) -> Arc<Generation> {
        let workers = lanes(queries, exports).map(|(name, most)| Workers::new(name, most));
        Arc::new(Generation { number, workers })
    }

    /// The workers of a lane.
    pub(super) fn workers(&self, lane: Lane) -> &Arc<Workers> {
        // The array is as long as the enum.
        &self.workers[lane as usize]
    }

    /// Drops all queued jobs, and ends each thread after its present job.
    pub(super) fn close(&self) {
        self.workers.iter().for_each(|workers| workers.close());
    }

    /// How many threads run a job.
    pub(super) fn busy(&self) -> usize {
        self.workers.iter().map(|workers| workers.busy()).sum()
    }
}
