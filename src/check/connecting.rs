//! Whether the database can be reached, whether a pooler stands between, and what the server reports about itself.

use super::findings::*;
use super::{client_errors, file};
use crate::config::{Backend, Config, DatabaseUrl};
use crate::db::connection::session_settings::SessionSettings;
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::server::Server;
use crate::db::most_connections;

/// How PgBouncer refuses a startup parameter that it does not know.
const REFUSED_OPTIONS: &str = "unsupported startup parameter";

/// The difference between two clocks, in seconds, from which it is a warning, and an error.
const CLOCKS_DIFFER: f64 = 5.0;
const CLOCKS_ARE_WRONG: f64 = 60.0;

/// Connects to `DATABASE_URL`, and reports on the server where `is_talkative`.
pub(super) fn primary(
    config: &Config,
    findings: &Findings,
    is_talkative: bool,
) -> Option<Inspector> {
    let url = &config.database_url;
    if url.backend() == Backend::Sqlite && !file::check(config, findings, is_talkative) {
        return None;
    }
    let mut inspector = connect("DATABASE_URL", url, config, findings)?;
    if is_talkative {
        let server = findings.answer("the server's version", inspector.server())?;
        about("database", &server, findings);
        if url.backend() == Backend::Postgres {
            pooler(config, &server, inspector.prepares(), findings);
        }
        standby(config, &server, findings);
        limits(config, &mut inspector, findings);
        if url.backend() == Backend::Sqlite {
            file::journal(config, &server.journal_mode, findings);
        }
    }
    Some(inspector)
}

/// Connects; where a pooler refuses the limits that the sidecar sends, once more without them.
pub(super) fn connect(
    variable: &str,
    url: &DatabaseUrl,
    config: &Config,
    findings: &Findings,
) -> Option<Inspector> {
    let prefix = prefix(variable);
    let prepares = config.prepared_statements;
    let opened = Inspector::open(url, SessionSettings::new(prepares, &config.django));
    let words = match opened {
        Ok(inspector) => return Some(inspector),
        Err(words) if prepares && words.contains(REFUSED_OPTIONS) => {
            findings.error(
                &POOLER.of(prefix),
                format!(
                    "{variable} leads to PgBouncer or a pooler like it: it refuses the limits that the sidecar sends \
                     when it connects, so that `serve` would get no connection at all"
                ),
            );
            match Inspector::open(url, SessionSettings::new(false, &config.django)) {
                Ok(inspector) => return Some(inspector),
                Err(words) => words,
            }
        }
        Err(words) => words,
    };
    let (meaning, advice) = client_errors::meaning(&words);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    findings.error(
        &UNREACHABLE.of(prefix).advising(advice),
        format!("{variable}: {meaning} (the client library reports: {words})"),
    );
    None
}

/// The first part of a finding's id.
fn prefix(variable: &str) -> &'static str {
    match variable {
        "DATABASE_READ_URL" => "replica",
        _ => "database",
    }
}

/// Version, role and clock.
pub(super) fn about(prefix: &str, server: &Server, findings: &Findings) {
    let role = match server.role.as_str() {
        "" => String::new(),
        role => format!(", as role {role}"),
    };
    findings.ok(&REACHABLE.of(prefix), format!("{}{role}", server.version));
    if server.role.is_empty() {
        // A file has no clock.
        return;
    }
    let ahead = server.clock_ahead;
    let text = format!(
        "the database's clock is {:.0} seconds {} this machine's: sessions end, and begin, at the wrong time",
        ahead.abs(),
        if ahead > 0.0 { "ahead of" } else { "behind" }
    );
    let kind = CLOCK.of(prefix);
    if ahead.abs() > CLOCKS_ARE_WRONG {
        findings.error(&kind, text);
    } else if ahead.abs() > CLOCKS_DIFFER {
        findings.warning(&kind, text);
    } else {
        findings.ok(&kind, "the clocks agree");
    }
}

