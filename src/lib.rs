//! **watchtower-sidecar** stands beside an unmodified Django + Django REST framework application, reads that
//! application's own database, decides for itself who is calling, and answers two admin endpoints byte for byte as the
//! Django views would.
//!
//! A request goes one way in, `main -> server -> routes -> auth -> db`, and its answer one way out, `db -> export -> routes`.
//! No room imports from one that stands below it in this list; `tests/architecture.rs` reads the list and holds the sources
//! against it.
//!
//! From the lowest room to the highest:
//!
//! * [`django`]: pure functions: Django's formats and decisions
//! * [`client_address`]: the client's address behind trusted proxies
//! * [`config`]: environment variables, parsed once, with every mistake reported at once
//! * [`route`]: the names of the route table's entries
//! * [`telemetry`]: log lines, audit lines, data collected about a request, metrics for Prometheus
//! * [`blocking`]: worker threads and queues for blocking jobs, and queries that concurrent callers share
//! * `db::types`: what a column holds, as Django's backend reads and writes it
//! * `db::error`: why the database, or a view over it, gave no answer
//! * `db::connection`: one connection to any of the three databases
//! * `db::sql`: statements over tables whose names are known at run time
//! * `db::pool`: workers, their connections, and what happens when the database hangs
//! * `db::models`: Django's tables of sessions, users, tokens and addresses
//! * `db::views`: the queries of the two views and of the page
//! * `db::inspection`: the queries of `check`
//! * [`db`]: everything that the rest of the program may ask of the database
//! * [`session_reader`]: decodes large sessions beside the queries
//! * [`session_store`]: Django's sessions for any Actix application
//! * [`response`]: what DRF puts around a body
//! * [`error`]: every answer that is not a success
//! * [`passwords`]: checks passwords on worker threads, and limits failed logins
//! * [`export`]: the exported rows: sorted in a spool, written as JSON, CSV or NDJSON, compressed
//! * [`page`]: the templates of the HTML page
//! * [`state`]: what every handler shares
//! * [`client_connection`]: a client's connection, with its timeouts and limits
//! * [`request`]: what handlers read from a request
//! * [`auth`]: the caller: session cookie or HTTP Basic, CSRF, permission, method; login and logout
//! * [`routes`]: the route table and the handlers
//! * [`middleware`]: what Django's middleware does around every view: host check, missing slash, headers, dead cookies; the
//!   access log, cross-origin sharing
//! * [`server`]: the application put together, started, and stopped
//! * `http_client`: the HTTP client of the two commands below
//! * [`check`]: `check`: whether configuration and database are right
//! * [`verify`]: `verify`: whether Django and the sidecar answer the same
//! * [`healthcheck`]: `healthcheck`: whether the running service is ready
//! * [`commands`]: `export` and `stats`, without HTTP
//! * `demo`: the throw-away database of `watchtower-sidecar demo`

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
pub mod session_reader;
pub mod session_store;
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
