//! The table of environment variables, and the reader that looks each up, applies its default and collects mistakes.

use std::time::Instant;

use super::file::{self, SecretText};

/// One environment variable, for `--help` and for errors.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// The text that is parsed when the variable is unset, if there is one.
    pub default: Option<&'static str>,
    /// A legal value.
    pub example: &'static str,
    /// Whether it may also be given as `NAME_FILE`.
    pub file: bool,
}

const fn plain(
    name: &'static str,
    meaning: &'static str,
    default: Option<&'static str>,
    example: &'static str,
) -> Variable {
    Variable {
        name,
        meaning,
        default,
        example,
        file: false,
    }
}

/// A variable that may also be given as `NAME_FILE`.
const fn or_file(
    name: &'static str,
    meaning: &'static str,
    default: Option<&'static str>,
    example: &'static str,
) -> Variable {
    Variable {
        name,
        meaning,
        default,
        example,
        file: true,
    }
}

/// Every variable the program reads.
pub const VARIABLES: &[Variable] = &[
    or_file(
        "DATABASE_URL",
        "The Django application's database: sqlite, postgres or mysql; passwords percent-encoded",
        None,
        "postgres://sidecar:secret@127.0.0.1:5432/watchtower",
    ),
    or_file(
        "DATABASE_READ_URL",
        "A replica for exports and statistics; who is calling is always decided on DATABASE_URL",
        None,
        "postgres://sidecar:secret@replica:5432/watchtower",
    ),
    or_file(
        "DJANGO_SECRET_KEY",
        "SECRET_KEY",
        None,
        "the value of SECRET_KEY in settings.py",
    ),
    or_file(
        "DJANGO_SECRET_KEY_FALLBACKS",
        "SECRET_KEY_FALLBACKS, a JSON array",
        Some("[]"),
        r#"["an-older-key"]"#,
    ),
    plain(
        "DJANGO_USER_TABLE",
        "AUTH_USER_MODEL._meta.db_table",
        Some("auth_user"),
        "accounts_user",
    ),
    plain(
        "DJANGO_USERNAME_FIELD",
        "The column of USERNAME_FIELD",
        Some("username"),
        "email",
    ),
    plain(
        "DJANGO_USER_FIELDS_NONE",
        "Fields that the user model sets to None (username, email, first_name, last_name), a JSON array: exported as null",
        Some("[]"),
        r#"["first_name","last_name"]"#,
    ),
    plain(
        "DJANGO_SESSION_COOKIE_NAME",
        "SESSION_COOKIE_NAME",
        Some("sessionid"),
        "sessionid",
    ),
    plain(
        "DJANGO_SESSION_COOKIE_AGE",
        "SESSION_COOKIE_AGE, in seconds",
        Some("1209600"),
        "1209600",
    ),
    plain(
        "DJANGO_SESSION_COOKIE_DOMAIN",
        "SESSION_COOKIE_DOMAIN",
        None,
        ".example.com",
    ),
    plain(
        "DJANGO_SESSION_COOKIE_PATH",
        "SESSION_COOKIE_PATH",
        Some("/"),
        "/",
    ),
    plain(
        "DJANGO_SESSION_COOKIE_SECURE",
        "SESSION_COOKIE_SECURE",
        Some("false"),
        "true",
    ),
    plain(
        "DJANGO_SESSION_COOKIE_HTTPONLY",
        "SESSION_COOKIE_HTTPONLY",
        Some("true"),
        "true",
    ),
    plain(
        "DJANGO_SESSION_COOKIE_SAMESITE",
        "SESSION_COOKIE_SAMESITE: Lax, Strict, None or False",
        Some("Lax"),
        "Lax",
    ),
    plain(
        "DJANGO_AUTHENTICATION_BACKENDS",
        "AUTHENTICATION_BACKENDS, a JSON array",
        Some(r#"["django.contrib.auth.backends.ModelBackend"]"#),
        r#"["django.contrib.auth.backends.ModelBackend"]"#,
    ),
    plain(
        "DJANGO_SECOND_FACTOR",
        "The apps of INSTALLED_APPS by which people log in with more than a password, a JSON array",
        Some("[]"),
        r#"["allauth.mfa"]"#,
    ),
    plain(
        "DJANGO_REST_AUTHENTICATION",
        "DRF's DEFAULT_AUTHENTICATION_CLASSES, in order",
        Some("session,basic"),
        "session,basic",
    ),
    or_file(
        "DJANGO_ALLOWED_HOSTS",
        "ALLOWED_HOSTS, a JSON array; as in Django, empty allows the local names with DEBUG and no host without",
        Some("[]"),
        r#"["watchtower.example.com"]"#,
    ),
    plain("DJANGO_DEBUG", "DEBUG", Some("false"), "false"),
    plain("DJANGO_USE_TZ", "USE_TZ", Some("true"), "true"),
    plain(
        "DJANGO_TIME_ZONE",
        "TIME_ZONE",
        Some("UTC"),
        "Europe/Berlin",
    ),
    plain("DJANGO_APPEND_SLASH", "APPEND_SLASH", Some("true"), "true"),
    plain(
        "DJANGO_LOGIN_URL",
        "LOGIN_URL as a path or URL: where the page sends people to log in, unless SIDECAR_LOGIN is on",
        Some("/accounts/login/"),
        "/admin/login/",
    ),
    plain(
        "DJANGO_PBKDF2_ITERATIONS",
        "PBKDF2PasswordHasher.iterations of the installed Django: what a refused login costs",
        Some("1000000"),
        "600000",
    ),
    plain(
        "SIDECAR_BIND",
        "Where to listen: address:port or unix:/path",
        Some("127.0.0.1:8000"),
        "127.0.0.1:8000",
    ),
    plain(
        "SIDECAR_MOUNT",
        "The path the two endpoints live under; set and empty for a proxy that strips it",
        Some("/api/admin"),
        "/api/admin",
    ),
    plain(
        "SIDECAR_OPS_BIND",
        "A second listener for healthz, readyz and metrics; the main one then has none of them",
        None,
        "127.0.0.1:9000",
    ),
    plain(
        "SIDECAR_LOGIN",
        "on: serve POST /api/login/ and POST /api/logout/, and the page's forms; refused beside DJANGO_SECOND_FACTOR, where \
         without-second-factor says that a password alone may open the whole site",
        Some("off"),
        "on",
    ),
    plain(
        "SIDECAR_LOGIN_RATE",
        "How many logins may fail, by password or Basic, for one client address and under one name; or off",
        Some("10/min"),
        "10/min",
    ),
    plain(
        "SIDECAR_TRUSTED_PROXIES",
        "Whose X-Forwarded-For and -Proto are believed: addresses and networks, unix for unix sockets; or none",
        Some("127.0.0.1,::1,unix"),
        "10.0.0.5,unix",
    ),
    plain(
        "SIDECAR_CORS_ORIGINS",
        "Other sites whose pages may call this one with the user's cookies",
        Some(""),
        "https://importer.example.com",
    ),
    plain(
        "SIDECAR_EXPORT_CONCURRENCY",
        "Exports at a time, until they are sent; one more is answered 503",
        Some("4"),
        "4",
    ),
    plain(
        "SIDECAR_SHUTDOWN_DELAY",
        "Seconds to serve on after SIGTERM, with readyz 503",
        Some("0"),
        "5",
    ),
    plain(
        "SIDECAR_PREPARED_STATEMENTS",
        "off behind PgBouncer in transaction mode: nothing stays on a connection between transactions",
        Some("on"),
        "off",
    ),
    plain(
        "SIDECAR_LOG",
        "The log level or filter; audit lines are written at every level, unless it names audit",
        Some("info"),
        "info",
    ),
    plain("SIDECAR_LOG_FORMAT", "text or json", Some("text"), "json"),
    plain(
        "SIDECAR_LOG_FILE",
        "A regular file the log is appended to as well as standard error, 0600 where it is new; SIGHUP opens it again",
        None,
        "/var/log/watchtower.log",
    ),
];

/// Looks variables up and collects the mistakes in them.
pub(super) struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Of all files together
    deadline: Instant,
    errors: Vec<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Variables {
            lookup,
            deadline: Instant::now() + file::READ_TIMEOUT,
            errors: Vec::new(),
        }
    }

    pub(super) fn into_errors(self) -> Vec<String> {
        self.errors
    }

    /// The variable's value or its default, parsed; `None` after a mistake.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = match self.text(name) {
            Ok(Some(text)) => text,
            Ok(None) => SecretText::new(variable(name).default.unwrap_or_default().to_owned()),
            Err(()) => return None,
        };
        self.parsed(name, &text, parse)
    }

    /// The variable's value, parsed; `None` when it is unset or after a mistake.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name).ok()??;
        self.parsed(name, &text, parse)
    }

    /// As [`Variables::optional`], but unset is a mistake.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.text(name) {
            Ok(Some(text)) => self.parsed(name, &text, parse),
            Ok(None) => {
                self.mistake(name, "is required but not set");
                None
            }
            Err(()) => None,
        }
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text).map_err(|wrong| self.mistake(name, &wrong)).ok()
    }

    /// Adds a sentence about variables that do not go together.
    pub(super) fn contradiction(&mut self, sentence: String) {
        self.errors.push(sentence);
    }

    fn mistake(&mut self, name: &str, wrong: &str) {
        let example = variable(name).example;
        self.errors
            .push(format!("{name} {wrong}; for example {name}='{example}'"));
    }

    /// The text of the variable, or of the file that `NAME_FILE` names.
    fn text(&mut self, name: &'static str) -> Result<Option<SecretText>, ()> {
        let given = (self.lookup)(name).map(SecretText::new);
        // An empty mount is a mount: the proxy strips the path.
        let given = given.filter(|text| !text.is_empty() || name == "SIDECAR_MOUNT");
        if !variable(name).file {
            return Ok(given);
        }
        let file_name = format!("{name}_FILE");
        let path = (self.lookup)(&file_name).filter(|path| !path.is_empty());
        match (given, path) {
            (given, None) => Ok(given),
            (Some(_), Some(_)) => {
                self.mistake(name, &format!("and {file_name} are both set: keep one"));
                Err(())
            }
            (None, Some(path)) => match file::read(path, self.deadline) {
                Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                Err(error) => {
                    self.errors.push(format!("{file_name} can't be read: {error}; for example {file_name}=/run/secrets/{}", name.to_ascii_lowercase()));
                    Err(())
                }
            },
        }
    }
}

/// The entry of [`VARIABLES`] with this name.
fn variable(name: &str) -> &'static Variable {
    // Names come from this module's own callers as literals; the test `every_name_that_is_read_is_in_the_table` reads
    // every one of them.
    VARIABLES
        .iter()
        .find(|variable| variable.name == name)
        .unwrap_or_else(|| unreachable!("{name} is missing in VARIABLES"))
}
