//! Whether a table exists, in which other schemas it exists, and which privileges the role lacks on it, as the statements that
//! grant them.

use std::collections::BTreeMap;

use super::inspector::Inspector;
use super::privileges::mysql_grants;
use crate::config::Backend;
use crate::db::error::DbError;
use crate::db::models::user_table::columns;
use crate::db::sql::Sql;

/// The columns that tell a user table from others.
const USER_COLUMNS: &str = "'password', 'is_staff', 'is_active'";

/// A table as the role sees it.
pub struct Table {
    /// Its columns and their types, in lower case; none if the table does not exist
    pub columns: BTreeMap<String, String>,
    /// Columns that exist although the role can't see them
    pub hidden: Vec<String>,
    /// `schema.table`, quoted; without a schema where the database has none
    full_name: String,
    name: String,
}

/// A privilege that the service needs on a table: `SELECT`, `INSERT`, `UPDATE` of these columns, or, without columns, any on
/// the whole table.
pub type RequiredGrant<'a> = (&'static str, Vec<&'a str>);

impl Table {
    /// Whether this column exists.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column) || self.is_hidden(column)
    }

    /// Those of these columns that don't exist.
    pub fn missing<'a>(&self, columns: &[&'a str]) -> Vec<&'a str> {
        let columns = columns.iter().copied();
        columns.filter(|column| !self.has(column)).collect()
    }

    fn is_hidden(&self, column: &str) -> bool {
        self.hidden.iter().any(|hidden| hidden == column)
    }
}

impl Inspector {
    /// The table that an unqualified name finds. Only those of `wanted` are found as hidden columns.
    pub fn table(&mut self, name: &str, wanted: &[&str]) -> Result<Table, DbError> {
        let columns = self.read(&|connection| Ok(columns(connection, name)?))?;
        let schema = match self.backend() {
            Backend::Sqlite => None,
            Backend::Postgres if columns.is_empty() => None,
            Backend::Postgres => Some(Sql::new(
                "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid = to_regclass(quote_ident($1))",
            )),
            Backend::Mysql => Some(Sql::new("SELECT DATABASE()")),
        };
        let mut full_name = self.quoted(name);
        if let Some(sql) = schema {
            let schema = self.row(&sql.bind(name))?;
            full_name = format!("{}.{full_name}", self.quoted(schema.text(0)));
        }
        let mut table = Table {
            columns,
            hidden: Vec::new(),
            full_name,
            name: name.to_owned(),
        };
        table.hidden = self.hidden(&table, wanted)?;
        Ok(table)
    }

    /// Tables that have a user table's columns.
    pub fn user_tables(&mut self) -> Result<Vec<String>, DbError> {
        let sql = match self.backend() {
            Backend::Sqlite => format!(
                "SELECT t.name FROM sqlite_master t JOIN pragma_table_xinfo(t.name) c ON c.name IN ({USER_COLUMNS}) \
                 GROUP BY t.name HAVING COUNT(*) = 3 ORDER BY t.name LIMIT 10"
            ),
            Backend::Postgres => format!(
                "SELECT c.relname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
                 WHERE a.attname IN ({USER_COLUMNS}) AND c.relkind IN ('r', 'p', 'v') \
                 GROUP BY c.relname, c.oid HAVING COUNT(*) = 3 ORDER BY 1 LIMIT 10"
            ),
            Backend::Mysql => format!(
                "SELECT CAST(table_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
                 AND column_name IN ({USER_COLUMNS}) GROUP BY table_name HAVING COUNT(*) = 3 ORDER BY 1 LIMIT 10"
            ),
        };
        self.texts(&Sql::new(sql))
    }

    /// The schemas of PostgreSQL that have a table of this name, and whether the role may look into each.
    pub fn other_schemas(&mut self, name: &str) -> Result<Vec<(String, bool)>, DbError> {
        if self.backend() != Backend::Postgres {
            return Ok(Vec::new());
        }
        let sql = Sql::new(
            "SELECT n.nspname::text, has_schema_privilege(n.oid, 'USAGE')::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v') AND c.relname = $1",
        );
        let rows = self.rows(&sql.bind(name))?;
        let schemas = rows
            .iter()
            .map(|row| (row.text(0).to_owned(), row.is_true(1)));
        Ok(schemas.collect())
    }

