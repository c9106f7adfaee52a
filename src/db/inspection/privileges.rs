//! Whether the database role has far more privileges than the service needs, for a warning. `deploy/` has the grants for a
//! role with exactly the right ones.

use diesel::QueryResult;

use super::inspector::Inspector;
use super::text_row::TextRow;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::user_table::UserTable;
use crate::db::sql::Sql;

/// A privilege that the role should not have.
pub struct ExcessPrivilege {
    /// As the end of a sentence about the role: `may write passwords`
    pub privilege: String,
    /// The file with the grants for a better role
    pub grants: &'static str,
}

impl ExcessPrivilege {
    /// Logs a warning.
    pub(crate) fn warn(&self) {
        let ExcessPrivilege { privilege, grants } = self;
        log::warn!(
            "the database role {privilege}, which the sidecar never needs: give it a role of its own with {grants}"
        );
    }
}

impl Inspector {
    /// The privilege that the role has and should not have, if any.
    pub fn excess_privilege(
        &mut self,
        table: &UserTable,
    ) -> Result<Option<ExcessPrivilege>, DbError> {
        self.read(&|connection| Ok(excess_privilege(connection, table)))
    }
}

/// The privilege that the role has and should not have, if any. A query that fails is logged and counts as none.
pub(crate) fn excess_privilege(
    connection: &mut Connection,
    table: &UserTable,
) -> Option<ExcessPrivilege> {
    let (found, grants) = match table.backend {
        Backend::Sqlite => return None,
        Backend::Postgres => (on_postgres(connection, table), "deploy/grants-postgres.sql"),
        Backend::Mysql => (on_mysql(connection, table), "deploy/grants-mysql.sql"),
    };
    let privilege = found.unwrap_or_else(|error| {
        log::debug!("can't read what the database role may do: {error}");
        None
    })?;
    Some(ExcessPrivilege { privilege, grants })
}

fn on_postgres(connection: &mut Connection, table: &UserTable) -> QueryResult<Option<String>> {
    let sql = Sql::new(
        "SELECT CASE WHEN rolsuper THEN 'is a superuser' WHEN rolcreaterole THEN 'may create roles' \
         WHEN has_column_privilege(to_regclass(quote_ident($1))::oid, 'password', 'INSERT, UPDATE') \
         THEN 'may write passwords' END FROM pg_catalog.pg_roles WHERE rolname = current_user",
    );
    first_text(connection, sql.bind(table.model.table.as_str()))
}

fn on_mysql(connection: &mut Connection, table: &UserTable) -> QueryResult<Option<String>> {
    // A line may hold a password's hash, so only the privileges on everything are kept. `FOR CURRENT_USER` is left out, since
    // MariaDB would then leave out what the account may do by its default role.
    let grants: Vec<TextRow> = Sql::new("SHOW GRANTS").load(connection)?;
    let on_everything = grants
        .iter()
        .filter_map(|grant| grant.text(0).split_once(" ON *.* TO "));
    for (privileges, _) in on_everything {
        let excess = [
            ("ALL PRIVILEGES", "may do everything"),
            ("SUPER", "is a superuser"),
            ("CREATE USER", "may create users"),
        ];
        if let Some((_, privilege)) = excess.iter().find(|(name, _)| privileges.contains(name)) {
            return Ok(Some((*privilege).to_owned()));
        }
    }
    // The privileges on this column, by whatever grant the account has them.
    let sql = Sql::new(
        "SELECT MAX(CASE WHEN privileges LIKE '%insert%' OR privileges LIKE '%update%' THEN 'may write passwords' END) \
         FROM information_schema.columns \
         WHERE table_schema = DATABASE() AND table_name = $1 AND column_name = 'password'",
    );
    first_text(connection, sql.bind(table.model.table.as_str()))
}

/// The text of the first row; `None` for NULL.
fn first_text(connection: &mut Connection, sql: Sql) -> QueryResult<Option<String>> {
    let rows: Vec<TextRow> = sql.load(connection)?;
    let text = rows.first().map(|row| row.text(0).to_owned());
    Ok(text.filter(|text| !text.is_empty()))
}
