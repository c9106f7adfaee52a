//! Whether the two tables exist with the columns and types that the queries rely on, and which grants the role lacks.

use super::findings::*;
use crate::config::{Backend, Config};
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::privileges::ExcessPrivilege;
use crate::db::inspection::tables::{RequiredGrant, Table};
use crate::db::models::user_table::UserTable;

/// The columns by which a user is recognised.
const WHO: [&str; 4] = ["id", "password", "is_active", "is_staff"];
/// The columns that the views read besides.
const EXPORTED: [&str; 6] = [
    "username",
    "email",
    "first_name",
    "last_name",
    "date_joined",
    "is_tv_user",
];
const SESSION: [&str; 3] = ["session_key", "session_data", "expire_date"];

const SESSIONS: &str = "django_session";

/// What later checks may rely on.
pub(super) struct Found {
    /// The user table, if its columns may be read
    pub(super) users: Option<UserTable>,
    pub(super) sessions_are_readable: bool,
}

/// Checks both tables on the primary.
pub(super) fn all(config: &Config, inspector: &mut Inspector, findings: &Findings) -> Found {
    Found {
        users: users(config, inspector, config.login, "users", findings),
        sessions_are_readable: sessions(config, inspector, findings).unwrap_or(false),
    }
}

/// Checks the user table, which login writes where `writes`.
pub(super) fn users(
    config: &Config,
    inspector: &mut Inspector,
    writes: bool,
    prefix: &str,
    findings: &Findings,
) -> Option<UserTable> {
    let name = &config.user_table;
    let table = findings.answer("the user table's columns", inspector.table(name))?;
    let username = config.username_field.as_str();
    let is_none = |column: &&str| config.none_fields.iter().any(|field| field == column);
    let exported = || EXPORTED.into_iter().filter(|column| !is_none(column));
    let wanted = || WHO.into_iter().chain([username]).chain(exported());
    let hidden = wanted().chain(["is_movie_user", "last_login"]);
    let hidden = findings.answer("hidden columns", inspector.hidden(&table, hidden))?;
    // MySQL hides a table from an account without any right on it, as if it did not exist.
    let is_elsewhere =
        table.is_missing() && !inspector.user_tables().unwrap_or_default().is_empty();
    if is_elsewhere || (table.is_missing() && hidden.is_empty()) {
        missing_table(config, inspector, name, prefix, findings);
        return None;
    }
    let is_there = |column: &str| table.columns.contains_key(column) || hidden.contains(&column);
    let missing: Vec<&str> = WHO
        .into_iter()
        .chain([username])
        .filter(|column| !is_there(column))
        .collect();
    if !missing.is_empty() {
        let advice = format!(
            "set DJANGO_USER_TABLE to AUTH_USER_MODEL._meta.db_table, and DJANGO_USERNAME_FIELD to the column of \
             USERNAME_FIELD{}",
            candidates(inspector)
        );
        let text = format!(
            "the table {name} has no column {}: no user can be recognised",
            missing.join(", ")
        );
        findings.error(&COLUMNS.of(prefix).advising(advice), text);
        return None;
    }
    missing_exported(
        name,
        prefix,
        exported().filter(|column| !is_there(column)),
        findings,
    );
    let types_fit = user_types(config, &table, prefix, findings);

    let mut read: Vec<&str> = wanted().filter(|column| is_there(column)).collect();
    read.sort_unstable();
    read.dedup();
    let mut needs = Vec::new();
    if !hidden.is_empty() {
        // Without it, a column that was forgotten in a grant looks like one that the model does not have.
        needs.push(RequiredGrant {
            privilege: "REFERENCES",
            columns: Vec::new(),
        });
    }
    needs.push(RequiredGrant {
        privilege: "SELECT",
        columns: read,
    });
    if is_there("is_movie_user") {
        // In a grant of its own: whether the model has a column that is hidden is not known here.
        needs.push(RequiredGrant {
            privilege: "SELECT",
            columns: vec!["is_movie_user"],
        });
    }
    if writes && is_there("last_login") {
        needs.push(RequiredGrant {
            privilege: "UPDATE",
            columns: vec!["last_login"],
        });
    }
    let may_read = grants(inspector, &table, &hidden, &needs, findings)?;
    if !types_fit || !may_read {
        return None;
    }
    let known = inspector.user_table(config);
    let known = findings.answer("the user table", known)?;
    if prefix == "users" {
        role(inspector, &known, findings);
    }
    findings.ok(
        &TABLE.of(prefix),
        format!("{name} has the columns that are read"),
    );
    Some(known)
}

