//! Waiting for signals: those that stop the service, and SIGHUP.

use std::io;

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use futures_util::future::select_all;

/// A set of signals to wait for.
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    /// Registers the signals: from now on they do not end the process by themselves.
    pub(super) fn new(kinds: &[SignalKind]) -> io::Result<Signals> {
        let signals = kinds.iter().map(|kind| signal(*kind));
        Ok(Signals(signals.collect::<io::Result<_>>()?))
    }

    /// Waits for the next signal of the set.
    pub(super) async fn next(&mut self) {
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}
