//! A finding: what was looked at, how bad it is, and what the operator can do about it.

use std::sync::mpsc::Sender;

use serde::Serialize;

use crate::config::Config;
use crate::db::error::DbError;
use crate::db::inspection::inspector::Inspector;

// Advice that several findings give.
pub(super) const LOG_IN: &str = "log in again";
pub(super) const LOG_IN_ONCE: &str = "log in to Django once, and check again";
pub(super) const SET_AUTHENTICATORS: &str =
    "run `manage.py migrate`, and set DJANGO_REST_AUTHENTICATION as django-settings.py writes it";
pub(super) const SET_USER_TABLE: &str = "set DJANGO_USER_TABLE to AUTH_USER_MODEL._meta.db_table";

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
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

/// A database while it is examined.
pub(super) struct Examined<'a> {
    pub(super) config: &'a Config,
    pub(super) inspector: Inspector,
    pub(super) findings: &'a Findings,
}

/// Sends each finding to the thread that prints them.
pub(super) struct Findings(pub(super) Sender<Finding>);

impl Finding {
    /// Level `Ok` takes no advice.
    pub(super) fn new(level: Level, id: &str, text: &str, advice: &str) -> Finding {
        let advice = if level == Level::Ok { "" } else { advice };
        Finding {
            level,
            id: id.to_owned(),
            text: text.to_owned(),
            advice: advice.to_owned(),
        }
    }
}

impl Findings {
    pub(super) fn add(&self, level: Level, id: &str, text: &str, advice: &str) {
        // The other end is gone only after it gave the database up.
        let _ = self.0.send(Finding::new(level, id, text, advice));
    }

    pub(super) fn error(&self, id: &str, text: &str, advice: &str) {
        self.add(Level::Error, id, text, advice);
    }

    pub(super) fn warning(&self, id: &str, text: &str, advice: &str) {
        self.add(Level::Warning, id, text, advice);
    }

    pub(super) fn ok(&self, id: &str, text: &str) {
        self.add(Level::Ok, id, text, "");
    }

    /// The answer of a query; a failed query is a finding.
    pub(super) fn answer<T>(&self, what: &str, answer: Result<T, DbError>) -> Option<T> {
        let failed = |error: &DbError| {
            self.error(
                "database.question",
                &format!("the query for {what} failed: {error}"),
                "try again; if it fails again, run the statement that is named in the server's log by hand",
            );
        };
        answer.inspect_err(failed).ok()
    }
}

/// A number and its noun.
pub(super) fn many(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