fn sessions(config: &Config, inspector: &mut Inspector, findings: &Findings) -> Option<bool> {
    let table = findings.answer("the session table's columns", inspector.table(SESSIONS))?;
    let hidden = inspector.hidden(&table, SESSION.into_iter());
    let hidden = findings.answer("hidden columns", hidden)?;
    if table.is_missing() && hidden.is_empty() {
        missing_table(config, inspector, SESSIONS, "sessions", findings);
        return None;
    }
    let is_there = |column: &&str| table.columns.contains_key(*column) || hidden.contains(column);
    let missing: Vec<&str> = SESSION
        .into_iter()
        .filter(|column| !is_there(column))
        .collect();
    if !missing.is_empty() {
        findings.error(
            &COLUMNS.of("sessions"),
            format!(
                "the table {SESSIONS} has no column {}: it is not Django's",
                missing.join(", ")
            ),
        );
        return None;
    }
    let mut fits = true;
    for (column, kind) in [
        ("session_key", ColumnType::Text),
        ("session_data", ColumnType::Text),
        ("expire_date", ColumnType::Date),
    ] {
        fits &= has_type(
            inspector.backend(),
            &table,
            column,
            kind,
            "sessions",
            findings,
        );
    }
    let mut needs = vec![RequiredGrant {
        privilege: "SELECT",
        columns: SESSION.to_vec(),
    }];
    if config.login {
        needs.push(RequiredGrant {
            privilege: "INSERT",
            columns: SESSION.to_vec(),
        });
        needs.push(RequiredGrant {
            privilege: "DELETE",
            columns: Vec::new(),
        });
    }
    let may_read = grants(inspector, &table, &hidden, &needs, findings)?;
    if fits && may_read {
        findings.ok(
            &TABLE.of("sessions"),
            format!("{SESSIONS} has the columns that are read"),
        );
    }
    Some(fits && may_read)
}

/// Reports what the views answer without these columns.
fn missing_exported<'a>(
    table: &str,
    prefix: &str,
    missing: impl Iterator<Item = &'a str>,
    findings: &Findings,
) {
    let (indispensable, others): (Vec<&str>, Vec<&str>) =
        missing.partition(|column| ["is_tv_user", "date_joined"].contains(column));
    let kind = EXPORT_COLUMNS.of(prefix);
    if !indispensable.is_empty() {
        findings.warning(
            &kind,
            format!(
                "the table {table} has no column {}: a view that reads it answers 500, as Django's does on such a model",
                indispensable.join(", ")
            ),
        );
    }
    if !others.is_empty() {
        findings.warning(
            &kind.advising(format!(
                "if the model sets them to None, DJANGO_USER_FIELDS_NONE='{}' (django-settings.py writes it); if the live \
                 view shows texts there, set DJANGO_USER_TABLE to the table that it reads",
                serde_json::json!(others)
            )),
            format!(
                "the table {table} has no column {}: the export answers 500. So does Django's where the user model lacks \
                 the field, but where the model sets the field to None it exports null",
                others.join(", ")
            ),
        );
    }
}

fn missing_table(
    config: &Config,
    inspector: &mut Inspector,
    name: &str,
    prefix: &str,
    findings: &Findings,
) {
    let kind = TABLE.of(prefix);
    let other_schemas = inspector.other_schemas(name).unwrap_or_default();
    if let Some(found) = other_schemas.first() {
        let schema = &found.schema;
        let (why, advice) = match found.is_usable {
            true => (
                "is not in the role's search path",
                format!("ALTER ROLE ... SET search_path = \"{schema}\", public;"),
            ),
            false => (
                "may not be looked into by the role",
                format!("GRANT USAGE ON SCHEMA \"{schema}\" TO ...;"),
            ),
        };
        let text = format!("the table {name} stands in the schema {schema}, which {why}");
        findings.error(&kind.advising(advice), text);
        return;
    }
    let hidden = match inspector.backend() {
        Backend::Mysql => ", or the account may see nothing of it",
        _ => "",
    };
    let advice = match name == SESSIONS {
        true => "use Django's SESSION_ENGINE db or cached_db, run `manage.py migrate`, and point DATABASE_URL at the \
                 database of Django's sessions"
            .to_owned(),
        false => format!(
            "set DJANGO_USER_TABLE (now {}) to AUTH_USER_MODEL._meta.db_table{}",
            config.user_table,
            candidates(inspector)
        ),
    };
    findings.error(
        &kind.advising(advice),
        format!("there is no table {name} in this database{hidden}"),
    );
}

