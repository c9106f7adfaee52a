//! Whether the tables exist with the columns and types that the queries rely on, and which grants the role lacks.

use super::findings::*;
use crate::config::Backend;
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::privileges::{ExcessPrivilege, excess_privilege};
use crate::db::inspection::tables::{RequiredGrant, Table};
use crate::db::models::named_users::{ADDRESS_COLUMNS, ADDRESSES};
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

/// Checks the user table, which login writes where `writes`. The table, if its columns may be read.
pub(super) fn users(examined: &mut Examined, writes: bool, prefix: &str) -> Option<UserTable> {
    let (config, findings) = (examined.config, examined.findings);
    let (name, username) = (&config.user_table, config.username_field.as_str());
    let required = [&WHO[..], &[username]].concat();
    let mut exported = EXPORTED.to_vec();
    exported.retain(|column| !config.none_fields.iter().any(|field| field == column));
    let is_movie_none = config
        .none_fields
        .iter()
        .any(|field| field == "is_movie_user");
    let mut read = [&required[..], &exported].concat();
    let columns = [&read[..], &["is_movie_user", "last_login"]].concat();
    let table = table(examined, name, &required, &columns, prefix)?;
    missing_exported(name, prefix, table.missing(&exported), findings);
    let types_fit = user_types(examined, &table, prefix);

    read.retain(|column| table.has(column));
    read.sort_unstable();
    read.dedup();
    let mut needs: Vec<RequiredGrant> = Vec::new();
    if !table.hidden.is_empty() {
        // Without it, a column that was forgotten in a grant looks like one that the model does not have.
        needs.push(("REFERENCES", Vec::new()));
    }
    needs.push(("SELECT", read));
    if table.has("is_movie_user") && !is_movie_none {
        // In a grant of its own: whether the model has a column that is hidden is not known here.
        needs.push(("SELECT", vec!["is_movie_user"]));
    }
    if writes && table.has("last_login") {
        needs.push(("UPDATE", vec!["last_login"]));
    }
    grants(examined, &table, &needs)?;
    if !types_fit {
        return None;
    }
    let known = examined.inspector.user_table(config);
    let known = findings.answer("the user table", known)?;
    if prefix == "users" {
        role(examined, &known);
    }
    let text = format!("{name} has the columns that are read");
    findings.ok(&format!("{prefix}.table"), &text);
    Some(known)
}

/// Checks the session table; `None` if its columns may not be read.
pub(super) fn sessions(examined: &mut Examined) -> Option<()> {
    let findings = examined.findings;
    let table = table(examined, SESSIONS, &SESSION, &SESSION, "sessions")?;
    let types_fit = types_fit(examined, &table, &SESSION, "sessions");
    let mut needs = vec![("SELECT", SESSION.to_vec())];
    if examined.config.login {
        needs.push(("INSERT", SESSION.to_vec()));
        needs.push(("DELETE", Vec::new()));
    }
    grants(examined, &table, &needs)?;
    if !types_fit {
        return None;
    }
    let text = format!("{SESSIONS} has the columns that are read");
    findings.ok("sessions.table", &text);
    Some(())
}

/// Checks allauth's table of addresses, where users are looked up by e-mail address.
pub(super) fn addresses(examined: &mut Examined) -> Option<()> {
    let (config, findings) = (examined.config, examined.findings);
    if !config.reads_addresses() {
        return Some(());
    }
    let table = examined.inspector.table(ADDRESSES, &ADDRESS_COLUMNS);
    let table = findings.answer(&format!("the columns of {ADDRESSES}"), table)?;
    let missing = table.missing(&ADDRESS_COLUMNS);
    if !missing.is_empty() {
        findings.error(
            "addresses.table",
            &format!(
                "the table {ADDRESSES} is not there or lacks {}: users are looked up by e-mail address, and every password \
                 is answered 503",
                missing.join(", ")
            ),
            "run allauth's migrations, let the role read the table, or compare DJANGO_PASSWORD_BACKENDS with what \
             django-settings.py writes",
        );
        return None;
    }
    grants(examined, &table, &[("SELECT", ADDRESS_COLUMNS.to_vec())])?;
    let text = format!("{ADDRESSES} has the columns that are read");
    findings.ok("addresses.table", &text);
    Some(())
}

