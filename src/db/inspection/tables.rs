//! Whether a table exists, in which other schemas it exists, and which privileges the role lacks on it, as the statements that
//! grant them.

use std::collections::BTreeMap;

use super::inspector::Inspector;
use super::text_row::TextRow;
use crate::config::Backend;
use crate::db::error::DbError;
use crate::db::models::user_table::columns;
use crate::db::sql::Sql;

/// The columns that tell a user table from others.
const USER_COLUMNS: &str = "'password', 'is_staff', 'is_active'";

/// A table as the role sees it.
pub struct Table {
    /// Its columns and their types, in lower case
    pub columns: BTreeMap<String, String>,
    /// `schema.table`, quoted; without a schema where the database has none
    full_name: String,
    name: String,
}

/// A table that an unqualified name does not find, since it is in another schema.
pub struct OtherSchema {
    /// The schema's name
    pub schema: String,
    /// Whether the role has the privilege USAGE on it
    pub is_usable: bool,
}

/// A privilege that the service needs on a table.
pub struct RequiredGrant<'a> {
    /// `SELECT`, `INSERT`, `UPDATE` of columns, or `DELETE`, which has none
    pub privilege: &'static str,
    /// The columns; none for the whole table
    pub columns: Vec<&'a str>,
}

impl Table {
    /// Whether the table does not exist, or the role may see none of its columns.
    pub fn is_missing(&self) -> bool {
        self.columns.is_empty()
    }
}

impl Inspector {
    /// The table that an unqualified name finds.
    pub fn table(&mut self, name: &str) -> Result<Table, DbError> {
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
        let full_name = match schema {
            Some(sql) => {
                let schema = self.row(&sql.bind(name))?;
                format!("{}.{}", self.quoted(schema.text(0)), self.quoted(name))
            }
            None => self.quoted(name),
        };
        Ok(Table {
            columns,
            full_name,
            name: name.to_owned(),
        })
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
        let rows = self.rows(&Sql::new(sql))?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// The schemas of PostgreSQL that have a table of this name.
    pub fn other_schemas(&mut self, name: &str) -> Result<Vec<OtherSchema>, DbError> {
        if self.backend() != Backend::Postgres {
            return Ok(Vec::new());
        }
        let sql = Sql::new(
            "SELECT n.nspname::text, has_schema_privilege(n.oid, 'USAGE')::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v') AND c.relname = $1",
        );
        let rows = self.rows(&sql.bind(name))?;
        let other_schema = |row: &TextRow| OtherSchema {
            schema: row.text(0).to_owned(),
            is_usable: row.is_true(1),
        };
        Ok(rows.iter().map(other_schema).collect())
    }

    /// Those of `columns` that exist although the role can't see them: MySQL shows an account only columns on which it has
    /// a privilege.
    pub fn hidden<'a>(
        &mut self,
        table: &Table,
        columns: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<&'a str>, DbError> {
        let mut hidden = Vec::new();
        // A privilege on the whole table shows all of its columns. Without a privilege, a column that does not exist is
        // denied like one that does.
        if self.backend() != Backend::Mysql
            || self.has_on_table(table, "REFERENCES")?
            || self.has_on_table(table, "SELECT")?
        {
            return Ok(hidden);
        }
        for column in columns.filter(|column| !table.columns.contains_key(*column)) {
            let probe = format!(
                "SELECT {} FROM {} LIMIT 0",
                self.quoted(column),
                table.full_name
            );
            match self.rows(&Sql::new(probe)) {
                Err(DbError::Refused(error)) if error.to_string().contains("denied") => {
                    hidden.push(column);
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
        hidden: &[&str],
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
        for grant in required {
            let what = if grant.columns.is_empty() {
                let has = self.has_on_table(table, grant.privilege)?;
                (!has).then(|| grant.privilege.to_owned())
            } else {
                let lacking = self.lacking(table, grant.privilege)?;
                let names = grant.columns.iter().filter(|column| {
                    hidden.contains(column) || lacking.iter().any(|name| name == **column)
                });
                let names: Vec<String> = names.map(|column| self.quoted(column)).collect();
                (!names.is_empty()).then(|| format!("{} ({})", grant.privilege, names.join(", ")))
            };
            if let Some(what) = what {
                statements.push(format!("GRANT {what} ON {} TO {grantee};", table.full_name));
            }
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
        let rows = self.rows(&sql.bind(table.name.as_str()).bind(privilege))?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
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
                let scopes = [
                    table.full_name.clone(),
                    format!("{schema}.*"),
                    "*.*".to_owned(),
                ];
                let lines = self.mysql_grants()?;
                Ok(lines.iter().any(|line| {
                    let Some((privileges, scope)) = line.rsplit_once(" ON ") else {
                        return false;
                    };
                    // The name of a database is a pattern here, with an escaped _.
                    let scope = scope.replace('\\', "");
                    // A privilege on columns has a parenthesis behind it, and is not equal to any of these words.
                    let mut words = privileges.trim_start_matches("GRANT ").split(", ");
                    scopes.contains(&scope)
                        && words.any(|word| word == privilege || word == "ALL PRIVILEGES")
                }))
            }
        }
    }
}
