//! The configuration: environment variables parsed once, at start, into [`Config`].
//!
//! [`Config::from_vars`] looks every variable up through a function, so that tests need no process environment, and
//! reports every mistake at once. [`VARIABLES`] is the one table of names, meanings and defaults; `--help` prints it.

use std::net::SocketAddr;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::django::cookies::SameSite;
use crate::django::hashers::Hashing;
use crate::django::settings::{Authenticator, SessionCookie, Settings};
use crate::django::signing::{SecretKey, SecretKeys};

mod database_url;
mod variables;

pub use database_url::{Backend, DatabaseUrl};
pub use variables::{VARIABLES, Variable};

use variables::Variables;

/// Where the service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A TCP address; port 0 takes any free port.
    Tcp(SocketAddr),
    /// A unix socket at this path.
    Unix(PathBuf),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per record.
    Text,
    /// One JSON object per record.
    Json,
}

/// `SIDECAR_LOG`, `SIDECAR_LOG_FORMAT`, `SIDECAR_LOG_FILE`.
#[derive(Debug, Clone)]
pub struct Logging {
    /// An env_logger filter.
    pub filter: String,
    /// The shape of a line.
    pub format: LogFormat,
    /// Appended to as well as standard error.
    pub file: Option<PathBuf>,
}

/// The whole configuration of `serve`. It has no `Debug`: it holds the keys and the database's password.
pub struct Config {
    /// Where sessions, users and exports are read.
    pub database_url: DatabaseUrl,
    /// A replica for exports and statistics.
    pub database_read_url: Option<DatabaseUrl>,
    /// `AUTH_USER_MODEL._meta.db_table`
    pub user_table: String,
    /// The column of `USERNAME_FIELD`
    pub username_field: String,
    /// Django's own settings
    pub django: Settings,
    /// The main listener
    pub bind: Bind,
    /// A listener of its own for the health checks
    pub ops_bind: Option<Bind>,
    /// The path the endpoints live under, without a trailing slash; empty for the root
    pub mount: String,
    /// Whether `POST /api/login/` and `POST /api/logout/` are served
    pub login: bool,
    /// Log level, format and file
    pub logging: Logging,
}

/// Every mistake found in the environment, a sentence each: variable, what is wrong, an example.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        writeln!(f, "{count} {noun} in the configuration:")?;
        self.0
            .iter()
            .try_for_each(|error| writeln!(f, "  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads the configuration through `lookup` (usually `std::env::var`; `Some("")` counts as unset but for
    /// `SIDECAR_MOUNT`, where empty is a value). Files named by `NAME_FILE` are read.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        let mut vars = Variables::new(&lookup);

        let database_url = vars.required("DATABASE_URL", DatabaseUrl::parse);
        let database_read_url = vars.optional("DATABASE_READ_URL", DatabaseUrl::parse);
        let user_table = vars.value("DJANGO_USER_TABLE", identifier);
        let username_field = vars.value("DJANGO_USERNAME_FIELD", identifier);

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
        let rest_authentication = vars.value("DJANGO_REST_AUTHENTICATION", authenticators);
        let pbkdf2_iterations = vars.value("DJANGO_PBKDF2_ITERATIONS", iterations);

        let bind = vars.value("SIDECAR_BIND", bind);
        let ops_bind = vars.optional("SIDECAR_OPS_BIND", self::bind);
        let mount = vars.value("SIDECAR_MOUNT", mount);
        let login = vars.value("SIDECAR_LOGIN", on_or_off);
        let filter = vars.value("SIDECAR_LOG", log_filter);
        let format = vars.value("SIDECAR_LOG_FORMAT", log_format);
        let file = vars.optional("SIDECAR_LOG_FILE", |path| Ok(PathBuf::from(path)));

        let errors = vars.into_errors();
        // Every `None` below has left a sentence in `errors`; the pattern only takes the values out together.
        match (
            database_url,
            user_table.zip(username_field),
            key.zip(fallbacks),
            debug.zip(session_cookie),
            allowed_hosts.zip(use_tz),
            time_zone.zip(append_slash),
            authentication_backends.zip(rest_authentication),
            pbkdf2_iterations,
            bind.zip(mount),
            login,
            filter.zip(format),
        ) {
            (
                Some(database_url),
                Some((user_table, username_field)),
                Some((key, fallbacks)),
                Some((debug, session_cookie)),
                Some((allowed_hosts, use_tz)),
                Some((time_zone, append_slash)),
                Some((authentication_backends, rest_authentication)),
                Some(pbkdf2_iterations),
                Some((bind, mount)),
                Some(login),
                Some((filter, format)),
            ) if errors.is_empty() => Ok(Config {
                database_url,
                database_read_url,
                user_table,
                username_field,
                django: Settings {
                    secret_keys: SecretKeys::new(key, fallbacks),
                    allowed_hosts,
                    debug,
                    append_slash,
                    use_tz,
                    time_zone,
                    authentication_backends,
                    rest_authentication,
                    session_cookie,
                    hashing: Hashing { pbkdf2_iterations },
                },
                bind,
                ops_bind,
                mount,
                login,
                logging: Logging {
                    filter,
                    format,
                    file,
                },
            }),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

impl Config {
    /// What is no mistake but will surprise the operator, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.django.allowed_hosts.is_empty() && !self.django.debug {
            warnings.push(
                "DJANGO_ALLOWED_HOSTS is empty: as in Django, every request is answered 400 Bad Request".to_owned(),
            );
        }
        warnings
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

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither true nor false".into()),
    }
}

fn on_or_off(text: &str) -> Result<bool, String> {
    boolean(text).map_err(|_| "is neither on nor off".into())
}

fn identifier(text: &str) -> Result<String, String> {
    if text.contains('\0') || text.len() > 128 {
        return Err("is not the name of a table or column".into());
    }
    Ok(text.to_owned())
}

fn string_array(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|_| "is not a JSON array of strings".into())
}