/// Checks the tables of DRF's tokens, where an authenticator reads one.
pub(super) fn tokens(examined: &mut Examined) -> Option<()> {
    for model in examined.config.django.token_models() {
        let columns = [model.key.as_str(), &model.user];
        let table = table(examined, &model.table, &columns, &columns, "tokens")?;
        grants(examined, &table, &[("SELECT", columns.to_vec())])?;
        let text = format!("{} has the columns that are read", model.table);
        examined.findings.ok("tokens.table", &text);
    }
    Some(())
}

/// The table; reports if it does not exist, if the role may see nothing of it, or if a required column is missing. `columns`
/// are those that may be hidden.
fn table(
    examined: &mut Examined,
    name: &str,
    required: &[&str],
    columns: &[&str],
    prefix: &str,
) -> Option<Table> {
    let (inspector, findings) = (&mut examined.inspector, examined.findings);
    let table = inspector.table(name, columns);
    let table = findings.answer(&format!("the columns of {name}"), table)?;
    if table.columns.is_empty() {
        // MySQL hides a table from an account without any right on it, as if it did not exist.
        let is_elsewhere =
            prefix.ends_with("users") && !inspector.user_tables().unwrap_or_default().is_empty();
        if table.hidden.is_empty() || is_elsewhere {
            missing_table(examined, name, prefix);
            return None;
        }
    }
    let missing = table.missing(required);
    if missing.is_empty() {
        return Some(table);
    }
    let (consequence, advice) = match prefix {
        "sessions" => (
            "it is not Django's",
            "point DATABASE_URL at the database of Django's sessions".to_owned(),
        ),
        "tokens" => ("no token can be found", SET_AUTHENTICATORS.to_owned()),
        _ => (
            "no user can be recognised",
            format!(
                "{SET_USER_TABLE}, and DJANGO_USERNAME_FIELD to the column of USERNAME_FIELD{}",
                candidates(inspector)
            ),
        ),
    };
    let columns = missing.join(", ");
    let text = format!("the table {name} has no column {columns}: {consequence}");
    findings.error(&format!("{prefix}.columns"), &text, &advice);
    None
}

/// Reports what the views answer without these columns.
fn missing_exported(table: &str, prefix: &str, missing: Vec<&str>, findings: &Findings) {
    let is_indispensable = |column: &&str| ["is_tv_user", "date_joined"].contains(column);
    let (indispensable, others): (Vec<&str>, Vec<&str>) =
        missing.into_iter().partition(is_indispensable);
    let id = format!("{prefix}.export-columns");
    if !indispensable.is_empty() {
        findings.warning(
            &id,
            &format!(
                "the table {table} has no column {}: a view that reads it answers 500, as Django's does on such a model",
                indispensable.join(", ")
            ),
            "if the live view works, set DJANGO_USER_TABLE to the table that it reads",
        );
    }
    if !others.is_empty() {
        findings.warning(
            &id,
            &format!(
                "the table {table} has no column {}: the export answers 500. So does Django's where the user model lacks \
                 the field, but where the model sets the field to None it exports null",
                others.join(", ")
            ),
            &format!(
                "if the model sets them to None, DJANGO_USER_FIELDS_NONE='{}' (django-settings.py writes it); if the live \
                 view shows texts there, set DJANGO_USER_TABLE to the table that it reads",
                serde_json::json!(others)
            ),
        );
    }
}

