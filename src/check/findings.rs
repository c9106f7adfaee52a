//! Every kind of finding, with its id and what the operator can do about it. What was found stands where it is looked for.

use std::borrow::Cow;
use std::sync::mpsc::Sender;

use serde::Serialize;

use crate::db::error::DbError;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warning,
    Error,
}

/// One thing that was looked at.
#[derive(Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Stays the same from version to version
    pub(super) id: String,
    /// What was found, and why it matters
    pub(super) text: String,
    /// What the operator can do; empty for a finding of level `Ok`
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn new(level: Level, kind: &FindingKind, text: impl Into<String>) -> Finding {
        let advice = match level {
            Level::Ok => String::new(),
            Level::Warning | Level::Error => kind.advice.to_string(),
        };
        Finding {
            level,
            id: kind.id.to_string(),
            text: text.into(),
            advice,
        }
    }
}

/// Sends each finding to the thread that prints them.
pub(super) struct Findings(pub(super) Sender<Finding>);

impl Findings {
    fn add(&self, level: Level, kind: &FindingKind, text: impl Into<String>) {
        // The other end is gone only after it gave the database up.
        let _ = self.0.send(Finding::new(level, kind, text));
    }

    pub(super) fn error(&self, kind: &FindingKind, text: impl Into<String>) {
        self.add(Level::Error, kind, text);
    }

    pub(super) fn warning(&self, kind: &FindingKind, text: impl Into<String>) {
        self.add(Level::Warning, kind, text);
    }

    pub(super) fn ok(&self, kind: &FindingKind, text: impl Into<String>) {
        self.add(Level::Ok, kind, text);
    }

    /// The answer of a query; a failed query is a finding.
    pub(super) fn answer<T>(&self, what: &str, answer: Result<T, DbError>) -> Option<T> {
        let failed = |error: &DbError| {
            self.error(&QUESTION, format!("the query for {what} failed: {error}"));
        };
        answer.inspect_err(failed).ok()
    }
}

/// A kind of finding.
pub(super) struct FindingKind {
    id: Cow<'static, str>,
    advice: Cow<'static, str>,
}

impl FindingKind {
    pub(super) fn new(id: String, advice: &'static str) -> FindingKind {
        FindingKind {
            id: id.into(),
            advice: advice.into(),
        }
    }

    /// A kind whose id begins with what it was found of.
    pub(super) fn of(&self, prefix: &str) -> FindingKind {
        FindingKind {
            id: format!("{prefix}.{}", self.id).into(),
            advice: self.advice.clone(),
        }
    }

    /// The same with other advice.
    pub(super) fn advising(&self, advice: impl Into<Cow<'static, str>>) -> FindingKind {
        FindingKind {
            id: self.id.clone(),
            advice: advice.into(),
        }
    }
}

const fn kind(id: &'static str, advice: &'static str) -> FindingKind {
    FindingKind {
        id: Cow::Borrowed(id),
        advice: Cow::Borrowed(advice),
    }
}

/// A number and its noun.
pub(super) fn many(count: impl Into<Count>, noun: &str) -> String {
    match count.into() {
        Count(1) => format!("1 {noun}"),
        Count(count) => format!("{count} {noun}s"),
    }
}

/// A number of any type.
pub(super) struct Count(u64);

impl From<u64> for Count {
    fn from(count: u64) -> Count {
        Count(count)
    }
}

impl From<usize> for Count {
    fn from(count: usize) -> Count {
        Count(count as u64)
    }
}

const LOG_IN: &str = "log in again";
const SET_USER_TABLE: &str = "set DJANGO_USER_TABLE to AUTH_USER_MODEL._meta.db_table";
const SET_BACKENDS: &str =
    "set DJANGO_AUTHENTICATION_BACKENDS to the project's AUTHENTICATION_BACKENDS";
const ACTIVATE: &str = "set is_active in Django's admin";

// The configuration. Its warnings have advice of their own and `configuration.` with the variable's name for an id.
pub(super) const INVALID: FindingKind = kind(
    "configuration.invalid",
    "`watchtower-sidecar serve --help` lists every variable",
);

