//! Metrics for Prometheus, served at `/metrics` on the operators' listener alone. No label holds what a client sent: routes
//! are those of the table, methods and statuses the known ones, reasons the program's own.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, Registry, TextEncoder,
    register_histogram_vec_with_registry, register_histogram_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
};

use super::sinks::lost_lines;

/// Upper bounds in seconds: from an answer without a query to one that has waited as long as it may.
const SECONDS: [f64; 13] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The figures of a database, its connections and its workers.
pub struct DatabaseFigures {
    /// `primary` or `replica`
    pub database: &'static str,
    /// Whether the circuit is open: requests are answered 503 at once
    pub is_suspect: bool,
    /// Open and unused connections
    pub idle: usize,
    /// Connections that a job uses
    pub used: usize,
    /// The most connections
    pub most: usize,
    /// How many generations of workers and connections were replaced
    pub generation: u64,
    /// Pings that were sent
    pub pings: u64,
    /// Jobs that ran longer than the database's own timeouts allow
    pub overruns: u64,
    /// Workers of replaced generations that still run a job
    pub abandoned_workers: usize,
}

/// Name, type, help, value.
type FigureOfDatabase = (
    &'static str,
    &'static str,
    &'static str,
    fn(&DatabaseFigures) -> u64,
);

/// The metrics of each database.
const OF_DATABASE: [FigureOfDatabase; 7] = [
    (
        "sidecar_database_connections_max",
        "gauge",
        "The size of the pool",
        |figures| figures.most as u64,
    ),
    (
        "sidecar_database_up",
        "gauge",
        "0 while the database is known to be down",
        |figures| u64::from(!figures.is_suspect),
    ),
    (
        "sidecar_database_suspect",
        "gauge",
        "1 while the database hangs or can't be connected to: requests are answered 503 at once",
        |figures| u64::from(figures.is_suspect),
    ),
    (
        "sidecar_database_abandoned_workers",
        "gauge",
        "Workers of replaced generations that still hang in a job",
        |figures| figures.abandoned_workers as u64,
    ),
    (
        "sidecar_database_generation",
        "counter",
        "How often workers and connections were replaced because the database hung",
        |figures| figures.generation,
    ),
    (
        "sidecar_database_pings_total",
        "counter",
        "Pings sent while a job got no answer",
        |figures| figures.pings,
    ),
    (
        "sidecar_database_overruns_total",
        "counter",
        "Jobs that got no answer for longer than the database's own timeouts allow",
        |figures| figures.overruns,
    ),
];

/// The metrics that are counted as things happen. Counting is cheap: each is a handful of atomic numbers.
pub struct Metrics {
    registry: Registry,
    started: u64,
    requests: IntCounterVec,
    durations: HistogramVec,
    authentications: IntCounterVec,
    exports: IntCounterVec,
    export_rows: IntCounter,
    export_bytes: IntCounter,
    reloads: IntCounterVec,
    hashes: Histogram,
    waits: Histogram,
}

