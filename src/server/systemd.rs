//! Notifies systemd (`sd_notify`): ready, reloading, stopping, and the watchdog's keep-alive. Does nothing without systemd.

use actix_web::rt::time::sleep;
use sd_notify::NotifyState;

/// The service reloads its configuration; [`NotifyState::Ready`] follows.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    let states = [NotifyState::Reloading].into_iter().chain(now);
    tell(&states.collect::<Vec<_>>());
}

/// Sends a keep-alive twice in each of the watchdog's intervals.
pub(super) async fn feed_watchdog() {
    let Some(span) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        tell(&[NotifyState::Watchdog]);
        sleep(span / 2).await;
    }
}

/// Tells systemd these states.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("can't notify systemd: {error}");
    }
}