    /// Those of `columns` that exist although the role can't see them: MySQL shows an account only columns on which it has
    /// a privilege.
    fn hidden(&mut self, table: &Table, columns: &[&str]) -> Result<Vec<String>, DbError> {
        let mut hidden = Vec::new();
        // A privilege on the whole table shows all of its columns. Without a privilege, a column that does not exist is
        // denied like one that does.
        if self.backend() != Backend::Mysql
            || self.has_on_table(table, "REFERENCES")?
            || self.has_on_table(table, "SELECT")?
        {
            return Ok(hidden);
        }
        for column in columns {
            if table.columns.contains_key(*column) {
                continue;
            }
            let (name, users) = (self.quoted(column), &table.full_name);
            match self.rows(&Sql::new(format!("SELECT {name} FROM {users} LIMIT 0"))) {
                Err(DbError::Refused(error)) if error.to_string().contains("denied") => {
                    hidden.push((*column).to_owned());
                }
                Err(error @ DbError::Unavailable(_)) => return Err(error),
                _ => {}
            }
        }
        Ok(hidden)
    }

    /// The statements that grant `role` what it lacks of `required`. Columns that don't exist are left out.
    pub fn missing_grants(
        &mut self,
        table: &Table,
        required: &[RequiredGrant<'_>],
        role: &str,
    ) -> Result<Vec<String>, DbError> {
        let grantee = match self.backend() {
            Backend::Sqlite => return Ok(Vec::new()),
            Backend::Postgres => self.quoted(role),
            Backend::Mysql => {
                let (user, host) = role.rsplit_once('@').unwrap_or((role, "%"));
                let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
                format!("{}@{}", text(user), text(host))
            }
        };
        let mut statements = Vec::new();
        for (privilege, columns) in required {
            let mut what = (*privilege).to_owned();
            if columns.is_empty() {
                if self.has_on_table(table, privilege)? {
                    continue;
                }
            } else {
                let lacking = self.lacking(table, privilege)?;
                let names = columns.iter().filter(|column| {
                    table.is_hidden(column) || lacking.iter().any(|name| name == **column)
                });
                let names: Vec<String> = names.map(|column| self.quoted(column)).collect();
                if names.is_empty() {
                    continue;
                }
                what += &format!(" ({})", names.join(", "));
            }
            statements.push(format!("GRANT {what} ON {} TO {grantee};", table.full_name));
        }
        Ok(statements)
    }

    /// The columns on which the role lacks this privilege.
    fn lacking(&mut self, table: &Table, privilege: &str) -> Result<Vec<String>, DbError> {
        let sql = match self.backend() {
            Backend::Sqlite => return Ok(Vec::new()),
            Backend::Postgres => Sql::new(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) \
                 AND attnum > 0 AND NOT attisdropped AND NOT has_column_privilege(attrelid, attname, $2)",
            ),
            Backend::Mysql => Sql::new(
                "SELECT CAST(column_name AS CHAR) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = $1 \
                 AND NOT FIND_IN_SET(LOWER($2), REPLACE(privileges, ' ', ''))",
            ),
        };
        self.texts(&sql.bind(table.name.as_str()).bind(privilege))
    }

    /// Whether the role has a privilege on the whole table.
    fn has_on_table(&mut self, table: &Table, privilege: &str) -> Result<bool, DbError> {
        match self.backend() {
            Backend::Sqlite => Ok(true),
            Backend::Postgres => {
                let sql = Sql::new(
                    "SELECT has_table_privilege(to_regclass(quote_ident($1))::oid, $2)::text",
                );
                let row = self.row(&sql.bind(table.name.as_str()).bind(privilege))?;
                Ok(row.is_true(0))
            }
            Backend::Mysql => {
                let schema = table.full_name.split(".`").next().unwrap_or_default();
                let scopes = [&table.full_name, &format!("{schema}.*"), "*.*"];
                let grants = self.read(&|connection| Ok(mysql_grants(connection)?))?;
                Ok(grants.iter().any(|(privileges, scope)| {
                    // The name of a database is a pattern here, with an escaped _.
                    let scope = scope.replace('\\', "");
                    // A privilege on columns has a parenthesis behind it, and is not equal to any of these words.
                    let mut words = privileges.split(", ");
                    scopes.contains(&scope.as_str())
                        && words.any(|word| word == privilege || word == "ALL PRIVILEGES")
                }))
            }
        }
    }
}
