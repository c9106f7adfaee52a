//! The configuration: environment variables parsed at start, and again at SIGHUP, into [`Config`].
//!
//! [`Config::from_vars`] looks every variable up through a function, so that tests need no process environment, and
//! reports every mistake at once. [`VARIABLES`] is the one table of names, meanings and defaults; `--help` prints it.

use std::path::PathBuf;
use std::time::Duration;

use crate::client_address::TrustedProxies;
use crate::django::hashers::Hashing;
use crate::django::settings::{SessionCookie, Settings};
use crate::django::signing::{SecretKey, SecretKeys};

mod database_url;
mod file;
mod local_client;
mod types;
mod values;
mod variables;
mod warnings;

pub use database_url::{Backend, DatabaseUrl};
pub use local_client::LocalClientConfig;
pub use types::{Bind, ConfigErrors, LogFormat, Logging, Rate};
pub use variables::{VARIABLES, Variable};

use types::LoginMode;
use values::*;
use variables::Variables;

/// The whole configuration of `serve`. It has no `Debug`: it holds the keys and the database's password.
pub struct Config {
    /// The database of sessions and users; also of exports, unless there is a replica.
    pub database_url: DatabaseUrl,
    /// A replica for exports and statistics.
    pub database_read_url: Option<DatabaseUrl>,
    /// `AUTH_USER_MODEL._meta.db_table`
    pub user_table: String,
    /// The column of `USERNAME_FIELD`
    pub username_field: String,
    /// The exported fields that the user model has set to `None`
    pub none_fields: Vec<String>,
    /// Django's own settings
    pub django: Settings,
    /// The login page of the application: `LOGIN_URL` as a URL
    pub login_url: String,
    /// The installed apps that ask for a second factor at login
    pub second_factor: Vec<String>,
    /// The main listener
    pub bind: Bind,
    /// A separate listener for the health checks
    pub ops_bind: Option<Bind>,
    /// The path the endpoints live under, without a trailing slash; empty for the root
    pub mount: String,
    /// Whether `POST /api/login/` and `POST /api/logout/` are served
    pub login: bool,
    /// How many logins may fail, of one client address and under one name; `None`: no limit
    pub login_rate: Option<Rate>,
    /// The proxies whose `X-Forwarded-For` is believed
    pub trusted_proxies: TrustedProxies,
    /// Other sites whose pages may read the answers, as their browsers name them
    pub cors_origins: Vec<String>,
    /// The most concurrent exports
    pub export_concurrency: usize,
    /// How long the service goes on after SIGTERM, answering `readyz` with 503
    pub shutdown_delay: Duration,
    /// Whether statements and limits may stay on a connection between transactions (not behind PgBouncer in transaction mode)
    pub prepared_statements: bool,
    /// Log level, format and file
    pub logging: Logging,
}

impl Config {
    /// Reads the configuration through `lookup` (usually `std::env::var`; `Some("")` counts as unset but for
    /// `SIDECAR_MOUNT`, where empty is a value). Files named by `NAME_FILE` are read;
    /// the caller waits for one that hangs, but not longer than 5 seconds for all together.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        let mut vars = Variables::new(&lookup);

        let database_url = vars.required("DATABASE_URL", DatabaseUrl::parse_primary);
        let database_read_url = vars.optional("DATABASE_READ_URL", DatabaseUrl::parse);
        let user_table = vars.value("DJANGO_USER_TABLE", identifier);
        let username_field = vars.value("DJANGO_USERNAME_FIELD", identifier);
        let none_fields = vars.value("DJANGO_USER_FIELDS_NONE", |text| {
            none_fields(text, username_field.as_deref())
        });

        let key = vars.required("DJANGO_SECRET_KEY", |key| {
            Ok(SecretKey::new(key.to_owned()))
        });
        let fallbacks = vars.value("DJANGO_SECRET_KEY_FALLBACKS", secret_keys);

        let debug = vars.value("DJANGO_DEBUG", boolean);
        let session_cookie = vars.session_cookie();
        let allowed_hosts = vars.value("DJANGO_ALLOWED_HOSTS", string_array);
        let use_tz = vars.value("DJANGO_USE_TZ", boolean);
        let time_zone = vars.value("DJANGO_TIME_ZONE", time_zone);
        let append_slash = vars.value("DJANGO_APPEND_SLASH", boolean);
        let authentication_backends = vars.value("DJANGO_AUTHENTICATION_BACKENDS", string_array);
        let second_factor = vars.value("DJANGO_SECOND_FACTOR", string_array);
        let rest_authentication = vars.value("DJANGO_REST_AUTHENTICATION", authenticators);
        let pbkdf2_iterations = vars.value("DJANGO_PBKDF2_ITERATIONS", iterations);

