//! The integration tests: the whole service on a port of its own, over a database of its own. No Python is needed.
//!
//! Every test that depends on the database runs on SQLite, and on PostgreSQL and MariaDB where `TEST_POSTGRES_URL` and
//! `TEST_MYSQL_URL` name a server on which it may create databases (`tests/run` provides both).
//!
//! * `app`: the service under test; `client`: a plain HTTP client; `database`: databases to test on
//! * `access`: who gets in, and for how long
//! * `broken_clients`: what is no HTTP, and what is smuggled in
//! * `export`: the two views' answers, spooling, log lines
//! * `grants`: what the database roles of `deploy/` may not do, and the warning about those that may do more
//! * `hostile_rows`: hashes and sessions that would break something; refusals that tell nothing
//! * `limits`: to guessing passwords
//! * `listeners`: sockets, mounts, replicas
//! * `login`: login and logout
//! * `models`: custom user models
//! * `outage`: a database that is away
//! * `program`: the binary: `--help`, exit codes, `demo`
//! * `secrets`: logs, answers, command lines
//! * `slow_clients`: who is slow, silent, many, or gone
//! * `statistics`: numbers that many ask for at once
//! * `store`: `DjangoSessionStore`
//! * `tls`: encrypted connections to the database
//! * `transfer`: entity tags and compression
//! * `web`: other sites' pages, forged requests, redirects

#![allow(clippy::unwrap_used)]

mod access;
mod app;
mod broken_clients;
mod client;
mod database;
mod export;
mod grants;
mod hostile_rows;
mod limits;
mod listeners;
mod login;
mod models;
mod outage;
mod program;
mod secrets;
mod slow_clients;
mod statistics;
mod store;
mod tls;
mod transfer;
mod web;
