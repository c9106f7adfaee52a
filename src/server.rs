//! The application's parts put together: shared state, listeners, middleware, routes; started, and stopped.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::auth::passwords;
use crate::blocking::Lanes;
use crate::config::{Bind, Config};
use crate::db::{Clock, DateShape, Db, DbOptions};
use crate::django::settings::Settings;
use crate::middleware;
use crate::routes::Paths;
use crate::telemetry::Complaints;

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
    /// Where passwords are hashed
    pub hashing: Arc<Lanes>,
    /// What was complained of within the hour
    pub complaints: Arc<Complaints>,
    /// Where everything is served
    pub paths: Paths,
}

/// A running service, with its listeners bound.
pub struct Application {
    address: Bind,
    main: Server,
    ops: Option<Server>,
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
        });
        let state = Data::new(State {
            db,
            dates: DateShape {
                use_tz: settings.use_tz,
                time_zone: settings.time_zone.clone(),
            },
            hashing: passwords::lanes(cores()),
            complaints: Arc::default(),
            paths: Paths::new(&config.mount, config.login, config.ops_bind.is_none()),
            settings,
            clock,
        });

        let main_state = state.clone();
        let main = HttpServer::new(move || {
            App::new()
                .app_data(main_state.clone())
                .wrap(from_fn(middleware::django))
                .configure(|app| main_state.paths.configure(app))
        });
        let (address, main_listener) = listener(&config.bind)?;
        let main = match main_listener {
            Listener::Tcp(listener) => main.listen(listener)?,
            Listener::Unix(listener) => main.listen_uds(listener)?,
        };

        let ops = match &config.ops_bind {
            None => None,
            Some(bind) => {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(state.clone())
                        .configure(|app| Paths::new("", false, true).configure_health(app))
                });
                let server = match listener(bind)?.1 {
                    Listener::Tcp(listener) => server.listen(listener)?,
                    Listener::Unix(listener) => server.listen_uds(listener)?,
                };
                Some(server.workers(1).run())
            }
        };
        Ok(Application {
            address,
            main: main.run(),
            ops,
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

    /// Serves until SIGTERM, which lets what is running finish, or SIGINT, which does not.
    ///
    /// # Errors
    /// A listener's.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        match self.ops {
            None => self.main.await,
            Some(ops) => futures_util::future::try_join(self.main, ops)
                .await
                .map(drop),
        }
    }
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
