//! How many connections of clients there may be: each is a file descriptor, and the rest of the process needs some, too.

use nix::sys::resource::{Resource, getrlimit};

use crate::config::{Backend, Config};
use crate::db::most_connections;

/// The most connections of clients that are kept, whatever the limit of descriptors.
const MOST_CLIENTS: usize = 10_000;

/// The most on the operators' listener.
const MOST_OPERATORS: usize = 256;

/// The minimum of each.
const FEWEST_CLIENTS: usize = 8;

/// Descriptors for standard streams, listeners, the log file, and files that are read for a moment.
const OWN_DESCRIPTORS: usize = 12;

/// Descriptors of each thread that waits for events: the workers, and the accept thread of each listener.
const DESCRIPTORS_PER_THREAD: usize = 4;

/// Files of one connection to the database: a socket, or the three files of SQLite.
fn files_per_connection(backend: Backend) -> usize {
    match backend {
        Backend::Sqlite => 3,
        Backend::Postgres | Backend::Mysql => 1,
    }
}

/// How many clients may be connected at a time: the process's limit of descriptors without what the pools, the spools of
/// exports, and the threads need.
pub(super) fn client_connections(config: &Config) -> usize {
    let backend = config.database_url.backend();
    let pools = 1 + usize::from(config.database_read_url.is_some());
    let pool_size = most_connections(backend, config.export_concurrency);
    let databases = pools * pool_size * files_per_connection(backend);
    let listeners = 1 + usize::from(config.ops_bind.is_some());
    let threads = DESCRIPTORS_PER_THREAD * (cores() + 2 * listeners);
    let operators = (listeners - 1) * operator_connections();
    let spools = config.export_concurrency;
    let reserved = OWN_DESCRIPTORS + threads + operators + databases + spools;
    descriptor_limit()
        .saturating_sub(reserved)
        .clamp(FEWEST_CLIENTS, MOST_CLIENTS)
}

/// How many clients of the operators' listener may be connected at a time.
pub(super) fn operator_connections() -> usize {
    (descriptor_limit() / 8).clamp(FEWEST_CLIENTS, MOST_OPERATORS)
}

/// How many files, sockets included, the process may have open.
fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