/// Whether a pooler stands before PostgreSQL.
fn pooler(config: &Config, server: &Server, prepares: bool, findings: &Findings) {
    let kind = POOLER.of("database");
    if prepares && !server.has_limits {
        findings.error(
            &kind,
            "the limits that the sidecar sends when it connects do not arrive: a pooler (PgBouncer with \
             ignore_startup_parameters=options) drops them, and would mix up prepared statements",
        );
    } else if prepares {
        findings.ok(&kind, "no pooler is seen between");
    } else if !config.prepared_statements {
        let prepared = SessionSettings::new(true, &config.django);
        match Inspector::open(&config.database_url, prepared) {
            Err(words) if words.contains(REFUSED_OPTIONS) => findings.ok(
                &kind,
                "a pooler like PgBouncer stands between, and SIDECAR_PREPARED_STATEMENTS=off is right for it",
            ),
            _ => findings.ok(
                &kind,
                "SIDECAR_PREPARED_STATEMENTS=off, though nothing between refuses what `on` would send: right for a \
                 pooler in transaction mode, needless without one",
            ),
        }
    }
}

fn standby(config: &Config, server: &Server, findings: &Findings) {
    if !server.is_standby {
        return;
    }
    let text = "DATABASE_URL leads to a server that can't be written (a standby), whose data may be late: a user who was \
                just logged out or demoted may still get in";
    match config.login {
        true => {
            let text = format!("{text}; and with SIDECAR_LOGIN=on every login fails");
            findings.error(&STANDBY, text);
        }
        false => findings.warning(&STANDBY, text),
    }
}

fn limits(config: &Config, inspector: &mut Inspector, findings: &Findings) {
    let needed = most_connections(config.database_url.backend(), config.export_concurrency);
    let Some(limits) = findings.answer("connection limits", inspector.limits()) else {
        return;
    };
    let Some(lowest) = limits.iter().min_by_key(|limit| limit.connections) else {
        return;
    };
    if lowest.connections < needed as i64 {
        findings.warning(
            &CONNECTION_LIMIT.advising(format!(
                "allow at least {}, twice as many for the moment in which a new process takes over; or lower \
                 SIDECAR_EXPORT_CONCURRENCY",
                needed * 2
            )),
            format!(
                "{} may have {} connections, fewer than the {needed} that the sidecar may keep: under load it \
                 answers 503",
                lowest.of, lowest.connections
            ),
        );
    } else {
        findings.ok(
            &CONNECTION_LIMIT,
            format!(
                "at most {needed} connections, of {} for {}",
                lowest.connections, lowest.of
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(clock_ahead: f64, is_standby: bool) -> Server {
        Server {
            version: "PostgreSQL 16".to_owned(),
            role: "sidecar".to_owned(),
            is_standby,
            has_limits: true,
            clock_ahead,
            journal_mode: String::new(),
        }
    }

    /// Level, id and text of what `look` finds.
    fn found(look: impl FnOnce(&Findings)) -> Vec<(Level, String, String)> {
        let (sender, receiver) = std::sync::mpsc::channel();
        look(&Findings(sender));
        let finding = |finding: Finding| (finding.level, finding.id, finding.text);
        receiver.into_iter().map(finding).collect()
    }

    #[test]
    fn clocks_that_differ_are_told_with_the_direction() {
        for (ahead, level, words) in [
            (0.4, Level::Ok, "agree"),
            (-4.9, Level::Ok, "agree"),
            (5.5, Level::Warning, "6 seconds ahead of this machine's"),
            (-59.0, Level::Warning, "59 seconds behind this machine's"),
            (61.0, Level::Error, "61 seconds ahead of"),
            (-7200.0, Level::Error, "7200 seconds behind"),
        ] {
            let found = found(|findings| about("database", &server(ahead, false), findings));
            let (found, id, text) = &found[1];
            assert!(*found == level && text.contains(words), "{ahead}: {text}");
            assert_eq!(id, "database.clock");
        }
    }

    #[test]
    fn a_standby_is_an_error_where_login_writes_to_it() {
        for (login, level) in [("off", Level::Warning), ("on", Level::Error)] {
            let config = Config::from_vars(|name| {
                let value = match name {
                    "DATABASE_URL" => "sqlite:////nowhere",
                    "DJANGO_SECRET_KEY" => "key",
                    "SIDECAR_LOGIN" => login,
                    _ => return None,
                };
                Some(value.to_owned())
            });
            let config = config.unwrap_or_else(|errors| panic!("{errors}"));
            let at_standby = found(|findings| standby(&config, &server(0.0, true), findings));
            assert!(at_standby.len() == 1 && at_standby[0].0 == level, "{login}");
            let at_primary = found(|findings| standby(&config, &server(0.0, false), findings));
            assert!(at_primary.is_empty());
        }
    }
}