fn secret_keys(text: &str) -> Result<Vec<SecretKey>, String> {
    let keys = string_array(text)?;
    if keys.iter().any(String::is_empty) {
        return Err("holds an empty key".into());
    }
    Ok(keys.into_iter().map(SecretKey::new).collect())
}

fn seconds(text: &str) -> Result<i64, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(i64::from(seconds)),
        _ => Err("is not a number of seconds above 0".into()),
    }
}

fn iterations(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(count) if (1..=10_000_000).contains(&count) => Ok(count),
        _ => Err("is not a number from 1 to 10000000".into()),
    }
}

fn cookie_name(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.bytes().all(legal) {
        return Err("holds characters that a cookie name can't have".into());
    }
    Ok(text.to_owned())
}

fn cookie_attribute(text: &str) -> Result<String, String> {
    if !text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b';') {
        return Err("holds characters that a cookie attribute can't have".into());
    }
    Ok(text.to_owned())
}

fn same_site(text: &str) -> Result<Option<SameSite>, String> {
    match text.to_ascii_lowercase().as_str() {
        "lax" => Ok(Some(SameSite::Lax)),
        "strict" => Ok(Some(SameSite::Strict)),
        "none" => Ok(Some(SameSite::None)),
        "false" => Ok(None),
        _ => Err("is none of Lax, Strict, None, False".into()),
    }
}

fn time_zone(text: &str) -> Result<String, String> {
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not the name of a time zone".into()),
    }
}

fn authenticators(text: &str) -> Result<Vec<Authenticator>, String> {
    let parsed = text.split(',').map(|name| match name.trim() {
        "session" => Ok(Authenticator::Session),
        "basic" => Ok(Authenticator::Basic),
        _ => Err("is not a list of session and basic".to_owned()),
    });
    let authenticators = parsed.collect::<Result<Vec<_>, _>>()?;
    match authenticators.as_slice() {
        [one, other] if one == other => Err("names one authenticator twice".into()),
        [_] | [_, _] => Ok(authenticators),
        _ => Err("names more than session and basic".into()),
    }
}

fn bind(text: &str) -> Result<Bind, String> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(Bind::Unix(PathBuf::from(path))),
        Some(_) => Err("names a unix socket without an absolute path".into()),
        None => match text.parse() {
            Ok(address) => Ok(Bind::Tcp(address)),
            Err(_) => Err("is not an IP address with a port, nor unix:/path".into()),
        },
    }
}

fn mount(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let segments_are_plain = path
        .split('/')
        .skip(1)
        .all(|s| !s.is_empty() && s != "." && s != "..");
    match path.is_empty()
        || (path.starts_with('/') && path.bytes().all(legal) && segments_are_plain)
    {
        true => Ok(path.to_owned()),
        false => Err("is not a path of plain segments, nor empty".into()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    // To env_logger a word it does not know is a module's name, and everything else falls silent.
    let directives = text.split('/').next().unwrap_or_default().split(',');
    let mut bare = directives.filter(|directive| !directive.contains('='));
    let are_levels = bare.all(|level| level.trim().parse::<log::LevelFilter>().is_ok());
    match env_filter::Builder::new().try_parse(text) {
        Ok(_) if are_levels => Ok(text.to_owned()),
        _ => Err("is not a log level or filter".into()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither text nor json".into()),
    }
}

/// A secret's text as it came from the environment or a file, wiped when dropped.
type SecretText = Zeroizing<String>;

#[cfg(test)]
mod tests;
