//! The integration tests: the whole service on a port of its own, over a database of its own. No Python is needed.
//!
//! Every test that depends on the database runs on SQLite, and on PostgreSQL and MariaDB where `TEST_POSTGRES_URL` and
//! `TEST_MYSQL_URL` name a server on which it may create databases (`tests/run` provides both).
//!
//! * `app`: the service under test; `client`: a plain HTTP client; `database`: databases to test on
//! * `access`: who gets in, and for how long
//! * `broken_clients`: what is no HTTP, and what is smuggled in
//! * `connections`: which connections stay open behind an answer, and which end
//! * `check`: what it finds on real databases; `healthcheck`; `verify`
//! * `client_address`: whom failed logins are counted for
//! * `columns`: other types, collations and character sets; columns that are computed, or not there
//! * `commands`: `export` and `stats`
//! * `cors`: pages of other origins, listed and not
//! * `described`: the description of the API, to which every answer is held
//! * `export`: the two views' answers, spooling, log lines
//! * `formats`: the export as CSV, as a user a line, and only some of it
//! * `grants`: what the database roles of `deploy/` may not do, and the warning about those that may do more
//! * `hostile_rows`: passwords that would break something; refusals that tell nothing
//! * `hostile_sessions`: sessions that would
//! * `limits`: to guessing passwords
//! * `listeners`: sockets, mounts, replicas
//! * `login`: login and logout
//! * `logs`: the log file, audit lines of logins, and how often an outage is logged
//! * `models`: custom user models
//! * `observed`: figures, log lines, request ids; settings read anew
//! * `outage`: a database that is away
//! * `page`: what people see
//! * `program`: the binary: `--help`, exit codes, `demo`
//! * `readers`: who asks for an export and does not read it
//! * `secrets`: logs, answers, command lines
//! * `slow_clients`: who is slow, silent, or many
//! * `spreadsheets`: no cell that they make of CSV is a formula
//! * `statistics`: numbers that many ask for at once
//! * `store`: `DjangoSessionStore`
//! * `tls`: encrypted connections to the database
//! * `transfer`: entity tags and compression
//! * `web`: forged requests, redirects, protective headers

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
mod described;
mod export;
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
mod observed;
mod outage;
mod page;
mod program;
mod readers;
mod secrets;
mod slow_clients;
mod spreadsheets;
mod statistics;
mod store;
mod tls;
mod transfer;
mod verify;
mod web;