// The connection. With `of`: the database's, or the replica's.
pub(super) const UNREACHABLE: FindingKind = kind("unreachable", "");
pub(super) const POOLER: FindingKind = kind("pooler", "set SIDECAR_PREPARED_STATEMENTS=off");
pub(super) const REACHABLE: FindingKind = kind("reachable", "");
pub(super) const CLOCK: FindingKind = kind("clock", "set both by NTP (timedatectl set-ntp true)");
pub(super) const SILENT: FindingKind = kind(
    "database.silent",
    "see whether the server hangs, and whether a firewall between drops connections silently",
);
pub(super) const QUESTION: FindingKind = kind(
    "database.question",
    "try again; if it fails again, run the statement that is named in the server's log by hand",
);
pub(super) const STANDBY: FindingKind = kind(
    "database.standby",
    "put the primary into DATABASE_URL and this one into DATABASE_READ_URL",
);
pub(super) const CONNECTION_LIMIT: FindingKind = kind("role.connection-limit", "");

pub(super) const TEMPORARY_FOLDER: FindingKind = kind(
    "export.temporary-folder",
    "set TMPDIR to a folder with room that the sidecar's account may write to, or mount one at /tmp",
);

// SQLite's file.
pub(super) const FILE_PERMISSIONS: FindingKind = kind("sqlite.permissions", "");
pub(super) const FILE_READ_ONLY: FindingKind = kind(
    "sqlite.read-only",
    "let the sidecar's account write both, or set SIDECAR_LOGIN=off",
);
pub(super) const JOURNAL_MODE: FindingKind = kind(
    "sqlite.journal-mode",
    "let the sidecar's account write the folder, or leave WAL: PRAGMA journal_mode = delete",
);

// The tables. With `of`: the users', the sessions', or the replica's users'.
pub(super) const TABLE: FindingKind = kind("table", "");
pub(super) const COLUMNS: FindingKind = kind(
    "columns",
    "point DATABASE_URL at the database of Django's sessions",
);
pub(super) const EXPORT_COLUMNS: FindingKind = kind(
    "export-columns",
    "if the live view works, set DJANGO_USER_TABLE to the table that it reads",
);
pub(super) const TYPES: FindingKind = kind("types", "let Django's migrations make the column");
pub(super) const KEY_TYPE: FindingKind = kind("key", "leave the two endpoints to Django");
pub(super) const MISSING_GRANT: FindingKind = kind("role.missing-grant", "");
pub(super) const TOO_POWERFUL: FindingKind = kind("role.too-powerful", "");

// The replica.
pub(super) const REPLICA_DATA: FindingKind = kind(
    "replica.data",
    "see that DATABASE_READ_URL is a replica of DATABASE_URL, and that it follows",
);
pub(super) const REPLICA_LAG: FindingKind = kind(
    "replica.lag",
    "see pg_stat_replication on the primary, and the standby's log",
);

// A sample of sessions.
pub(super) const NO_SESSION: FindingKind =
    kind("session.none", "log in to Django once, and check again");
pub(super) const SESSION_KEY: FindingKind = kind("session.key", "");
pub(super) const WRONG_KEY: FindingKind = kind(
    "session.wrong-key",
    "set DJANGO_SECRET_KEY to the SECRET_KEY that the running Django uses (a line break at its end counts), and \
     DJANGO_SECRET_KEY_FALLBACKS to its SECRET_KEY_FALLBACKS",
);
pub(super) const OTHER_KEY: FindingKind = kind(
    "session.other-key",
    "if Django still accepts them, add its SECRET_KEY_FALLBACKS to DJANGO_SECRET_KEY_FALLBACKS; else they are left over \
     from an older key",
);
pub(super) const FALLBACK_ONLY: FindingKind = kind(
    "session.fallback-only",
    "compare DJANGO_SECRET_KEY with Django's SECRET_KEY",
);
pub(super) const SERIALIZER: FindingKind = kind(
    "session.serializer",
    "Django's SESSION_SERIALIZER must be JSONSerializer (the default); pickled sessions are not read",
);
pub(super) const BACKEND: FindingKind = kind(
    "session.backend",
    "set DJANGO_AUTHENTICATION_BACKENDS to the project's AUTHENTICATION_BACKENDS, as a JSON array",
);
pub(super) const SESSION_USERS: FindingKind = kind("session.users", "");
pub(super) const AUTH_HASH: FindingKind = kind(
    "session.auth-hash",
    "see that DJANGO_USER_TABLE is Django's, and that the user model has no get_session_auth_hash of its own, which can't \
     be honoured",
);
pub(super) const USER_GONE: FindingKind = kind(
    "session.user-gone",
    "set DJANGO_USER_TABLE to AUTH_USER_MODEL._meta.db_table, and point DATABASE_URL at Django's database",
);
pub(super) const NO_LOGINS: FindingKind =
    kind("session.nobody", "log in to Django once, and check again");

