//! The table of environment variables, and the reader that looks each up, applies its default and collects mistakes.

use std::time::Instant;

use super::file::{self, SecretText};
use super::types::ConfigErrors;

/// One environment variable, for `--help` and for errors.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The variable that names a file with the value, if there is one.
    pub file: Option<&'static str>,
    /// The text that is parsed when the variable is unset, if there is one.
    pub default: Option<&'static str>,
    /// A legal value.
    pub example: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

/// Makes each row a [`Variable`]. Where a row has no example, the default is one.
macro_rules! variables {
    ($($name:ident $(or $file:ident)? $(= $default:literal)? $(, like $example:literal)?: $meaning:literal;)*) => {
        /// Every variable the program reads.
        pub const VARIABLES: &[Variable] = &[$(Variable {
            name: stringify!($name),
            file: [$(Some(stringify!($file)),)? None][0],
            default: [$(Some($default),)? None][0],
            example: [$($example,)? $($default,)?][0],
            meaning: $meaning,
        }),*];
    };
}

variables! {
    DATABASE_URL or DATABASE_URL_FILE, like "postgres://sidecar:secret@127.0.0.1:5432/watchtower":
        "The Django application's database: sqlite, postgres or mysql; passwords percent-encoded";
    DATABASE_READ_URL or DATABASE_READ_URL_FILE, like "postgres://sidecar:secret@replica:5432/watchtower":
        "A replica for exports and statistics; who is calling is always decided on DATABASE_URL";
    DJANGO_SECRET_KEY or DJANGO_SECRET_KEY_FILE, like "the value of SECRET_KEY in settings.py": "SECRET_KEY";
    DJANGO_SECRET_KEY_FALLBACKS or DJANGO_SECRET_KEY_FALLBACKS_FILE = "[]", like r#"["an-older-key"]"#:
        "SECRET_KEY_FALLBACKS, a JSON array";
    DJANGO_USER_TABLE = "auth_user", like "accounts_user": "AUTH_USER_MODEL._meta.db_table";
    DJANGO_USERNAME_FIELD = "username", like "email": "The column of USERNAME_FIELD";
    DJANGO_USER_FIELDS_NONE = "[]", like r#"["first_name","last_name"]"#:
        "Fields that the user model sets to None (username, email, first_name, last_name, is_movie_user), a JSON array: \
         exported as null";
    DJANGO_SESSION_COOKIE_NAME = "sessionid": "SESSION_COOKIE_NAME";
    DJANGO_SESSION_COOKIE_AGE = "1209600": "SESSION_COOKIE_AGE, in seconds";
    DJANGO_SESSION_COOKIE_DOMAIN, like ".example.com": "SESSION_COOKIE_DOMAIN";
    DJANGO_SESSION_COOKIE_PATH = "/": "SESSION_COOKIE_PATH";
    DJANGO_SESSION_COOKIE_SECURE = "false", like "true": "SESSION_COOKIE_SECURE";
    DJANGO_SESSION_COOKIE_HTTPONLY = "true": "SESSION_COOKIE_HTTPONLY";
    DJANGO_SESSION_COOKIE_SAMESITE = "Lax": "SESSION_COOKIE_SAMESITE: Lax, Strict, None or False, spelled as Django's";
    DJANGO_AUTHENTICATION_BACKENDS = r#"["django.contrib.auth.backends.ModelBackend"]"#:
        "AUTHENTICATION_BACKENDS, a JSON array";
    DJANGO_PASSWORD_BACKENDS,
        like r#"[{"backend":"django.contrib.auth.backends.ModelBackend","names":["username"]}]"#:
        "The backends that compare passwords with the stored ones, a JSON array of objects: the path, and how the user is \
         found (username, username-lower, username-any-case, email); empty where no password is taken; unset, those of DJANGO_AUTHENTICATION_BACKENDS that the sidecar knows";
    DJANGO_LOCKOUT = "[]", like r#"["axes"]"#:
        "The apps that lock accounts or addresses after failed logins, a JSON array: the sidecar warns that it does not";
    DJANGO_SECOND_FACTOR = "[]", like r#"["allauth.mfa"]"#:
        "The apps of INSTALLED_APPS by which people log in with more than a password, a JSON array";
    DJANGO_REST_AUTHENTICATION = "session,basic":
        "DRF's DEFAULT_AUTHENTICATION_CLASSES, in order: session and basic; or a JSON array that django-settings.py writes, \
         where these can't name them";
    DJANGO_ALLOWED_HOSTS or DJANGO_ALLOWED_HOSTS_FILE = "[]", like r#"["watchtower.example.com"]"#:
        "ALLOWED_HOSTS, a JSON array; as in Django, empty allows the local names with DEBUG and no host without";
    DJANGO_DEBUG = "false": "DEBUG";
    DJANGO_USE_TZ = "true": "USE_TZ";
    DJANGO_TIME_ZONE = "UTC", like "Europe/Berlin": "TIME_ZONE";
    DJANGO_APPEND_SLASH = "true": "APPEND_SLASH";
    DJANGO_LOGIN_URL = "/accounts/login/", like "/admin/login/":
        "LOGIN_URL as a path or URL: where the page sends people to log in, unless SIDECAR_LOGIN is on";
    DJANGO_PBKDF2_ITERATIONS = "1000000", like "600000":
        "PBKDF2PasswordHasher.iterations of the installed Django: what a refused login costs";
    SIDECAR_BIND = "127.0.0.1:8000": "Where to listen: address:port or unix:/path";
    SIDECAR_MOUNT = "/api/admin": "The path the two endpoints live under; set and empty for a proxy that strips it";
    SIDECAR_OPS_BIND, like "127.0.0.1:9000":
        "A second listener for healthz, readyz and metrics; the main one then has none of them";
    SIDECAR_LOGIN = "off", like "on":
        "on: serve POST login/ and logout/ under SIDECAR_LOGIN_MOUNT, and the page's forms; refused beside DJANGO_SECOND_FACTOR, \
         where without-second-factor says that a password alone may open the whole site";
    SIDECAR_LOGIN_MOUNT = "/api", like "/shop/api":
        "The path above login/ and logout/; / for the root";
    SIDECAR_LOGIN_RATE = "10/min":
        "How many logins may fail, by password or Basic, for one client address and under one name; or off";
    SIDECAR_TRUSTED_PROXIES = "127.0.0.1,::1,unix", like "10.0.0.5,unix":
        "Whose X-Forwarded-For and -Proto are believed: addresses and networks, unix for unix sockets; or none";
    SIDECAR_CORS_ORIGINS = "", like "https://importer.example.com":
        "Other sites whose pages may call this one with the user's cookies";
    SIDECAR_EXPORT_CONCURRENCY = "4": "Exports at a time, until they are sent; one more is answered 503";
    SIDECAR_SHUTDOWN_DELAY = "0", like "5": "Seconds to serve on after SIGTERM, with readyz 503";
    SIDECAR_PREPARED_STATEMENTS = "on", like "off":
        "off behind PgBouncer in transaction mode: nothing stays on a connection between transactions";
    SIDECAR_LOG = "info": "The log level or filter; audit lines are written at every level, unless it names audit";
    SIDECAR_LOG_FORMAT = "text", like "json": "text or json";
    SIDECAR_LOG_FILE, like "/var/log/watchtower.log":
        "A regular file the log is appended to as well as standard error, 0600 where it is new; SIGHUP opens it again";
}

