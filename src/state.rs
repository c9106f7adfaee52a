//! What every handler shares, and where the listener is bound.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use crate::client_address::TrustedProxies;
use crate::config::{Config, ConfigErrors};
use crate::db::Db;
use crate::db::types::stored_time::Clock;
use crate::django::settings::Settings;
use crate::export::temporary_folder::TemporaryFolder;
use crate::passwords::Passwords;
use crate::session_reader::SessionReader;
use crate::telemetry::RateLimitedLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::RequestIds;

/// What every handler shares.
pub struct State {
    /// The database
    pub db: Db,
    /// Decodes large sessions
    pub session_reader: SessionReader,
    settings: RwLock<Arc<Settings>>,
    /// The time, as the settings want it stored
    pub clock: Clock,
    /// Checks passwords
    pub passwords: Arc<Passwords>,
    /// Permits for exports that are made and sent
    pub exports: Arc<Semaphore>,
    /// Where large exports are spooled
    pub temporary_folder: TemporaryFolder,
    /// The proxies whose `X-Forwarded-For` counts
    pub trusted_proxies: TrustedProxies,
    /// Other sites whose pages may read the answers
    pub cors_origins: Vec<String>,
    /// Log lines that requests can repeat
    pub rate_limited_log: Arc<RateLimitedLog>,
    /// Whether the service was asked to stop
    pub is_stopping: AtomicBool,
    /// Metrics for Prometheus
    pub metrics: Metrics,
    /// Makes request ids
    pub request_ids: RequestIds,
    /// The path that the views live under; empty where the proxy strips it
    pub mount: String,
    /// The path that login and logout live under
    pub login_mount: String,
    /// The column of `USERNAME_FIELD`
    pub username_field: String,
    /// Whether login is served here
    pub serves_login: bool,
    /// Where users log in otherwise: Django's `LOGIN_URL` as a URL
    pub login_url: String,
}

impl State {
    /// The state of a service with this configuration, on a machine with this number of cores. Connects to nothing.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(config: Config, cores: usize) -> io::Result<State> {
        let metrics = Metrics::new().map_err(io::Error::other)?;
        let db = Db::new(&config, metrics.waits());
        let settings = Arc::new(config.django);
        let clock = Clock::new(settings.use_tz, &settings.time_zone);
        Ok(State {
            session_reader: SessionReader::new(db.clone()),
            db,
            passwords: Passwords::new(cores, config.login_rate),
            exports: Arc::new(Semaphore::new(config.export_concurrency)),
            temporary_folder: TemporaryFolder::default(),
            trusted_proxies: config.trusted_proxies,
            cors_origins: config.cors_origins,
            rate_limited_log: Arc::default(),
            settings: RwLock::new(settings),
            clock,
            is_stopping: AtomicBool::new(false),
            metrics,
            request_ids: RequestIds::new().map_err(io::Error::other)?,
            mount: config.mount,
            login_mount: config.login_mount,
            username_field: config.username_field,
            serves_login: config.login,
            login_url: config.login_url,
        })
    }

    /// Django's settings, as they are now: SIGHUP may change keys and hosts.
    pub fn settings(&self) -> Arc<Settings> {
        // No code that can panic runs under the lock.
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings)
    }

    /// Takes over keys and hosts of a configuration that was read again at SIGHUP. One with errors changes nothing.
    pub fn reload(&self, config: Result<Config, ConfigErrors>) {
        let is_applied = config.is_ok();
        match config {
            Ok(config) => {
                for warning in config.warnings() {
                    log::warn!("{}", warning.text);
                }
                let mut settings = self
                    .settings
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *settings = Arc::new(config.django);
                drop(settings);
                log::info!("keys and hosts were read again");
            }
            Err(errors) => log::error!("the configuration stays as it was: {errors}"),
        }
        self.metrics.reloaded(is_applied);
    }
}

/// Where a listener is bound, for what WSGI calls `SERVER_NAME` and `SERVER_PORT`.
#[derive(Clone, Copy)]
pub struct ServerAddress(pub SocketAddr);
