//! The application's parts put together: shared state, listeners, middleware, routes; started, and stopped.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::rt::signal::unix::SignalKind;
use actix_web::rt::time::sleep;
use actix_web::web::Data;
use futures_util::future::{Either, join, select, try_join};
use nix::sys::resource::{Resource, getrlimit};
use socket2::SockRef;
use tokio::sync::Semaphore;

use crate::client_connection::{Limits, Stream, TimedConnection};
use crate::config::{Backend, Bind, Config, ConfigErrors};
use crate::db::connection::session_settings::SessionSettings;
use crate::db::types::stored_time::Clock;
use crate::db::views::exportable_users::DateShape;
use crate::db::{Db, DbOptions, most_connections};
use crate::middleware;
use crate::middleware::access_log::access_log;
use crate::passwords::Passwords;
use crate::routes::Paths;
use crate::state::{ServerAddress, State};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::RequestIds;

mod listeners;
mod signals;
mod systemd;

use listeners::{Bound, Listener};
use signals::Signals;

/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client that sends more than is read may go on, so that it gets to read the answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection is kept without a request: a little longer than nginx keeps it, so that nginx is who closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a client may read nothing of what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that the kernel takes before the client does.
const MOST_UNSENT: u32 = 256 * 1024;

/// From the last connection that is accepted to the end: Actix drops a connection that it has handed to a worker in the very
/// moment in which it stops, so its request is read first. Where systemd holds the listener, whoever comes later waits there
/// for the next process.
const LAST_ACCEPTED: Duration = Duration::from_millis(100);

/// How long what runs may take to finish, once the service is to stop.
const LONGEST_FINISH: Duration = Duration::from_secs(30);

const LIMITS: Limits = Limits {
    head: HEAD_TIMEOUT,
    idle: KEEP_ALIVE,
    rest: DISCONNECT_TIMEOUT,
    write: WRITE_TIMEOUT,
};

/// Connections of clients: no more than this, nor than there are descriptors for.
const MOST_CONNECTIONS: usize = 10_000;
const FEWEST_CONNECTIONS: usize = 8;

/// Descriptors of the process's own: standard streams, listeners, log file, and what is read for a moment.
const OWN_DESCRIPTORS: usize = 12;

/// Descriptors of each thread that waits for events: the workers, and one for the listener of each of their servers.
const DESCRIPTORS_EACH: usize = 4;

/// A running service, with its listeners bound.
pub struct Application {
    address: Bind,
    main: Server,
    ops: Option<Server>,
    state: Data<State>,
    shutdown_delay: Duration,
}

impl Application {
    /// Binds the listeners and starts serving; the database need not be there yet.
    ///
    /// # Errors
    /// An address can't be bound, or the time zone is unknown.
    pub fn build(config: Config) -> io::Result<Application> {
        let settings = Arc::new(config.django);
        let clock = Clock::new(settings.use_tz, &settings.time_zone).map_err(io::Error::other)?;
        // A connection is a socket, or SQLite's three files; an export has a spool as well.
        let files = match config.database_url.backend() {
            Backend::Sqlite => 3,
            Backend::Postgres | Backend::Mysql => 1,
        };
        let databases = 1 + usize::from(config.database_read_url.is_some());
        let pool = most_connections(config.database_url.backend(), config.export_concurrency);
        let pools = databases * files * pool;
        let listeners = 1 + usize::from(config.ops_bind.is_some());
        let threads =
            DESCRIPTORS_EACH * (cores() + 2 * listeners) + (listeners - 1) * FEWEST_CONNECTIONS;
        let reserved = OWN_DESCRIPTORS + threads + pools + config.export_concurrency;
        let metrics = Metrics::new().map_err(io::Error::other)?;
        let db = Db::new(DbOptions {
            url: config.database_url,
            read_url: config.database_read_url,
            writable: config.login,
            user_table: config.user_table,
            username_field: config.username_field,
            none_fields: config.none_fields,
            exports_at_once: config.export_concurrency,
            session: SessionSettings::new(config.prepared_statements, &settings),
            waits: metrics.waits(),
        });
        let state = Data::new(State {
            db,
            dates: DateShape {
                use_tz: settings.use_tz,
            },
            passwords: Passwords::new(cores(), config.login_rate),
            exports: Arc::new(Semaphore::new(config.export_concurrency)),
            trusted_proxies: config.trusted_proxies,
            cors_origins: config.cors_origins,
            rate_limited_log: Arc::default(),
            settings: RwLock::new(settings),
            clock,
            is_stopping: AtomicBool::new(false),
            metrics,
            request_ids: RequestIds::new().map_err(io::Error::other)?,
            mount: config.mount,
            serves_login: config.login,
            login_url: config.login_url,
        });

        let connections = descriptors()
            .saturating_sub(reserved)
            .clamp(FEWEST_CONNECTIONS, MOST_CONNECTIONS);

        let (main, ops) = listeners::listeners(&config.bind, config.ops_bind.as_ref())?;
        let paths = Paths::new(&state.mount, state.serves_login, ops.is_none());
        let workers = cores().min(connections);
        let (address, main) = start(&state, paths, main, workers, connections)?;
        let ops = ops.map(|ops| {
            let (_, ops) = start(&state, Paths::for_operators(), ops, 1, FEWEST_CONNECTIONS)?;
            io::Result::Ok(ops)
        });
        Ok(Application {
            address,
            main,
            ops: ops.transpose()?,
            state,
            shutdown_delay: config.shutdown_delay,
        })
    }