/// Looks variables up and collects the mistakes in them.
pub(super) struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Of all files together
    deadline: Instant,
    /// A sentence each
    pub(super) errors: Vec<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Variables {
            lookup,
            deadline: Instant::now() + file::READ_TIMEOUT,
            errors: Vec::new(),
        }
    }

    /// What was read, unless there was a mistake in it.
    pub(super) fn finish<T>(self, config: Option<T>) -> Result<T, ConfigErrors> {
        match config {
            Some(config) if self.errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(self.errors)),
        }
    }

    /// The variable's value, parsed; its default when it is unset, and after a mistake.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.optional(name, &parse).unwrap_or_else(|| {
            let default = variable(name).default.unwrap_or_default();
            parse(default).unwrap_or_else(|wrong| unreachable!("the default of {name} {wrong}"))
        })
    }

    /// The variable's value, parsed; `None` when it is unset, and after a mistake.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name)?;
        parse(&text)
            .map_err(|wrong| self.mistake(name, &wrong))
            .ok()
    }

    /// As [`Variables::optional`], but unset is a mistake.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let mistakes = self.errors.len();
        let value = self.optional(name, parse);
        if value.is_none() && self.errors.len() == mistakes {
            self.mistake(name, "is required but not set");
        }
        value
    }

    fn mistake(&mut self, name: &str, wrong: &str) {
        let example = variable(name).example;
        self.errors
            .push(format!("{name} {wrong}; for example {name}='{example}'"));
    }

    /// The text of the variable, or of the file that its second name leads to; `None` also after a mistake.
    fn text(&mut self, name: &'static str) -> Option<SecretText> {
        let given = (self.lookup)(name).map(SecretText::new);
        // An empty mount is a mount: the proxy strips the path.
        let given = given.filter(|text| !text.is_empty() || name == "SIDECAR_MOUNT");
        let Some(file_name) = variable(name).file else {
            return given;
        };
        let Some(path) = (self.lookup)(file_name).filter(|path| !path.is_empty()) else {
            return given;
        };
        if given.is_some() {
            self.mistake(name, &format!("and {file_name} are both set: keep one"));
            return None;
        }
        let text = file::read(path, self.deadline).map_err(|error| {
            self.errors.push(format!(
                "{file_name} can't be read: {error}; for example {file_name}=/run/secrets/{}",
                name.to_ascii_lowercase()
            ));
        });
        text.ok().filter(|text| !text.is_empty())
    }
}

/// The entry of [`VARIABLES`] with this name.
fn variable(name: &str) -> &'static Variable {
    // Names are literals in this module; `every_variable_that_is_read_is_in_the_table` reads every one of them.
    VARIABLES
        .iter()
        .find(|variable| variable.name == name)
        .unwrap_or_else(|| unreachable!("{name} is missing in VARIABLES"))
}
