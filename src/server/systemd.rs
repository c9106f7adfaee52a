//! What systemd is told and asks for: ready, reloading, stopping, still alive (`sd_notify`). Without systemd nothing is
//! said. Sockets that it hands over are taken in [`super::listeners`].

use actix_web::rt::time::sleep;
use sd_notify::NotifyState;

/// It serves.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its configuration anew; [`ready`] follows.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<_> = [Some(NotifyState::Reloading), now]
        .into_iter()
        .flatten()
        .collect();
    tell(&states);
}

/// It was asked to stop.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells twice in each of the watchdog's spans that the process gets on.
pub(super) async fn feed_watchdog() {
    let Some(span) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        tell(&[NotifyState::Watchdog]);
        sleep(span / 2).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd can't be told: {error}");
    }
}
