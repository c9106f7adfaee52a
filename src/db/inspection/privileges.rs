//! Whether the database role has far more privileges than the service needs, for a warning. `deploy/` has the grants for a
//! role with exactly the right ones.

use diesel::QueryResult;

use super::text_row::texts;
use crate::config::Backend;
use crate::db::connection::Connection;
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
    let failed = |error: &_| log::debug!("can't read what the database role may do: {error}");
    let privilege = found.inspect_err(failed).ok()??;
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
    let grants = mysql_grants(connection)?;
    for (privileges, _) in grants.iter().filter(|(_, scope)| scope == "*.*") {
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

/// The grants of the account: the privileges, and on what. `SHOW GRANTS FOR CURRENT_USER` would leave out, on MariaDB, what the
/// account may do by its default role.
pub(super) fn mysql_grants(connection: &mut Connection) -> QueryResult<Vec<(String, String)>> {
    let lines = texts(connection, Sql::new("SHOW GRANTS"))?;
    let grants = lines.iter().filter_map(|line| {
        // Behind the account may stand a password's hash.
        let (grant, _account) = line.split_once(" TO ")?;
        let (privileges, scope) = grant.strip_prefix("GRANT ")?.rsplit_once(" ON ")?;
        Some((privileges.to_owned(), scope.to_owned()))
    });
    Ok(grants.collect())
}

/// The text of the first row; `None` for NULL.
fn first_text(connection: &mut Connection, sql: Sql) -> QueryResult<Option<String>> {
    let text = texts(connection, sql)?.into_iter().next();
    Ok(text.filter(|text| !text.is_empty()))
}
