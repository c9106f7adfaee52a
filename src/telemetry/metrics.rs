//! Metrics for Prometheus, served at `/metrics` on the operators' listener alone. No label holds what a client sent: routes
//! are those of the table, methods and statuses the known ones, reasons the program's own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
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

/// Every metric. Counting is cheap: each is a handful of atomic numbers.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    authentications: IntCounterVec,
    exports: IntCounterVec,
    export_rows: IntCounter,
    export_bytes: IntCounter,
    reloads: IntCounterVec,
    hashes: Histogram,
    waits: Histogram,
    // Set when they are read:
    password_queue: IntGauge,
    connections: IntGaugeVec,
    most_connections: IntGaugeVec,
    is_up: IntGaugeVec,
    is_suspect: IntGaugeVec,
    abandoned_workers: IntGaugeVec,
    generations: IntCounterVec,
    pings: IntCounterVec,
    overruns: IntCounterVec,
    statistics_requests: IntCounter,
    statistics_queries: IntCounter,
    lost_lines: IntCounter,
    memory: Gauge,
}

impl Metrics {
    /// All of them at zero.
    ///
    /// # Errors
    /// A name that the registry refuses.
    pub fn new() -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let metrics = Metrics {
            requests: IntCounterVec::new(
                Opts::new(
                    "sidecar_http_requests_total",
                    "Requests by route, method and status",
                ),
                &["route", "method", "status"],
            )?,
            durations: HistogramVec::new(
                timed(
                    "sidecar_http_request_duration_seconds",
                    "From a request's head to the last byte of its answer",
                ),
                &["route"],
            )?,
            authentications: IntCounterVec::new(
                Opts::new(
                    "sidecar_authentications_total",
                    "Attempts to authenticate, by authenticator and outcome",
                ),
                &["authenticator", "outcome"],
            )?,
            exports: IntCounterVec::new(
                Opts::new(
                    "sidecar_exports_total",
                    "Exports by outcome: sent, failed, refused at the limit (busy), or cut off by the client (cut)",
                ),
                &["outcome"],
            )?,
            export_rows: IntCounter::new("sidecar_export_rows_total", "Users in exports")?,
            export_bytes: IntCounter::new(
                "sidecar_export_bytes_total",
                "Bytes of exports as they were sent, compressed or not",
            )?,
            reloads: IntCounterVec::new(
                Opts::new(
                    "sidecar_reloads_total",
                    "Configurations read again at SIGHUP: applied, or refused for a mistake in them",
                ),
                &["result"],
            )?,
            hashes: Histogram::with_opts(timed(
                "sidecar_password_hash_seconds",
                "Time to check a password, without the wait in the queue",
            ))?,
            waits: Histogram::with_opts(timed(
                "sidecar_database_wait_seconds",
                "Time that jobs waited for a worker and a connection",
            ))?,
            password_queue: IntGauge::new(
                "sidecar_password_queue_length",
                "Passwords that are being checked or wait",
            )?,
            connections: IntGaugeVec::new(
                Opts::new("sidecar_database_connections", "Open connections"),
                &["database", "state"],
            )?,
            most_connections: IntGaugeVec::new(
                Opts::new("sidecar_database_connections_max", "The size of the pool"),
                &["database"],
            )?,
            is_up: IntGaugeVec::new(
                Opts::new(
                    "sidecar_database_up",
                    "0 while the database is known to be down",
                ),
                &["database"],
            )?,
            is_suspect: IntGaugeVec::new(
                Opts::new(
                    "sidecar_database_suspect",
                    "1 while the database hangs or can't be connected to: requests are answered 503 at once",
                ),
                &["database"],
            )?,
            abandoned_workers: IntGaugeVec::new(
                Opts::new(
                    "sidecar_database_abandoned_workers",
                    "Workers of replaced generations that still hang in a job",
                ),
                &["database"],
            )?,
            generations: IntCounterVec::new(
                Opts::new(
                    "sidecar_database_generation",
                    "How often workers and connections were replaced because the database hung",
                ),
                &["database"],
            )?,
            pings: IntCounterVec::new(
                Opts::new(
                    "sidecar_database_pings_total",
                    "Pings sent while a job got no answer",
                ),
                &["database"],
            )?,
            overruns: IntCounterVec::new(
                Opts::new(
                    "sidecar_database_overruns_total",
                    "Jobs that got no answer for longer than the database's own timeouts allow",
                ),
                &["database"],
            )?,
            statistics_requests: IntCounter::new(
                "sidecar_statistics_questions_total",
                "Requests for the statistics that reached the database",
            )?,
            statistics_queries: IntCounter::new(
                "sidecar_statistics_queries_total",
                "Queries that answered them, each for all who had asked before it began",
            )?,
            lost_lines: IntCounter::new(
                "sidecar_log_lines_lost_total",
                "Log lines that standard error or the log file did not take in time",
            )?,
            memory: Gauge::new("process_resident_memory_bytes", "Resident memory")?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        let build = IntGaugeVec::new(
            Opts::new("sidecar_build_info", "Always 1"),
            &["version", "features"],
        )?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), &crate::features().join(",")])
            .set(1);
        let started = Gauge::new("process_start_time_seconds", "Unix time of the start")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        started.set(now.map_or(0.0, |now| now.as_secs_f64()));
        // Counters start at 0 instead of missing, so that an alert on growth sees the first event, too.
        for outcome in ["sent", "failed", "busy", "cut"] {
            self.exports.with_label_values(&[outcome]);
        }
        for result in ["applied", "refused"] {
            self.reloads.with_label_values(&[result]);
        }
        let all: [Box<dyn prometheus::core::Collector>; 24] = [
            Box::new(build),
            Box::new(started),
            Box::new(self.requests.clone()),
            Box::new(self.durations.clone()),
            Box::new(self.authentications.clone()),
            Box::new(self.exports.clone()),
            Box::new(self.export_rows.clone()),
            Box::new(self.export_bytes.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.hashes.clone()),
            Box::new(self.waits.clone()),
            Box::new(self.password_queue.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.most_connections.clone()),
            Box::new(self.is_up.clone()),
            Box::new(self.is_suspect.clone()),
            Box::new(self.abandoned_workers.clone()),
            Box::new(self.generations.clone()),
            Box::new(self.pings.clone()),
            Box::new(self.overruns.clone()),
            Box::new(self.statistics_requests.clone()),
            Box::new(self.statistics_queries.clone()),
            Box::new(self.lost_lines.clone()),
            Box::new(self.memory.clone()),
        ];
        all.into_iter()
            .try_for_each(|collector| self.registry.register(collector))
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

    /// Sets how many passwords are being checked or wait.
    pub fn set_password_queue(&self, length: usize) {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.password_queue.set(length);
    }

    /// Sets the figures of a database.
    pub fn set_database(&self, figures: &DatabaseFigures) {
        let database = figures.database;
        let set = |gauges: &IntGaugeVec, labels: &[&str], value: usize| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            gauges.with_label_values(labels).set(value);
        };
        set(&self.connections, &[database, "idle"], figures.idle);
        set(&self.connections, &[database, "used"], figures.used);
        for (gauges, value) in [
            (&self.most_connections, figures.most),
            (&self.is_up, usize::from(!figures.is_suspect)),
            (&self.is_suspect, usize::from(figures.is_suspect)),
            (&self.abandoned_workers, figures.abandoned_workers),
        ] {
            set(gauges, &[database], value);
        }
        for (counters, total) in [
            (&self.generations, figures.generation),
            (&self.pings, figures.pings),
            (&self.overruns, figures.overruns),
        ] {
            raise(&counters.with_label_values(&[database]), total);
        }
    }

    /// Sets the numbers of requests for statistics, and of their queries, since the start.
    pub fn set_statistics(&self, questions: u64, queries: u64) {
        raise(&self.statistics_requests, questions);
        raise(&self.statistics_queries, queries);
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> prometheus::Result<String> {
        raise(&self.lost_lines, lost_lines());
        if let Some(bytes) = resident_memory() {
            self.memory.set(bytes);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn timed(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(SECONDS.to_vec())
}

/// Resident memory in bytes, where the system tells it.
fn resident_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