    /// Where it listens, with the port the system chose.
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

    /// Serves until SIGTERM or SIGINT; then, after the configured delay, lets what is running finish. At SIGHUP, keys and
    /// hosts are taken from the configuration that `reload` reads; without it, SIGHUP stops the service as SIGTERM does.
    ///
    /// # Errors
    /// A listener's; or a second signal, at which nothing is let finish.
    pub async fn run_until_stopped(
        self,
        reload: Option<&dyn Fn() -> Result<Config, ConfigErrors>>,
    ) -> io::Result<()> {
        let handles = [
            Some(self.main.handle()),
            self.ops.as_ref().map(Server::handle),
        ];
        let ops = async {
            match self.ops {
                Some(ops) => ops.await,
                None => Ok(()),
            }
        };
        let served = try_join(self.main, ops);
        let db = self.state.db.clone();
        let hang_up = SignalKind::hangup();
        let mut stops = vec![SignalKind::terminate(), SignalKind::interrupt()];
        stops.extend(reload.is_none().then_some(hang_up));
        let mut signals = Signals::new(&stops)?;
        let mut hang_ups = Signals::new(&[hang_up])?;
        let state = &self.state;
        let reloads = async move {
            while let Some(reload) = reload {
                hang_ups.next().await;
                systemd::reloading();
                state.reload(reload());
                systemd::ready();
            }
        };
        systemd::ready();
        let stopped_at_once = async move {
            signals.next().await;
            log::info!("stopping");
            systemd::stopping();
            state.is_stopping.store(true, Ordering::Relaxed);
            let finish = async {
                sleep(self.shutdown_delay).await;
                for handle in handles.iter().flatten() {
                    handle.pause().await;
                }
                sleep(LAST_ACCEPTED).await;
                for handle in handles.into_iter().flatten() {
                    // When all is finished, the server's own end tells so.
                    drop(handle.stop(true));
                }
                pending::<()>().await;
            };
            select(pin!(finish), pin!(signals.next())).await;
        };
        let served = async {
            let meanwhile = async {
                join(reloads, systemd::feed_watchdog()).await;
                pending().await
            };
            select(pin!(served), pin!(meanwhile)).await.factor_first().0
        };
        let result = match select(pin!(served), pin!(stopped_at_once)).await {
            Either::Left((served, _)) => served.map(drop),
            Either::Right(_) => Err(io::Error::other("at once, by a second signal")),
        };
        db.close();
        result
    }
}

/// Starts serving these paths, and says at which address.
fn start(
    state: &Data<State>,
    paths: Paths,
    (address, listener): Bound,
    workers: usize,
    connections: usize,
) -> io::Result<(Bind, Server)> {
    let server_address = ServerAddress(match &address {
        Bind::Tcp(address) => *address,
        Bind::Unix(_) => ([127, 0, 0, 1], 8080).into(),
    });
    let (state, paths) = (state.clone(), Data::new(paths));
    let app = move || {
        let paths = paths.clone();
        App::new()
            .app_data(state.clone())
            .app_data(paths.clone())
            .app_data(server_address)
            .wrap(from_fn(middleware::django))
            .wrap(from_fn(access_log))
            .wrap(from_fn(middleware::limit_head))
            .configure(move |app| paths.configure(app))
    };
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections.div_ceil(workers))
        .shutdown_timeout(LONGEST_FINISH.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    // What `HttpServer` does, but for the connection, which it would take as it is.
    let http = move || {
        let stopping = stopping.clone();
        let app = app().into_factory();
        let app = app.map_err(|error: actix_web::Error| error.error_response());
        HttpService::build()
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &TimedConnection, data| {
                data.insert(connection.activity());
            })
            .h1(map_config(app, |()| AppConfig::default()))
    };
    let builder = match listener {
        Listener::Tcp(listener) => builder.listen("http", listener, move || {
            fn_service(async |stream: TcpStream| {
                // So little that a slow reader is seen to read.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(MOST_UNSENT);
                let peer = stream.peer_addr().ok();
                Ok((timed(stream), peer))
            })
            .and_then(http())
        })?,
        Listener::Unix(listener) => builder.listen_uds("http", listener, move || {
            fn_service(async |stream: UnixStream| Ok((timed(stream), None))).and_then(http())
        })?,
    };
    Ok((address, builder.run()))
}

fn timed(stream: impl Stream + 'static) -> TimedConnection {
    TimedConnection::new(Box::new(stream), LIMITS)
}

/// How many files, sockets included, the process may have open.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
