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
use actix_web::rt::signal::unix::SignalKind;
use actix_web::rt::time::sleep;
use futures_util::future::select;
use tokio::sync::oneshot;

use super::signals::Signals;
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
pub(super) fn stop_signals(reloads: bool) -> io::Result<Signals> {
    let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
    if !reloads {
        kinds.push(SignalKind::hangup());
    }
    Signals::new(&kinds)
}

/// SIGHUP, registered.
pub(super) fn hang_ups() -> io::Result<Signals> {
    Signals::new(&[SignalKind::hangup()])
}

/// Waits for the first signal, then lets the servers finish. Returns only at a second signal: when all requests are
/// answered, the servers' own futures end.
pub(super) async fn stop(
    state: &State,
    mut signals: Signals,
    servers: Vec<ServerHandle>,
    delay: Duration,
) {
    signals.next().await;
    announce(state);
    let finish = async {
        pause(&servers, delay).await;
        finish(servers).await;
    };
    select(pin!(finish), pin!(signals.next())).await;
}

/// Tells systemd and the load balancer (by readyz) that the service stops.
fn announce(state: &State) {
    log::info!("stopping");
    systemd::stopping();
    state.is_stopping.store(true, Ordering::Relaxed);
}

/// Serves on for the configured delay, then accepts no more connections.
async fn pause(servers: &[ServerHandle], delay: Duration) {
    sleep(delay).await;
    for server in servers {
        server.pause().await;
    }
    sleep(LAST_ACCEPTED).await;
}

/// Tells the servers to finish running requests and stop.
async fn finish(servers: Vec<ServerHandle>) {
    for server in servers {
        drop(server.stop(true));
    }
    pending::<()>().await;
}

/// Reads the configuration again at each SIGHUP; without `reload` it does nothing.
pub(super) async fn reload_at_hang_up(
    state: &State,
    mut hang_ups: Signals,
    reload: Option<Reload>,
) {
    while let Some(reload) = &reload {
        hang_ups.next().await;
        systemd::reloading();
        state.reload(on_thread(Arc::clone(reload)).await);
        systemd::ready();
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
