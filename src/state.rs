//! What every handler shares, and where the listener is bound.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use crate::client_address::TrustedProxies;
use crate::config::{Config, ConfigErrors};
use crate::db::Db;
use crate::db::types::stored_time::Clock;
use crate::db::views::exportable_users::DateShape;
use crate::django::settings::Settings;
use crate::passwords::Passwords;
use crate::telemetry::RateLimitedLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::RequestIds;

/// What every handler shares.
pub struct State {
    /// The database
    pub db: Db,
    /// Django's settings; SIGHUP replaces them
    pub settings: RwLock<Arc<Settings>>,
    /// The time, as the settings want it stored
    pub clock: Clock,
    /// How the export shows dates
    pub dates: DateShape,
    /// Where passwords are checked
    pub passwords: Arc<Passwords>,
    /// Exports that are made and sent at a time
    pub exports: Arc<Semaphore>,
    /// Whose `X-Forwarded-For` is believed
    pub trusted_proxies: TrustedProxies,
    /// Other sites whose pages may read the answers
    pub cors_origins: Vec<String>,
    /// Log lines that requests can repeat
    pub rate_limited_log: Arc<RateLimitedLog>,
    /// Whether the service was asked to stop
    pub is_stopping: AtomicBool,
    /// Figures of what happens
    pub metrics: Metrics,
    /// Names for requests
    pub request_ids: RequestIds,
    /// The path that the views live under; empty where the proxy strips it
    pub mount: String,
    /// Whether people log in here
    pub serves_login: bool,
    /// Where they log in otherwise: Django's `LOGIN_URL` as a URL
    pub login_url: String,
}

impl State {
    /// Django's settings, as they are now: SIGHUP may change keys and hosts.
    pub fn settings(&self) -> Arc<Settings> {
        // No code that can panic runs under the lock.
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings)
    }

    /// Takes over what SIGHUP may change of a configuration that was read anew; the old one stays where that is wrong.
    pub fn reload(&self, config: Result<Config, ConfigErrors>) {
        let is_right = config.is_ok();
        match config {
            Ok(config) => {
                for warning in config.warnings() {
                    log::warn!("{}", warning.text);
                }
                let mut settings = self
                    .settings
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                // The environment is what it was; only files can say something new.
                *settings = Arc::new(config.django);
                drop(settings);
                log::info!("keys and hosts are read anew");
            }
            Err(errors) => log::error!("the configuration stays as it was: {errors}"),
        }
        self.metrics.reloaded(is_right);
    }
}

/// Where a listener is bound, for what WSGI calls `SERVER_NAME` and `SERVER_PORT`.
#[derive(Clone, Copy)]
pub struct ServerAddress(pub SocketAddr);