/// The tables that look like a user table, as the end of an advice.
fn candidates(inspector: &mut Inspector) -> String {
    match inspector.user_tables().unwrap_or_default().as_slice() {
        [] => "; no table here looks like a user table".to_owned(),
        tables => format!("; these tables look like one: {}", tables.join(", ")),
    }
}

#[derive(Clone, Copy)]
enum ColumnType {
    Text,
    Boolean,
    Date,
}

fn user_types(config: &Config, table: &Table, prefix: &str, findings: &Findings) -> bool {
    let backend = config.database_url.backend();
    let key = table.columns.get("id").map_or("", String::as_str);
    let mut fits = key.is_empty()
        || ["uuid", "int", "char"]
            .iter()
            .any(|kind| key.contains(kind));
    if !fits {
        findings.error(
            &KEY_TYPE.of(prefix),
            format!(
                "the key of {} is neither an integer nor a UUID but {key}: such a user model can't be served",
                config.user_table
            ),
        );
    }
    for column in ["is_active", "is_staff", "is_tv_user", "is_movie_user"] {
        fits &= has_type(
            backend,
            table,
            column,
            ColumnType::Boolean,
            prefix,
            findings,
        );
    }
    for column in ["password", &config.username_field] {
        fits &= has_type(backend, table, column, ColumnType::Text, prefix, findings);
    }
    fits & has_type(
        backend,
        table,
        "date_joined",
        ColumnType::Date,
        prefix,
        findings,
    )
}

/// Whether a column that is there has the type that Django's migrations give it.
fn has_type(
    backend: Backend,
    table: &Table,
    column: &str,
    kind: ColumnType,
    prefix: &str,
    findings: &Findings,
) -> bool {
    let Some(found) = table.columns.get(column) else {
        return true;
    };
    let (name, words): (_, &[&str]) = match (kind, backend) {
        (ColumnType::Text, _) => ("a text", &["char", "text"]),
        (ColumnType::Date, _) => ("a date and time", &["timestamp", "datetime"]),
        (ColumnType::Boolean, Backend::Postgres) => ("a boolean", &["bool"]),
        (ColumnType::Boolean, _) => ("a boolean", &["bool", "int"]),
    };
    let fits = words.iter().any(|word| found.contains(word));
    if !fits {
        findings.error(
            &TYPES.of(prefix),
            format!("the column {column} is not {name} but {found}: queries over it will be refused or mean \
             something else"),
        );
    }
    fits
}

/// Reports the grants that the role lacks; whether it may read.
fn grants(
    inspector: &mut Inspector,
    table: &Table,
    hidden: &[&str],
    needs: &[RequiredGrant<'_>],
    findings: &Findings,
) -> Option<bool> {
    let server = findings.answer("the role", inspector.server())?;
    let missing = inspector.missing_grants(table, hidden, needs, &server.role);
    let missing = findings.answer("grants", missing)?;
    for statement in &missing {
        let consequence = match statement.starts_with("GRANT REFERENCES") {
            true => "a column that it may not read looks like one that the model does not have",
            false => "what needs it is answered 503",
        };
        findings.error(
            &MISSING_GRANT.advising(statement.clone()),
            format!("the role {} lacks a grant: {consequence}", server.role),
        );
    }
    Some(
        !missing
            .iter()
            .any(|statement| statement.starts_with("GRANT SELECT")),
    )
}

fn role(inspector: &mut Inspector, table: &UserTable, findings: &Findings) {
    match findings.answer("the role's powers", inspector.excess_privilege(table)) {
        Some(Some(ExcessPrivilege { privilege, grants })) => findings.warning(
            &TOO_POWERFUL.advising(format!("give the sidecar a role of its own with {grants}")),
            format!(
                "the database role {privilege}, which the sidecar never needs: an attacker who takes the sidecar over could do it too"
            ),
        ),
        Some(None) if inspector.backend() != Backend::Sqlite => {
            findings.ok(&TOO_POWERFUL, "the role may not write passwords, nor make roles");
        }
        _ => {}
    }
}
