//! Whether the database can be reached, whether a pooler stands between, and what the server reports about itself.

use super::findings::*;
use super::{client_errors, file};
use crate::config::{Backend, Config, DatabaseUrl};
use crate::db::connection::session_settings::SessionSettings;
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::server::Server;
use crate::db::most_connections;

const NO_PREPARED_STATEMENTS: &str = "set SIDECAR_PREPARED_STATEMENTS=off";

/// The difference between two clocks, in seconds, from which it is a warning, and an error.
const CLOCKS_DIFFER: f64 = 5.0;
const CLOCKS_ARE_WRONG: f64 = 60.0;

/// Connects to `DATABASE_URL`.
pub(super) fn primary<'a>(config: &'a Config, findings: &'a Findings) -> Option<Examined<'a>> {
    let url = &config.database_url;
    if url.backend() == Backend::Sqlite {
        file::check(url.target(), findings)?;
    }
    connect("DATABASE_URL", "database", url, config, findings)
}

/// Reports on the primary's server; on SQLite, on its journal.
pub(super) fn server(primary: &mut Examined) -> Option<()> {
    let (config, findings) = (primary.config, primary.findings);
    let server = findings.answer("the server's version", primary.inspector.server())?;
    about("database", &server, findings);
    match config.database_url.backend() {
        Backend::Sqlite => file::journal_mode(config, &server.journal_mode, findings),
        Backend::Postgres => pooler(primary, &server),
        Backend::Mysql => {}
    }
    standby(config, &server, findings);
    limits(primary);
    Some(())
}

/// Connects to the URL in `variable`; where a pooler refuses the limits that the sidecar sends, once more without them.
pub(super) fn connect<'a>(
    variable: &str,
    prefix: &str,
    url: &DatabaseUrl,
    config: &'a Config,
    findings: &'a Findings,
) -> Option<Examined<'a>> {
    let open = |prepares| Inspector::open(url, SessionSettings::new(prepares, &config.django));
    let mut opened = open(config.prepared_statements);
    if config.prepared_statements && is_refused_by_pooler(&opened) {
        findings.error(
            &format!("{prefix}.pooler"),
            &format!(
                "{variable} leads to PgBouncer or a pooler like it: it refuses the limits that the sidecar sends when \
                 it connects, so that `serve` would get no connection at all"
            ),
            NO_PREPARED_STATEMENTS,
        );
        opened = open(false);
    }
    let report = |words: &String| {
        let (meaning, advice) = client_errors::meaning(words);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        findings.error(
            &format!("{prefix}.unreachable"),
            &format!("{variable}: {meaning} (the client library reports: {words})"),
            advice,
        );
    };
    let inspector = opened.inspect_err(report).ok()?;
    Some(Examined {
        config,
        inspector,
        findings,
    })
}

/// Whether a connection failed as PgBouncer refuses a startup parameter that it does not know.
fn is_refused_by_pooler(opened: &Result<Inspector, String>) -> bool {
    matches!(opened, Err(words) if words.contains("unsupported startup parameter"))
}

/// Version, role and clock.
pub(super) fn about(prefix: &str, server: &Server, findings: &Findings) {
    let id = format!("{prefix}.reachable");
    // SQLite has no role, and its file no clock.
    if server.role.is_empty() {
        findings.ok(&id, &server.version);
        return;
    }
    findings.ok(&id, &format!("{}, as role {}", server.version, server.role));
    clock(prefix, server.clock_ahead, findings);
}

fn clock(prefix: &str, ahead: f64, findings: &Findings) {
    let id = format!("{prefix}.clock");
    if ahead.abs() <= CLOCKS_DIFFER {
        findings.ok(&id, "the clocks agree");
        return;
    }
    let is_wrong = ahead.abs() > CLOCKS_ARE_WRONG;
    let level = if is_wrong {
        Level::Error
    } else {
        Level::Warning
    };
    let text = format!(
        "the database's clock is {:.0} seconds {} this machine's: sessions end, and begin, at the wrong time",
        ahead.abs(),
        if ahead > 0.0 { "ahead of" } else { "behind" }
    );
    let advice = "set both by NTP (timedatectl set-ntp true)";
    findings.add(level, &id, &text, advice);
}

/// Whether a pooler stands before PostgreSQL.
fn pooler(primary: &Examined, server: &Server) {
    const ID: &str = "database.pooler";
    let (config, findings) = (primary.config, primary.findings);
    if primary.inspector.prepares() {
        match server.has_limits {
            true => findings.ok(ID, "no pooler is seen between"),
            false => findings.error(
                ID,
                "the limits that the sidecar sends when it connects do not arrive: a pooler (PgBouncer with \
                 ignore_startup_parameters=options) drops them, and would mix up prepared statements",
                NO_PREPARED_STATEMENTS,
            ),
        }
    } else if !config.prepared_statements {
        let prepared = SessionSettings::new(true, &config.django);
        let opened = Inspector::open(&config.database_url, prepared);
        let text = match is_refused_by_pooler(&opened) {
            true => {
                "a pooler like PgBouncer stands between, and SIDECAR_PREPARED_STATEMENTS=off is right for it"
            }
            false => {
                "SIDECAR_PREPARED_STATEMENTS=off, though nothing between refuses what `on` would send: right for a \
                 pooler in transaction mode, needless without one"
            }
        };
        findings.ok(ID, text);
    }
}

fn standby(config: &Config, server: &Server, findings: &Findings) {
    if !server.is_standby {
        return;
    }
    let text = "DATABASE_URL leads to a server that can't be written (a standby), whose data may be late: a user who was \
                just logged out or demoted may still get in";
    let advice = "put the primary into DATABASE_URL and this one into DATABASE_READ_URL";
    const ID: &str = "database.standby";
    if config.login {
        let text = format!("{text}; and with SIDECAR_LOGIN=on every login fails");
        findings.error(ID, &text, advice);
    } else {
        findings.warning(ID, text, advice);
    }
}

fn limits(primary: &mut Examined) {
    const ID: &str = "role.connection-limit";
    let (config, findings) = (primary.config, primary.findings);
    let needed = most_connections(config.database_url.backend(), config.export_concurrency);
    let limits = findings.answer("connection limits", primary.inspector.limits());
    let lowest = limits.into_iter().flatten().min_by_key(|(_, most)| *most);
    let Some((of, most)) = lowest else {
        return;
    };
    if most >= needed as i64 {
        let text = format!("at most {needed} connections, of {most} for {of}");
        findings.ok(ID, &text);
        return;
    }
    findings.warning(
        ID,
        &format!(
            "{of} may have {most} connections, fewer than the {needed} that the sidecar may keep: under load it answers 503"
        ),
        &format!(
            "allow at least {}, twice as many for the moment in which a new process takes over; or lower \
             SIDECAR_EXPORT_CONCURRENCY",
            needed * 2
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let (sender, receiver) = std::sync::mpsc::channel();
            clock("database", ahead, &Findings(sender));
            let Finding {
                level: found,
                id,
                text,
                ..
            } = receiver.recv().unwrap();
            assert!(found == level && text.contains(words), "{ahead}: {text}");
            assert_eq!(id, "database.clock");
        }
    }
}