        let login_url = vars.value("DJANGO_LOGIN_URL", login_url);

        let bind = vars.value("SIDECAR_BIND", bind);
        let ops_bind = vars.optional("SIDECAR_OPS_BIND", self::bind);
        let mount = vars.value("SIDECAR_MOUNT", mount);
        let login = vars.value("SIDECAR_LOGIN", login_mode);
        let login_rate = vars.value("SIDECAR_LOGIN_RATE", rate);
        let trusted_proxies = vars.value("SIDECAR_TRUSTED_PROXIES", trusted_proxies);
        let cors_origins = vars.value("SIDECAR_CORS_ORIGINS", origins);
        let export_concurrency = vars.value("SIDECAR_EXPORT_CONCURRENCY", export_concurrency);
        let shutdown_delay = vars.value("SIDECAR_SHUTDOWN_DELAY", delay);
        let prepared_statements = vars.value("SIDECAR_PREPARED_STATEMENTS", on_or_off);
        let filter = vars.value("SIDECAR_LOG", log_filter);
        let format = vars.value("SIDECAR_LOG_FORMAT", log_format);
        let file = vars.optional("SIDECAR_LOG_FILE", |path| Ok(PathBuf::from(path)));

        if let (Some(LoginMode::On), Some(apps @ [_, ..])) = (login, second_factor.as_deref()) {
            vars.contradiction(format!(
                "SIDECAR_LOGIN is on, but the project asks for a second factor at login (DJANGO_SECOND_FACTOR: {}): the \
                 sidecar's login asks for the password alone, and its session opens the whole site; set \
                 SIDECAR_LOGIN=without-second-factor to allow that, or SIDECAR_LOGIN=off",
                apps.join(", ")
            ));
        }
        let errors = vars.into_errors();
        // Every `None` has left a sentence in `errors`.
        let config = || {
            Some(Config {
                database_url: database_url?,
                database_read_url,
                user_table: user_table?,
                username_field: username_field?,
                none_fields: none_fields?,
                django: Settings {
                    secret_keys: SecretKeys::new(key?, fallbacks?),
                    allowed_hosts: allowed_hosts?,
                    debug: debug?,
                    append_slash: append_slash?,
                    use_tz: use_tz?,
                    time_zone: time_zone?,
                    authentication_backends: authentication_backends?,
                    rest_authentication: rest_authentication?,
                    session_cookie: session_cookie?,
                    hashing: Hashing {
                        pbkdf2_iterations: pbkdf2_iterations?,
                    },
                },
                login_url: login_url?,
                second_factor: second_factor?,
                bind: bind?,
                ops_bind,
                mount: mount?,
                login: login? != LoginMode::Off,
                login_rate: login_rate?,
                trusted_proxies: trusted_proxies?,
                cors_origins: cors_origins?,
                export_concurrency: export_concurrency?,
                shutdown_delay: shutdown_delay?,
                prepared_statements: prepared_statements?,
                logging: Logging {
                    filter: filter?,
                    format: format?,
                    file,
                },
            })
        };
        match config() {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

impl Variables<'_> {
    fn session_cookie(&mut self) -> Option<SessionCookie> {
        let name = self.value("DJANGO_SESSION_COOKIE_NAME", cookie_name);
        let age = self.value("DJANGO_SESSION_COOKIE_AGE", seconds);
        let domain = self.optional("DJANGO_SESSION_COOKIE_DOMAIN", cookie_attribute);
        let path = self.value("DJANGO_SESSION_COOKIE_PATH", cookie_attribute);
        let secure = self.value("DJANGO_SESSION_COOKIE_SECURE", boolean);
        let http_only = self.value("DJANGO_SESSION_COOKIE_HTTPONLY", boolean);
        let same_site = self.value("DJANGO_SESSION_COOKIE_SAMESITE", same_site);
        Some(SessionCookie {
            name: name?,
            age_seconds: age?,
            domain,
            path: path?,
            secure: secure?,
            http_only: http_only?,
            same_site: same_site?,
        })
    }
}

#[cfg(test)]
mod tests;
