//! Builds, runs and stops the application.

use std::io;
use std::pin::pin;
use std::time::Duration;

use actix_server::Server;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::web::Data;
use futures_util::future::{Either, join, select, try_join_all};
use sd_notify::NotifyState;

use crate::client_connection::KEEP_ALIVE;
use crate::config::{Bind, Config};
use crate::routes::Paths;
use crate::state::State;

pub use shutdown::Reload;

mod budget;
mod http;
mod listeners;
mod shutdown;
mod systemd;

/// A running service, with its listeners bound.
pub struct Application {
    /// Where it listens, with the port that the system chose
    pub address: Bind,
    servers: Vec<Server>,
    state: Data<State>,
    shutdown_delay: Duration,
    stop_signals: Vec<Signal>,
    hang_ups: Signal,
    reload: Option<Reload>,
}

impl Application {
    /// Binds the listeners and starts serving. The database may be away. From now on, signals do not end the process by
    /// themselves. `reload` reads the configuration again at SIGHUP; without it, SIGHUP stops the service like SIGTERM.
    pub fn build(config: Config, reload: Option<Reload>) -> io::Result<Application> {
        let stop_signals = shutdown::stop_signals(reload.is_some())?;
        let hang_ups = signal(SignalKind::hangup())?;
        let shutdown_delay = config.shutdown_delay;
        let connections = budget::client_connections(&config);
        let (main, ops) = listeners::listeners(&config.bind, config.ops_bind.as_ref())?;
        let state = Data::new(State::new(config, budget::cores())?);

        let address = main.0.clone();
        let login_mount = state.serves_login.then_some(state.login_mount.as_str());
        let paths = Paths::new(&state.mount, login_mount, ops.is_none());
        let workers = budget::cores().min(connections);
        let keep_alive = Some(KEEP_ALIVE);
        let main = http::start(&state, paths, main, workers, connections, keep_alive)?;
        let mut servers = vec![main];
        if let Some(ops) = ops {
            let (paths, connections) = (Paths::for_operators(), budget::operator_connections());
            // An idle connection must not take the place of a probe.
            let keep_alive = None;
            servers.push(http::start(&state, paths, ops, 1, connections, keep_alive)?);
        }
        Ok(Application {
            address,
            servers,
            state,
            shutdown_delay,
            stop_signals,
            hang_ups,
            reload,
        })
    }

    /// Serves until SIGTERM or SIGINT; then, after the configured delay, lets running requests finish. At SIGHUP it takes keys
    /// and hosts from the configuration that is read again.
    ///
    /// # Errors
    /// A listener's; or a second signal has stopped it at once.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        let state = &self.state;
        let handles = self.servers.iter().map(Server::handle).collect();
        let stopped = shutdown::stop(state, self.stop_signals, handles, self.shutdown_delay);
        let reloads = shutdown::reload_at_hang_up(state, self.hang_ups, self.reload);
        systemd::tell(&[NotifyState::Ready]);
        let beside = async {
            join(reloads, systemd::feed_watchdog()).await;
            std::future::pending().await
        };
        let served = async {
            let servers = try_join_all(self.servers);
            select(servers, pin!(beside)).await.factor_first().0
        };
        let result = match select(pin!(served), pin!(stopped)).await {
            Either::Left((served, _)) => served.map(drop),
            Either::Right(_) => Err(io::Error::other("at once, by a second signal")),
        };
        self.state.db.close();
        result
    }
}
