//! The end of the service: the steps between the first signal and the last answer, and SIGHUP.

use std::fmt::Display;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;
use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::rt::time::sleep;
use futures_util::future::{select, select_all};
use sd_notify::NotifyState;
use tokio::sync::oneshot;

use super::systemd;
use crate::config::{Config, ConfigErrors};
use crate::state::State;

/// Reads the configuration again. May block.
pub type Reload = Arc<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

/// How long running requests may take to finish, once the service stops.
pub(super) const LONGEST_FINISH: Duration = Duration::from_secs(30);

/// How long the service still reads from accepted connections after it has paused its listeners. Actix drops a connection
/// that it has handed to a worker in the moment in which it stops, so the request on it is read first. Where systemd holds
/// the listener, later connections wait there for the next process.
const LAST_ACCEPTED: Duration = Duration::from_millis(100);

/// The signals that stop the service, registered: from now on they don't end the process by themselves.
pub(super) fn stop_signals(reloads: bool) -> io::Result<Vec<Signal>> {
    let stop = [SignalKind::terminate(), SignalKind::interrupt()];
    let hang_up = Some(SignalKind::hangup()).filter(|_| !reloads);
    stop.into_iter().chain(hang_up).map(signal).collect()
}

async fn next_of(signals: &mut [Signal]) {
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}

/// Waits for the first signal, then lets the servers finish. Returns only at a second signal: when all requests are
/// answered, the servers' own futures end.
pub(super) async fn stop(
    state: &State,
    mut signals: Vec<Signal>,
    servers: Vec<ServerHandle>,
    delay: Duration,
) {
    next_of(&mut signals).await;
    // Tells systemd, and the load balancer by readyz.
    log::info!("stopping");
    systemd::tell(&[NotifyState::Stopping]);
    state.is_stopping.store(true, Ordering::Relaxed);
    let finish = async {
        pause(&servers, delay).await;
        for server in &servers {
            drop(server.stop(true));
        }
        pending::<()>().await;
    };
    select(pin!(finish), pin!(next_of(&mut signals))).await;
}

/// Serves on for the configured delay, then accepts no more connections.
async fn pause(servers: &[ServerHandle], delay: Duration) {
    sleep(delay).await;
    for server in servers {
        server.pause().await;
    }
    sleep(LAST_ACCEPTED).await;
}

/// Reads the configuration again at each SIGHUP; without `reload` it does nothing.
pub(super) async fn reload_at_hang_up(state: &State, mut hang_ups: Signal, reload: Option<Reload>) {
    while let Some(reload) = &reload {
        hang_ups.recv().await;
        systemd::reloading();
        state.reload(on_thread(Arc::clone(reload)).await);
        systemd::tell(&[NotifyState::Ready]);
    }
}

/// Reads the configuration on a thread: a file may hang, and signals and the watchdog must not wait for it.
async fn on_thread(reload: Reload) -> Result<Config, ConfigErrors> {
    let (sender, config) = oneshot::channel();
    let thread = Builder::new().name("reload".into());
    let thread = thread.spawn(move || drop(sender.send(reload())));
    let failed = |error: &dyn Display| ConfigErrors(vec![format!("it can't be read: {error}")]);
    thread.map_err(|error| failed(&error))?;
    config.await.unwrap_or_else(|error| Err(failed(&error)))
}
