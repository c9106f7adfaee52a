//! One HTTP server of Actix: its timeouts, its middleware, its routes.

use std::io;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::web::Data;
use socket2::SockRef;

use super::listeners::Listener;
use super::shutdown::LONGEST_FINISH;
use crate::client_connection::{Limits, Stream, TimedConnection};
use crate::config::Bind;
use crate::middleware;
use crate::middleware::access_log::access_log;
use crate::routes::Paths;
use crate::routes::ops::ReadinessPermits;
use crate::state::{ServerAddress, State};

/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the connection stays open for a client that sends more than is read, so that it can read the answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection is kept without a request: a little longer than nginx keeps it, so that nginx closes it.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a client may read nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that the kernel buffers for a client that does not read (`TCP_NOTSENT_LOWAT`). With more, a slow reader
/// would look like one that does not read.
const MOST_UNSENT: u32 = 256 * 1024;

const LIMITS: Limits = Limits {
    head: HEAD_TIMEOUT,
    idle: KEEP_ALIVE,
    rest: DISCONNECT_TIMEOUT,
    write: WRITE_TIMEOUT,
};

/// What a server may use.
pub(super) struct Capacity {
    /// Worker threads
    pub(super) workers: usize,
    /// The most clients that are connected at a time
    pub(super) connections: usize,
    /// How long a connection is kept without a request; `None`: each request has its own connection
    pub(super) keep_alive: Option<Duration>,
}

/// Starts to serve `paths` on a listener that is bound to `address`.
///
/// # Errors
/// The listener can't be registered for events.
pub(super) fn start(
    state: &Data<State>,
    paths: Paths,
    (address, listener): (&Bind, Listener),
    capacity: &Capacity,
) -> io::Result<Server> {
    let server_address = ServerAddress(match address {
        Bind::Tcp(address) => *address,
        // A unix socket has no address that WSGI could call `SERVER_NAME` and `SERVER_PORT`.
        Bind::Unix(_) => ([127, 0, 0, 1], 8080).into(),
    });
    let &Capacity {
        workers,
        connections,
        keep_alive,
    } = capacity;
    let (state, paths) = (state.clone(), Data::new(paths));
    // The other half stays free for healthz and metrics.
    let readiness_permits = Data::new(ReadinessPermits::new(connections / 2));
    let app = move || {
        let paths = paths.clone();
        App::new()
            .app_data(state.clone())
            .app_data(paths.clone())
            .app_data(readiness_permits.clone())
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
    // `HttpServer` does the same, but takes no connection type of ours.
    let http = move || {
        let stopping = stopping.clone();
        let app = app().into_factory();
        let app = app.map_err(|error: actix_web::Error| error.error_response());
        HttpService::build()
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .keep_alive(keep_alive)
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
                // A kernel without the option serves as well.
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
    Ok(builder.run())
}

fn timed(stream: impl Stream + 'static) -> TimedConnection {
    TimedConnection::new(Box::new(stream), LIMITS)
}
