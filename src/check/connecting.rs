//! Whether the database can be reached, in the operator's words, and what stands between; what the server says of
//! itself.

use super::{Findings, file};
use crate::config::{Backend, Config, DatabaseUrl};
use crate::db::connection::session_settings::SessionSettings;
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::server::Server;
use crate::db::most_connections;

/// PgBouncer's refusal of what it does not know.
const REFUSED_OPTIONS: &str = "unsupported startup parameter";

/// A difference between two clocks that is worth a word, and one that decides about sessions; in seconds.
const CLOCKS_DIFFER: f64 = 5.0;
const CLOCKS_ARE_WRONG: f64 = 60.0;

/// Connects to `DATABASE_URL`, and says what there is to say of the server.
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

/// Connects; without sending limits where something between refuses them.
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
                &format!("{prefix}.pooler"),
                format!(
                    "{variable} leads to PgBouncer or a pooler like it: it refuses the limits that the sidecar sends \
                     when it connects, so that `serve` would get no connection at all"
                ),
                "set SIDECAR_PREPARED_STATEMENTS=off",
            );
            match Inspector::open(url, SessionSettings::new(false, &config.django)) {
                Ok(inspector) => return Some(inspector),
                Err(words) => words,
            }
        }
        Err(words) => words,
    };
    let (what, advice) = why(url.backend(), &words);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    findings.error(
        &format!("{prefix}.unreachable"),
        format!("{variable}: {what} (the client library's words: {words})"),
        advice,
    );
    None
}

/// The beginning of a finding's id.
fn prefix(variable: &str) -> &'static str {
    match variable {
        "DATABASE_READ_URL" => "replica",
        _ => "database",
    }
}

/// What a client library's words mean, and what can be done.
fn why(backend: Backend, words: &str) -> (&'static str, &'static str) {
    let words = words.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|some| words.contains(some));
    if says(&["no pg_hba.conf entry", "is not allowed to connect to this"]) {
        return (
            "the server admits this role from another address, to another database or with TLS only",
            match backend {
                Backend::Mysql => "create the account for this machine's address: 'user'@'address'",
                _ => {
                    "add a line to pg_hba.conf for this role, database and address, then SELECT pg_reload_conf()"
                }
            },
        );
    }
    if says(&[
        "could not translate host name",
        "unknown server host",
        "unknown mysql server host",
    ]) {
        return (
            "the host's name is not known on this machine",
            "check the spelling, and whether this machine (or container) resolves it: getent hosts NAME",
        );
    }
    if says(&["to database", "permission denied for database"])
        && says(&["access denied", "permission denied"])
    {
        return (
            "the role may not enter this database",
            "run the file of grants in deploy/ for this database",
        );
    }
    if says(&[
        "password authentication failed",
        "access denied for user",
        "no password supplied",
    ]) {
        return (
            "the server refuses the role's name or password",
            "compare both with the server's; in a URL every character of a password but letters, digits and -._~ must \
             be percent-encoded",
        );
    }
    if says(&["unknown database"]) || (says(&["database \""]) && says(&["does not exist"])) {
        return (
            "the server has no database of this name",
            "use the NAME of Django's DATABASES setting",
        );
    }
    if says(&["role \""]) && says(&["does not exist"]) {
        return (
            "the server has no role of this name",
            "make it with the file of grants in deploy/",
        );
    }
    if says(&[
        "too many connections",
        "too many clients",
        "connection slots",
    ]) {
        return (
            "every connection that the server, the database or the role may have is taken",
            "raise the limit (ALTER ROLE ... CONNECTION LIMIT, max_connections), or see who holds them",
        );
    }
    if says(&["certificate", "ssl", "tls"]) {
        return (
            "the encrypted connection does not come about",
            "compare sslmode/ssl_mode, the certificate authority's file and the host's name with the server's \
             certificate",
        );
    }
    if says(&[
        "connection refused",
        "(111",
        "no such file or directory",
        "(2 \"no",
    ]) {
        return (
            "nobody listens there",
            "start the server, or mend host, port or socket in the URL; a server on another machine must listen on its \
             network address",
        );
    }
    if says(&[
        "timeout",
        "timed out",
        "no answer within",
        "unreachable",
        "no route",
    ]) {
        return (
            "there is no answer from this address",
            "check host and port, and the firewalls between",
        );
    }
    (
        "no connection can be made",
        "see the server's log for the reason",
    )
}