impl Metrics {
    /// All of them at zero.
    pub fn new() -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let metrics = Metrics {
            started: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |now| now.as_secs()),
            requests: register_int_counter_vec_with_registry!(
                "sidecar_http_requests_total",
                "Requests by route, method and status",
                &["route", "method", "status"],
                registry
            )?,
            durations: register_histogram_vec_with_registry!(
                "sidecar_http_request_duration_seconds",
                "From a request's head to the last byte of its answer",
                &["route"],
                SECONDS.to_vec(),
                registry
            )?,
            authentications: register_int_counter_vec_with_registry!(
                "sidecar_authentications_total",
                "Attempts to authenticate, by authenticator and outcome",
                &["authenticator", "outcome"],
                registry
            )?,
            exports: register_int_counter_vec_with_registry!(
                "sidecar_exports_total",
                "Exports by outcome: sent, failed, refused at the limit (busy), or cut off by the client (cut)",
                &["outcome"],
                registry
            )?,
            export_rows: register_int_counter_with_registry!(
                "sidecar_export_rows_total",
                "Users in exports",
                registry
            )?,
            export_bytes: register_int_counter_with_registry!(
                "sidecar_export_bytes_total",
                "Bytes of exports as they were sent, compressed or not",
                registry
            )?,
            reloads: register_int_counter_vec_with_registry!(
                "sidecar_reloads_total",
                "Configurations read again at SIGHUP: applied, or refused for a mistake in them",
                &["result"],
                registry
            )?,
            hashes: register_histogram_with_registry!(
                "sidecar_password_hash_seconds",
                "Time to check a password, without the wait in the queue",
                SECONDS.to_vec(),
                registry
            )?,
            waits: register_histogram_with_registry!(
                "sidecar_database_wait_seconds",
                "Time that jobs waited for a worker and a connection",
                SECONDS.to_vec(),
                registry
            )?,
            registry,
        };
        // Counters start at 0 instead of missing, so that an alert on growth sees the first event, too.
        for outcome in ["sent", "failed", "busy", "cut"] {
            metrics.exports.with_label_values(&[outcome]);
        }
        for result in ["applied", "refused"] {
            metrics.reloads.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// Counts an answered request.
    pub fn answered(&self, route: &str, method: &str, status: &str, took: Duration) {
        self.requests
            .with_label_values(&[route, method, status])
            .inc();
        self.durations
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// Counts the outcome of an authentication.
    pub fn authenticated(&self, authenticator: &str, outcome: &str) {
        self.authentications
            .with_label_values(&[authenticator, outcome])
            .inc();
    }

    /// Counts an export by its end: `sent`, `failed`, `busy` or `cut`.
    pub fn exported(&self, outcome: &str, rows: u64, bytes: u64) {
        self.exports.with_label_values(&[outcome]).inc();
        self.export_rows.inc_by(rows);
        self.export_bytes.inc_by(bytes);
    }

    /// Counts a SIGHUP.
    pub fn reloaded(&self, is_applied: bool) {
        let result = if is_applied { "applied" } else { "refused" };
        self.reloads.with_label_values(&[result]).inc();
    }

    /// Notes how long a password's hash took.
    pub fn hashed(&self, took: Duration) {
        self.hashes.observe(took.as_secs_f64());
    }

    /// The histogram of how long database work waits for a worker and a connection, in seconds.
    pub fn waits(&self) -> Histogram {
        self.waits.clone()
    }

    /// All metrics in Prometheus' text format, with those that are read only now: how many passwords are being checked or
    /// wait, the databases' figures, and the numbers of requests for statistics and of their queries.
    pub fn text(
        &self,
        password_queue: usize,
        databases: &[DatabaseFigures],
        (questions, queries): (u64, u64),
    ) -> prometheus::Result<String> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        // Writing to a `String` can't fail.
        let _ = write!(
            text,
            "# HELP sidecar_build_info Always 1\n\
             # TYPE sidecar_build_info gauge\n\
             sidecar_build_info{{version=\"{version}\",features=\"{features}\"}} 1\n\
             # HELP process_start_time_seconds Unix time of the start\n\
             # TYPE process_start_time_seconds gauge\n\
             process_start_time_seconds {started}\n\
             # HELP process_resident_memory_bytes Resident memory\n\
             # TYPE process_resident_memory_bytes gauge\n\
             process_resident_memory_bytes {memory}\n\
             # HELP sidecar_password_queue_length Passwords that are being checked or wait\n\
             # TYPE sidecar_password_queue_length gauge\n\
             sidecar_password_queue_length {password_queue}\n\
             # HELP sidecar_statistics_questions_total Requests for the statistics that reached the database\n\
             # TYPE sidecar_statistics_questions_total counter\n\
             sidecar_statistics_questions_total {questions}\n\
             # HELP sidecar_statistics_queries_total Queries that answered them, each for all who had asked before it began\n\
             # TYPE sidecar_statistics_queries_total counter\n\
             sidecar_statistics_queries_total {queries}\n\
             # HELP sidecar_log_lines_lost_total Log lines that standard error or the log file did not take in time\n\
             # TYPE sidecar_log_lines_lost_total counter\n\
             sidecar_log_lines_lost_total {lost_lines}\n",
            version = env!("CARGO_PKG_VERSION"),
            features = crate::features().join(","),
            started = self.started,
            memory = resident_memory().unwrap_or(0),
            lost_lines = lost_lines(),
        );
        let connections = databases.iter().flat_map(|figures| {
            let states = [("idle", figures.idle), ("used", figures.used)];
            states.map(|(state, count)| {
                let labels = format!("{{database=\"{}\",state=\"{state}\"}}", figures.database);
                (labels, count as u64)
            })
        });
        let name = "sidecar_database_connections";
        add(&mut text, name, "gauge", "Open connections", connections);
        for (name, kind, help, value) in OF_DATABASE {
            let samples = databases.iter().map(|figures| {
                let labels = format!("{{database=\"{}\"}}", figures.database);
                (labels, value(figures))
            });
            add(&mut text, name, kind, help, samples);
        }
        Ok(text)
    }
}

/// Adds a metric with its samples, each the labels and a value.
fn add(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, u64)>,
) {
    // Writing to a `String` can't fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// Resident memory in bytes, where the system tells it.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
