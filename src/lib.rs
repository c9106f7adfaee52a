//! **watchtower-sidecar** stands beside an unmodified Django + Django REST framework application, reads that
//! application's own database, decides for itself who is calling, and answers two admin endpoints byte for byte as the
//! Django views would.
//!
//! A request flows one way in, `main -> server -> routes -> auth -> db`, and its answer one way out,
//! `db -> export -> routes`:
//!
//! * [`config`]: environment variables, parsed once; every mistake reported at once
//! * [`server`]: the application's parts put together, started and stopped; what a client's connection may take its time for
//! * [`middleware`]: what Django's middleware does around every view: host check, missing slash, headers, dead cookies;
//!   compression, cross-origin sharing
//! * [`routes`]: the URL table and the handlers: the two views, login and logout, health checks
//! * [`auth`]: the caller: session cookie or HTTP Basic, CSRF, permission, method; how many passwords may be wrong
//! * [`db`]: connections, the user table, `django_session`, the session store for actix-session
//! * [`blocking`]: jobs that block, so many at a time, or one for all who ask
//! * [`export`]: rows to spool, in order, to response
//! * [`page`]: the page for people, and the templates it is made of
//! * [`response`], [`error`]: what DRF puts around a body; every answer that is not a success
//! * [`django`]: a leaf of pure functions: Django's formats and decisions
//! * [`check`], [`verify`], [`healthcheck`]: what an operator asks: is the database right, does Django answer the same, is
//!   the service ready
//! * [`commands`]: `export` and `stats` without HTTP
//! * [`telemetry`]: log lines, what is told of each request, figures for Prometheus
//! * [`demo`]: the throw-away database of `watchtower-sidecar demo`

pub mod auth;
pub mod blocking;
pub mod check;
pub mod client_address;
pub mod client_connection;
pub mod commands;
pub mod config;
pub mod db;
#[cfg(feature = "sqlite")]
pub mod demo;
pub mod django;
pub mod error;
pub mod export;
pub mod healthcheck;
mod http_client;
pub mod middleware;
pub mod page;
pub mod passwords;
pub mod request;
pub mod response;
pub mod route;
pub mod routes;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod verify;

/// The databases that are built in, by the names of their features.
pub fn features() -> Vec<&'static str> {
    let features = [
        ("sqlite", cfg!(feature = "sqlite")),
        ("postgres", cfg!(feature = "postgres")),
        ("mysql", cfg!(feature = "mysql")),
    ];
    let built_in = features.into_iter().filter(|(_, is_there)| *is_there);
    built_in.map(|(name, _)| name).collect()
}
