//! The integration tests: the whole service on its own port, over its own database. They need no Python.
//!
//! A test that depends on the database runs on SQLite, and also on PostgreSQL and MariaDB if `TEST_POSTGRES_URL` and
//! `TEST_MYSQL_URL` name servers on which it may create databases (`tests/run` starts both).
//!
//! Helpers: `app` starts the service, `client` sends HTTP, `database` makes databases.
//!
//! * `access`: who may see the two views, and how long a session lasts
//! * `broken_clients`: malformed HTTP and request smuggling
//! * `check`: what `check` finds on real databases
//! * `client_address`: to which address a failed login is counted
//! * `columns`: column types, collations and character sets; generated and missing columns
//! * `commands`: `export` and `stats` on the command line
//! * `connections`: which connections stay open after an answer, and which are closed
//! * `cors`: requests from other origins, listed and not
//! * `export`: the two views' answers, the spool, the log lines
//! * `filters`: the export's parameters `joined_after`, `after_id`, `limit`
//! * `formats`: the export as CSV and as JSON lines
//! * `grants`: what the roles of `deploy/grants-*.sql` may do, and the warning about roles that may do more
//! * `healthcheck`: the command `healthcheck`
//! * `hostile_rows`: malformed password hashes; refusals that do not tell whether a user exists
//! * `hostile_sessions`: malformed session rows
//! * `limits`: rate limits on passwords
//! * `listeners`: sockets, mounts, replicas
//! * `login`: login and logout
//! * `logs`: the log file, audit lines of logins, how often an outage is logged
//! * `models`: custom user models
//! * `names`: by which names users log in, and where
//! * `openapi`: openapi.json, against which `client` checks every answer
//! * `outage`: the database cannot be reached
//! * `page`: the HTML page
//! * `program`: the binary: `--help`, exit codes, `demo`
//! * `readers`: clients that ask for an export and read slowly or not at all
//! * `secrets`: no secret in logs, answers or command lines
//! * `session_store`: `DjangoSessionStore`
//! * `slow_clients`: slow, silent and numerous clients
//! * `spreadsheets`: no cell of a CSV is read as a formula
//! * `statistics`: many requests for the statistics share one query
//! * `telemetry`: metrics, log lines, request ids; configuration read again on SIGHUP
//! * `tls`: TLS to the database
//! * `transfer`: entity tags and compression
//! * `verify`: the command `verify`
//! * `web`: CSRF, redirects, security headers

#![allow(clippy::unwrap_used)]

mod access;
mod app;
mod broken_clients;
mod check;
mod client;
mod client_address;
mod columns;
mod commands;
mod connections;
mod cors;
mod database;
mod export;
mod filters;
mod formats;
mod grants;
mod healthcheck;
mod hostile_rows;
mod hostile_sessions;
mod limits;
mod listeners;
mod login;
mod logs;
mod models;
mod names;
mod openapi;
mod outage;
mod page;
mod ports;
mod program;
mod readers;
mod secrets;
mod session_store;
mod slow_clients;
mod spreadsheets;
mod statistics;
mod telemetry;
mod tls;
mod transfer;
mod verify;
mod web;
