//! The application's parts put together: shared state, listeners, middleware, routes; started, and stopped.

use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::rt::time::sleep;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use futures_util::future::{Either, select, try_join};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::sync::Semaphore;

use crate::auth::client_address::TrustedProxies;
use crate::auth::passwords::Passwords;
use crate::config::{Bind, Config};
use crate::db::{Clock, DateShape, Db, DbOptions, QUERIES_AT_ONCE};
use crate::django::settings::Settings;
use crate::middleware;
use crate::routes::Paths;
use crate::telemetry::Complaints;

/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept without a request: a little longer than nginx keeps it, so that nginx is who closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a client may read nothing of what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long what runs may take to finish, once the service is to stop.
const LONGEST_FINISH: Duration = Duration::from_secs(30);

/// Connections of clients: no more than this, nor than there are descriptors for.
const MOST_CONNECTIONS: usize = 10_000;
const FEWEST_CONNECTIONS: usize = 8;

/// Descriptors of the process's own: standard streams, listeners, event queues, log file.
const OWN_DESCRIPTORS: usize = 24;

/// What every handler shares.
pub struct State {
    /// The database
    pub db: Db,
    /// Django's settings
    pub settings: Arc<Settings>,
    /// The time, as the settings want it stored
    pub clock: Clock,
    /// How the export shows dates
    pub dates: DateShape,
    /// Where passwords are checked
    pub passwords: Arc<Passwords>,
    /// Exports that are made and sent at a time
    pub exports: Arc<Semaphore>,
    /// Whose `X-Forwarded-For` is believed
    pub trusted_proxies: TrustedProxies,
    /// Other sites whose pages may read the answers
    pub cors_origins: Vec<String>,
    /// What was complained of within the hour
    pub complaints: Arc<Complaints>,
    /// Whether the service was asked to stop
    pub is_stopping: AtomicBool,
}

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
        let db = Db::new(DbOptions {
            url: config.database_url,
            read_url: config.database_read_url,
            writable: config.login,
            user_table: config.user_table,
            username_field: config.username_field,
            exports_at_once: config.export_concurrency,
            prepared_statements: config.prepared_statements,
        });
        let state = Data::new(State {
            db,
            dates: DateShape {
                use_tz: settings.use_tz,
                time_zone: settings.time_zone.clone(),
            },
            passwords: Passwords::new(cores(), config.login_rate),
            exports: Arc::new(Semaphore::new(config.export_concurrency)),
            trusted_proxies: config.trusted_proxies,
            cors_origins: config.cors_origins,
            complaints: Arc::default(),
            settings,
            clock,
            is_stopping: AtomicBool::new(false),
        });

        // An export has a connection and a spool; SQLite's connections have three files.
        let reserved = OWN_DESCRIPTORS + 3 * (QUERIES_AT_ONCE + config.export_concurrency + 2);
        let connections = descriptors()
            .saturating_sub(reserved)
            .clamp(FEWEST_CONNECTIONS, MOST_CONNECTIONS);

        let paths = Paths::new(&config.mount, config.login, config.ops_bind.is_none());
        let (address, main) = start(&state, paths, &config.bind, cores(), connections)?;
        let ops = config.ops_bind.map(|bind| {
            let (_, ops) = start(&state, Paths::health(), &bind, 1, FEWEST_CONNECTIONS)?;
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

    /// Serves until SIGTERM or SIGINT; then, after the configured delay, lets what is running finish.
    ///
    /// # Errors
    /// A listener's; or a second signal, at which nothing is let finish.
    pub async fn run_until_stopped(self) -> io::Result<()> {
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
        let mut signals = Signals::new()?;
        let stopped_at_once = async move {
            signals.next().await;
            log::info!("stopping");
            self.state.is_stopping.store(true, Ordering::Relaxed);
            let finish = async {
                sleep(self.shutdown_delay).await;
                for handle in handles.into_iter().flatten() {
                    // When all is finished, the server's own end tells so.
                    drop(handle.stop(true));
                }
                pending::<()>().await;
            };
            select(pin!(finish), pin!(signals.next())).await;
        };
        match select(pin!(served), pin!(stopped_at_once)).await {
            Either::Left((served, _)) => served.map(drop),
            Either::Right(_) => Err(io::Error::other("at once, by a second signal")),
        }
    }
}

/// SIGTERM and SIGINT, one after the other.
struct Signals([Signal; 2]);

impl Signals {
    fn new() -> io::Result<Signals> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Signals([terminate?, interrupt?]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        select(pin!(terminate.recv()), pin!(interrupt.recv())).await;
    }
}

/// Starts serving these paths, and says at which address. Clients have limits: so long for a request's head, so long
/// without a request, so long without reading what they are sent.
fn start(
    state: &Data<State>,
    paths: Paths,
    bind: &Bind,
    workers: usize,
    connections: usize,
) -> io::Result<(Bind, Server)> {
    let (state, paths) = (state.clone(), Data::new(paths));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(paths.clone())
            .wrap(from_fn(middleware::django))
            .configure(|app| paths.configure(app))
    })
    .workers(workers)
    .max_connections(connections.div_ceil(workers))
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(LONGEST_FINISH.as_secs())
    .disable_signals()
    .on_connect(|connection, _| {
        // Actix has no limit to writing, so the kernel cuts off whoever does not read. On a unix socket is the proxy.
        if let Some(stream) = connection.downcast_ref::<TcpStream>() {
            let milliseconds = WRITE_TIMEOUT.as_millis() as u32;
            let _ = setsockopt(stream, TcpUserTimeout, &milliseconds);
        }
    });
    let (address, listener) = listener(bind)?;
    let server = match listener {
        Listener::Tcp(listener) => server.listen(listener)?,
        Listener::Unix(listener) => server.listen_uds(listener)?,
    };
    Ok((address, server.run()))
}

/// How many files, sockets included, the process may have open.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A bound listener.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Binds an address, and says which one it became.
fn listener(bind: &Bind) -> io::Result<(Bind, Listener)> {
    match bind {
        Bind::Tcp(address) => {
            let listener = TcpListener::bind(address)?;
            Ok((Bind::Tcp(listener.local_addr()?), Listener::Tcp(listener)))
        }
        Bind::Unix(path) => {
            // A socket file that nobody listens on is left over from a process that was killed.
            if is_socket(path) && is_refused(path) {
                std::fs::remove_file(path)?;
            }
            Ok((bind.clone(), Listener::Unix(UnixListener::bind(path)?)))
        }
    }
}

fn is_refused(path: &std::path::Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn is_socket(path: &std::path::Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}