fn missing_table(examined: &mut Examined, name: &str, prefix: &str) {
    let (inspector, findings) = (&mut examined.inspector, examined.findings);
    let id = format!("{prefix}.table");
    let other_schemas = inspector.other_schemas(name).unwrap_or_default();
    if let Some((schema, is_usable)) = other_schemas.first() {
        let (why, advice) = match is_usable {
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
        findings.error(&id, &text, &advice);
        return;
    }
    let hidden = match inspector.backend() {
        Backend::Mysql => ", or the account may see nothing of it",
        _ => "",
    };
    let advice = match prefix {
        "sessions" => "use Django's SESSION_ENGINE db or cached_db, run `manage.py migrate`, and point DATABASE_URL at the \
                 database of Django's sessions"
            .to_owned(),
        "tokens" => SET_AUTHENTICATORS.to_owned(),
        _ => format!(
            "set DJANGO_USER_TABLE (now {name}) to AUTH_USER_MODEL._meta.db_table{}",
            candidates(inspector)
        ),
    };
    let text = format!("there is no table {name} in this database{hidden}");
    findings.error(&id, &text, &advice);
}

/// The tables that look like a user table, as the end of an advice.
fn candidates(inspector: &mut Inspector) -> String {
    match inspector.user_tables().unwrap_or_default().as_slice() {
        [] => "; no table here looks like a user table".to_owned(),
        tables => format!("; these tables look like one: {}", tables.join(", ")),
    }
}

fn user_types(examined: &Examined, table: &Table, prefix: &str) -> bool {
    let config = examined.config;
    let key = table.columns.get("id").map_or("", String::as_str);
    let is_one_of = |kinds: &[&str]| kinds.iter().any(|kind| key.contains(kind));
    let fits = key.is_empty() || is_one_of(&["uuid", "int", "char"]);
    if !fits {
        examined.findings.error(
            &format!("{prefix}.key"),
            &format!(
                "the key of {} is neither an integer nor a UUID but {key}: such a user model can't be served",
                config.user_table
            ),
            "leave the two endpoints to Django",
        );
    }
    let booleans = ["is_active", "is_staff", "is_tv_user", "is_movie_user"];
    let others = ["password", &config.username_field, "date_joined"];
    types_fit(examined, table, &[&booleans[..], &others].concat(), prefix) && fits
}

/// Whether these columns, as far as they are there, have the types that Django's migrations give them.
fn types_fit(examined: &Examined, table: &Table, columns: &[&str], prefix: &str) -> bool {
    let mut all_fit = true;
    for column in columns {
        let Some(found) = table.columns.get(*column) else {
            continue;
        };
        let (name, words): (_, &[&str]) = match *column {
            "date_joined" | "expire_date" => ("a date and time", &["timestamp", "datetime"]),
            "is_active" | "is_staff" | "is_tv_user" | "is_movie_user" => {
                match examined.inspector.backend() {
                    Backend::Postgres => ("a boolean", &["bool"]),
                    Backend::Sqlite | Backend::Mysql => ("a boolean", &["bool", "int"]),
                }
            }
            _ => ("a text", &["char", "text"]),
        };
        if !words.iter().any(|word| found.contains(word)) {
            all_fit = false;
            examined.findings.error(
                &format!("{prefix}.types"),
                &format!(
                    "the column {column} is not {name} but {found}: queries over it will be refused or mean something else"
                ),
                "let Django's migrations make the column",
            );
        }
    }
    all_fit
}

/// Reports the grants that the role lacks; `None` if it may not read.
fn grants(examined: &mut Examined, table: &Table, needs: &[RequiredGrant]) -> Option<()> {
    let (inspector, findings) = (&mut examined.inspector, examined.findings);
    let server = findings.answer("the role", inspector.server())?;
    let missing = inspector.missing_grants(table, needs, &server.role);
    let missing = findings.answer("grants", missing)?;
    let reads = |statement: &String| statement.starts_with("GRANT SELECT");
    let may_read = !missing.iter().any(reads);
    for statement in missing {
        let consequence = match statement.starts_with("GRANT REFERENCES") {
            true => "a column that it may not read looks like one that the model does not have",
            false => "what needs it is answered 503",
        };
        let text = format!("the role {} lacks a grant: {consequence}", server.role);
        findings.error("role.missing-grant", &text, &statement);
    }
    may_read.then_some(())
}

fn role(examined: &mut Examined, table: &UserTable) {
    const ID: &str = "role.too-powerful";
    let (inspector, findings) = (&mut examined.inspector, examined.findings);
    let excess = inspector.read(&|connection| Ok(excess_privilege(connection, table)));
    match findings.answer("the role's powers", excess) {
        Some(Some(ExcessPrivilege { privilege, grants })) => findings.warning(
            ID,
            &format!(
                "the database role {privilege}, which the sidecar never needs: an attacker who takes the sidecar over could do it too"
            ),
            &format!("give the sidecar a role of its own with {grants}"),
        ),
        Some(None) if inspector.backend() != Backend::Sqlite => {
            findings.ok(ID, "the role may not write passwords, nor make roles");
        }
        _ => {}
    }
}