/// Version, role and clock.
pub(super) fn about(prefix: &str, server: &Server, findings: &Findings) {
    let role = match server.role.as_str() {
        "" => String::new(),
        role => format!(", as role {role}"),
    };
    findings.ok(
        &format!("{prefix}.reachable"),
        format!("{}{role}", server.version),
    );
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
    let id = format!("{prefix}.clock");
    let advice = "set both by NTP (timedatectl set-ntp true)";
    if ahead.abs() > CLOCKS_ARE_WRONG {
        findings.error(&id, text, advice);
    } else if ahead.abs() > CLOCKS_DIFFER {
        findings.warning(&id, text, advice);
    } else {
        findings.ok(&id, "the clocks agree");
    }
}

/// Whether a pooler stands before PostgreSQL.
fn pooler(config: &Config, server: &Server, prepares: bool, findings: &Findings) {
    const ID: &str = "database.pooler";
    if prepares && !server.has_limits {
        findings.error(
            ID,
            "the limits that the sidecar sends when it connects do not arrive: a pooler (PgBouncer with \
             ignore_startup_parameters=options) drops them, and would mix up prepared statements",
            "set SIDECAR_PREPARED_STATEMENTS=off",
        );
    } else if prepares {
        findings.ok(ID, "no pooler is seen between");
    } else if !config.prepared_statements {
        let prepared = SessionSettings::new(true, &config.django);
        match Inspector::open(&config.database_url, prepared) {
            Err(words) if words.contains(REFUSED_OPTIONS) => findings.ok(
                ID,
                "a pooler like PgBouncer stands between, and SIDECAR_PREPARED_STATEMENTS=off is right for it",
            ),
            _ => findings.ok(
                ID,
                "SIDECAR_PREPARED_STATEMENTS=off, though nothing between refuses what `on` would send: right for a \
                 pooler in transaction mode, needless without one",
            ),
        }
    }
}

fn standby(config: &Config, server: &Server, findings: &Findings) {
    const ID: &str = "database.standby";
    if !server.is_standby {
        return;
    }
    let text = "DATABASE_URL leads to a server that can't be written (a standby): it decides who is calling on data \
                that may be late, so that who was just logged out or demoted may still get in";
    let advice = "put the primary into DATABASE_URL and this one into DATABASE_READ_URL";
    match config.login {
        true => {
            let text = format!("{text}; and with SIDECAR_LOGIN=on every login fails");
            findings.error(ID, text, advice);
        }
        false => findings.warning(ID, text, advice),
    }
}

fn limits(config: &Config, inspector: &mut Inspector, findings: &Findings) {
    const ID: &str = "role.connection-limit";
    let needed = most_connections(config.database_url.backend(), config.export_concurrency);
    let Some(limits) = findings.answer("connection limits", inspector.limits()) else {
        return;
    };
    let Some(lowest) = limits.iter().min_by_key(|limit| limit.connections) else {
        return;
    };
    if lowest.connections < needed as i64 {
        findings.warning(
            ID,
            format!(
                "{} may have {} connections, fewer than the {needed} that the sidecar keeps at the most: under load it \
                 answers 503",
                lowest.of, lowest.connections
            ),
            format!(
                "allow at least {}, twice as many for the moment in which a new process takes over; or lower \
                 SIDECAR_EXPORT_CONCURRENCY",
                needed * 2
            ),
        );
    } else {
        findings.ok(
            ID,
            format!(
                "{needed} connections at the most, of {} for {}",
                lowest.connections, lowest.of
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Level};
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

    #[test]
    fn words_of_client_libraries_are_understood() {
        for (words, meaning) in [
            (
                "FATAL: no pg_hba.conf entry for host \"::1\", user \"x\", database \"y\", no encryption",
                "from another address",
            ),
            ("FATAL: sorry, too many clients already", "is taken"),
            ("FATAL: too many connections for role \"x\"", "is taken"),
            ("FATAL: role \"x\" does not exist", "no role of this name"),
            (
                "FATAL: permission denied for database \"x\"",
                "may not enter",
            ),
            ("connection failed: timeout expired", "no answer"),
            ("no answer within 10 seconds", "no answer"),
            (
                "Host '1.2.3.4' is not allowed to connect to this MariaDB server",
                "from another address",
            ),
            (
                "server does not support SSL, but SSL was required",
                "encrypted",
            ),
            ("something new", "no connection can be made"),
        ] {
            let (what, advice) = why(Backend::Postgres, words);
            assert!(
                what.contains(meaning) && !advice.is_empty(),
                "{words}: {what}"
            );
        }
    }
}
