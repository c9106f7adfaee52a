//! Builds, runs and stops the application.

use std::io;
use std::pin::pin;
use std::time::Duration;

use actix_server::Server;
use actix_web::web::Data;
use futures_util::future::{Either, join, select, try_join};

use crate::config::{Bind, Config};
use crate::routes::Paths;
use crate::state::State;
use http::{Capacity, KEEP_ALIVE};

pub use shutdown::Reload;

mod budget;
mod http;
mod listeners;
mod shutdown;
mod signals;
mod systemd;

/// A running service, with its listeners bound.
pub struct Application {
    address: Bind,
    main: Server,
    ops: Option<Server>,
    state: Data<State>,
    shutdown_delay: Duration,
}

impl Application {
    /// Binds the listeners and starts serving. The database may be away.
    ///
    /// # Errors
    /// An address can't be bound.
    pub fn build(config: Config) -> io::Result<Application> {
        let shutdown_delay = config.shutdown_delay;
        let connections = budget::client_connections(&config);
        let capacity = Capacity {
            workers: budget::cores().min(connections),
            connections,
            keep_alive: Some(KEEP_ALIVE),
        };
        let (main, ops) = listeners::listeners(&config.bind, config.ops_bind.as_ref())?;
        let state = Data::new(State::new(config, budget::cores())?);

        let (address, listener) = main;
        let paths = Paths::new(&state.mount, state.serves_login, ops.is_none());
        let main = http::start(&state, paths, (&address, listener), &capacity)?;
        let ops = ops.map(|(address, listener)| {
            let capacity = Capacity {
                workers: 1,
                connections: budget::operator_connections(),
                // An idle connection must not take the place of a probe.
                keep_alive: None,
            };
            let paths = Paths::for_operators();
            http::start(&state, paths, (&address, listener), &capacity)
        });
        Ok(Application {
            address,
            main,
            ops: ops.transpose()?,
            state,
            shutdown_delay,
        })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> &Bind {
        &self.address
    }

    /// The main listener's TCP port; `None` on a unix socket.
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Bind::Tcp(address) => Some(address.port()),
            Bind::Unix(_) => None,
        }
    }

    /// Serves until SIGTERM or SIGINT; then, after the configured delay, lets running requests finish. At SIGHUP it takes keys
    /// and hosts from the configuration that `reload` reads; without `reload`, SIGHUP stops it like SIGTERM.
    ///
    /// # Errors
    /// A listener's; or a second signal has stopped it at once.
    pub async fn run_until_stopped(self, reload: Option<Reload>) -> io::Result<()> {
        let state = &self.state;
        let stop_signals = shutdown::stop_signals(reload.is_some())?;
        let hang_ups = shutdown::hang_ups()?;
        let servers = [Some(&self.main), self.ops.as_ref()];
        let servers = servers.into_iter().flatten().map(Server::handle).collect();
        let stopped = shutdown::stop(state, stop_signals, servers, self.shutdown_delay);
        let reloads = shutdown::reload_at_hang_up(state, hang_ups, reload);
        let ops = async {
            match self.ops {
                Some(ops) => ops.await,
                None => Ok(()),
            }
        };
        systemd::ready();
        let beside = async {
            join(reloads, systemd::feed_watchdog()).await;
            std::future::pending().await
        };
        let served = async {
            let servers = pin!(try_join(self.main, ops));
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
