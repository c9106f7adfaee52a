//! The signals that stop the service or have it read its files again.

use std::io;

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use futures_util::future::select_all;

/// SIGHUP, SIGINT and SIGTERM, or some of them: one after the other.
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    /// From now on, these signals do not end the process by themselves.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new(kinds: &[SignalKind]) -> io::Result<Signals> {
        let signals = kinds.iter().map(|kind| signal(*kind));
        Ok(Signals(signals.collect::<io::Result<_>>()?))
    }

    /// Waits for the next of them.
    pub(super) async fn next(&mut self) {
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}