// Stored passwords, and dates without a zone.
pub(super) const HASHERS: FindingKind = kind("passwords.hashers", "");
pub(super) const TOO_COSTLY: FindingKind = kind(
    "passwords.too-costly",
    "let Django hash them at a lower cost (PASSWORD_HASHERS), and these users log in to Django once",
);
pub(super) const UNKNOWN_HASHER: FindingKind = kind(
    "passwords.unknown-hasher",
    "let these users log in once to a Django that prefers one of its default hashers, which re-hashes them",
);
pub(super) const MALFORMED: FindingKind = kind(
    "passwords.malformed",
    "set new passwords: manage.py changepassword NAME",
);
pub(super) const ITERATIONS: FindingKind = kind("passwords.iterations", "");
pub(super) const TIME_ZONE: FindingKind = kind(
    "settings.time-zone",
    "compare DJANGO_USE_TZ and DJANGO_TIME_ZONE with USE_TZ and TIME_ZONE",
);

// `--session`: the step at which the session is refused.
pub(super) const REFUSED_AUTHENTICATOR: FindingKind = kind(
    "session.refused.authenticator",
    "compare it with DRF's DEFAULT_AUTHENTICATION_CLASSES",
);
pub(super) const REFUSED_KEY: FindingKind =
    kind("session.refused.key", "give the cookie's whole value");
pub(super) const REFUSED_EXPIRED: FindingKind = kind("session.refused.expired", LOG_IN);
pub(super) const REFUSED_ROW: FindingKind = kind("session.refused.row", LOG_IN);
pub(super) const REFUSED_DATA: FindingKind =
    kind("session.refused.data", "see `check` without --session");
pub(super) const REFUSED_NO_USER_ID: FindingKind = kind("session.refused.user-id", LOG_IN);
pub(super) const REFUSED_USER_ID: FindingKind = kind("session.refused.user-id", SET_USER_TABLE);
pub(super) const REFUSED_BACKEND: FindingKind = kind("session.refused.backend", SET_BACKENDS);
pub(super) const REFUSED_USER: FindingKind = kind("session.refused.user", LOG_IN);
pub(super) const REFUSED_INACTIVE: FindingKind = kind("session.refused.inactive", ACTIVATE);
pub(super) const REFUSED_AUTH_HASH: FindingKind = kind("session.refused.auth-hash", LOG_IN);

// `--user`.
pub(super) const USER_TABLE: FindingKind =
    kind("users.table", "see `check` without --session and --user");
pub(super) const USER_NAME: FindingKind = kind("user.refused.name", "");
pub(super) const USER_PASSWORD: FindingKind = kind("user.password", "");
pub(super) const USER_REFUSED_PASSWORD: FindingKind =
    kind("user.refused.password", "manage.py changepassword");
pub(super) const USER_INACTIVE: FindingKind = kind("user.refused.inactive", ACTIVATE);
pub(super) const USER_LAST_LOGIN: FindingKind = kind("user.last-login", "");
pub(super) const USER_BASIC: FindingKind = kind("user.basic", "");
pub(super) const GIVEN_PASSWORD: FindingKind = kind("user.given-password", "");
pub(super) const WRONG_PASSWORD: FindingKind = kind("user.refused.given-password", "");

// Of either, with `of`: the last step, `IsAdminUser`.
pub(super) const STAFF: FindingKind = kind("staff", "");
pub(super) const NOT_STAFF: FindingKind = kind("refused.staff", "set is_staff in Django's admin");
