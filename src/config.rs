//! The configuration: environment variables parsed at start, and again at SIGHUP, into [`Config`].
//!
//! [`Config::from_vars`] looks every variable up through a function, so that tests need no process environment, and
//! reports every mistake at once. [`VARIABLES`] is the one table of names, meanings and defaults; `--help` prints it.

use std::path::PathBuf;
use std::time::Duration;

use crate::client_address::TrustedProxies;
use crate::django::backends::{NameLookup, known_password_backends, lookups};
use crate::django::cookies::SessionCookie;
use crate::django::settings::Settings;
use crate::django::signing::{SecretKey, SecretKeys};

mod authenticators;
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
    /// Whether the project has named the backends that take passwords
    pub names_password_backends: bool,
    /// The installed apps that lock accounts or addresses after failed logins
    pub lockout: Vec<String>,
    /// The installed apps that ask for a second factor at login
    pub second_factor: Vec<String>,
    /// The main listener
    pub bind: Bind,
    /// A separate listener for the health checks
    pub ops_bind: Option<Bind>,
    /// The path the endpoints live under, without a trailing slash; empty for the root
    pub mount: String,
    /// Whether login and logout are served
    pub login: bool,
    /// The path above `login/` and `logout/`, without a trailing slash; empty for the root
    pub login_mount: String,
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
    /// Reads the configuration through `lookup`, usually `std::env::var`. `Some("")` counts as unset, except for
    /// `SIDECAR_MOUNT`. Reading the files that `NAME_FILE` names takes at most 5 seconds for all together.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        let mut vars = Variables::new(&lookup);
        let config = Config::read(&mut vars);
        vars.finish(config)
    }

    /// Whether a password that is checked may belong to an e-mail address.
    pub fn reads_addresses(&self) -> bool {
        (self.login || self.django.takes_basic())
            && lookups(&self.django.password_backends).contains(&NameLookup::Email)
    }

    /// `None` if a required variable is unset or wrong. Other mistakes are left in `vars`, with a default in their place.
    fn read(vars: &mut Variables<'_>) -> Option<Config> {
        let database_url = vars.required("DATABASE_URL", DatabaseUrl::parse_primary);
        let key = vars.required("DJANGO_SECRET_KEY", |key| {
            Ok(SecretKey::new(key.to_owned()))
        });
        let fallbacks = vars.value("DJANGO_SECRET_KEY_FALLBACKS", secret_keys);
        let username_field = vars.value("DJANGO_USERNAME_FIELD", identifier);
        let none_fields = vars.value("DJANGO_USER_FIELDS_NONE", |text| {
            none_fields(text, &username_field)
        });
        let authentication_backends = vars.value("DJANGO_AUTHENTICATION_BACKENDS", string_array);
        let named = vars.optional("DJANGO_PASSWORD_BACKENDS", |text| {
            password_backends(text, &authentication_backends, &none_fields)
        });
        let second_factor = vars.value("DJANGO_SECOND_FACTOR", string_array);
        let login = vars.value("SIDECAR_LOGIN", login_mode);
        let mount = vars.value("SIDECAR_MOUNT", mount);
        let login_mount = vars.value("SIDECAR_LOGIN_MOUNT", values::mount);
        if login == LoginMode::On && !second_factor.is_empty() {
            vars.errors.push(format!(
                "SIDECAR_LOGIN is on, but the project asks for a second factor at login (DJANGO_SECOND_FACTOR: {}): the \
                 sidecar's login asks for the password alone, and its session opens the whole site; set \
                 SIDECAR_LOGIN=without-second-factor to allow that, or SIDECAR_LOGIN=off",
                second_factor.join(", ")
            ));
        }
        let names_password_backends = named.is_some();
        let password_backends =
            named.unwrap_or_else(|| known_password_backends(&authentication_backends));
        let takes_none = names_password_backends && lookups(&password_backends).is_empty();
        if login != LoginMode::Off && takes_none {
            vars.errors.push(
                "SIDECAR_LOGIN is on, but the project takes no password (DJANGO_PASSWORD_BACKENDS is empty, or its backends \
                 take no name): no one could log in here; set SIDECAR_LOGIN=off"
                    .into(),
            );
        }
        let below = mount.strip_prefix(login_mount.as_str());
        let is_taken = below.is_some_and(|below| ["", "/login", "/logout"].contains(&below));
        if login != LoginMode::Off && is_taken {
            vars.errors.push(format!(
                "SIDECAR_LOGIN_MOUNT is {login_mount}, where the page and its forms are (SIDECAR_MOUNT is {mount}): set it \
                 to another path, for example SIDECAR_LOGIN_MOUNT={mount}/session"
            ));
        }
        Some(Config {
            database_read_url: vars.optional("DATABASE_READ_URL", DatabaseUrl::parse),
            user_table: vars.value("DJANGO_USER_TABLE", identifier),
            none_fields,
            username_field,
            names_password_backends,
            lockout: vars.value("DJANGO_LOCKOUT", string_array),
            login_url: vars.value("DJANGO_LOGIN_URL", login_url),
            second_factor,
            bind: vars.value("SIDECAR_BIND", bind),
            ops_bind: vars.optional("SIDECAR_OPS_BIND", bind),
            mount,
            login: login != LoginMode::Off,
            login_mount,
            login_rate: vars.value("SIDECAR_LOGIN_RATE", rate),
            trusted_proxies: vars.value("SIDECAR_TRUSTED_PROXIES", trusted_proxies),
            cors_origins: vars.value("SIDECAR_CORS_ORIGINS", origins),
            export_concurrency: vars.value("SIDECAR_EXPORT_CONCURRENCY", number(1..=64)),
            shutdown_delay: Duration::from_secs(
                vars.value("SIDECAR_SHUTDOWN_DELAY", number(0..=3600)),
            ),
            prepared_statements: vars.value("SIDECAR_PREPARED_STATEMENTS", boolean),
            logging: Logging {
                filter: vars.value("SIDECAR_LOG", log_filter),
                format: vars.value("SIDECAR_LOG_FORMAT", log_format),
                file: vars.optional("SIDECAR_LOG_FILE", |path| Ok(PathBuf::from(path))),
            },
            django: Settings {
                allowed_hosts: vars.value("DJANGO_ALLOWED_HOSTS", string_array),
                debug: vars.value("DJANGO_DEBUG", boolean),
                append_slash: vars.value("DJANGO_APPEND_SLASH", boolean),
                use_tz: vars.value("DJANGO_USE_TZ", boolean),
                time_zone: vars.value("DJANGO_TIME_ZONE", time_zone),
                password_backends,
                authentication_backends,
                authenticators: vars
                    .value("DJANGO_REST_AUTHENTICATION", authenticators::authenticators),
                session_cookie: SessionCookie {
                    name: vars.value("DJANGO_SESSION_COOKIE_NAME", cookie_name),
                    age_seconds: vars
                        .value("DJANGO_SESSION_COOKIE_AGE", number(1..=u32::MAX.into())),
                    domain: vars.optional("DJANGO_SESSION_COOKIE_DOMAIN", cookie_attribute),
                    path: vars.value("DJANGO_SESSION_COOKIE_PATH", cookie_attribute),
                    secure: vars.value("DJANGO_SESSION_COOKIE_SECURE", boolean),
                    http_only: vars.value("DJANGO_SESSION_COOKIE_HTTPONLY", boolean),
                    same_site: vars.value("DJANGO_SESSION_COOKIE_SAMESITE", same_site),
                },
                pbkdf2_iterations: vars.value("DJANGO_PBKDF2_ITERATIONS", number(1..=10_000_000)),
                // The last two: only here may a missing variable end the reading, since all others have been read.
                secret_keys: SecretKeys {
                    current: key?,
                    fallbacks,
                },
            },
            database_url: database_url?,
        })
    }
}
