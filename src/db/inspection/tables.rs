//! Whether a table is there, where else it or one like it is, and what the role lacks on it, as the statements that
//! grant it.

use std::collections::BTreeMap;

use super::{Inspector, Question};
use crate::config::Backend;
use crate::db::DbError;
use crate::db::catalogue;

/// The columns by which a user table is known, whatever its name.
const OF_USERS: &str = "'password', 'is_staff', 'is_active'";

/// A table as the role sees it.
pub struct Table {
    /// Its columns and their types, in lower case
    pub columns: BTreeMap<String, String>,
    /// `schema.table`, quoted; without a schema where the database has none
    full_name: String,
    name: String,
}

/// A table of the wanted name that an unqualified name does not find.
pub struct Elsewhere {
    /// Its schema
    pub schema: String,
    /// Whether the role may look into the schema
    pub is_usable: bool,
}

/// What the service does with a table.
pub struct Need<'a> {
    /// `SELECT`, `INSERT`, `UPDATE` of columns, or `DELETE`, which has none
    pub privilege: &'static str,
    /// The columns
    pub columns: Vec<&'a str>,
}

impl Table {
    /// Whether there is no such table, or none of it to be seen.
    pub fn is_missing(&self) -> bool {
        self.columns.is_empty()
    }
}

impl Inspector {
    /// The table that an unqualified name finds.
    ///
    /// # Errors
    /// The database's.
    pub fn table(&mut self, name: &str) -> Result<Table, DbError> {
        let columns = self.ask(&|connection| Ok(catalogue::columns(connection, name)?))?;
        let columns = columns.into_iter().map(|column| {
            let kind = column.type_name.to_ascii_lowercase();
            (column.name, kind)
        });
        let columns: BTreeMap<String, String> = columns.collect();
        let schema = match self.backend() {
            Backend::Sqlite => None,
            Backend::Postgres if columns.is_empty() => None,
            Backend::Postgres => Some(
                Question::new(
                    "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE c.oid = to_regclass(quote_ident(",
                )
                .text(name)
                .sql("))"),
            ),
            Backend::Mysql => Some(Question::new("SELECT DATABASE()")),
        };
        let full_name = match schema {
            Some(question) => {
                let schema = self.row(&question)?;
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
    ///
    /// # Errors
    /// The database's.
    pub fn user_tables(&mut self) -> Result<Vec<String>, DbError> {
        let sql = match self.backend() {
            Backend::Sqlite => format!(
                "SELECT t.name FROM sqlite_master t JOIN pragma_table_xinfo(t.name) c ON c.name IN ({OF_USERS}) \
                 GROUP BY t.name HAVING COUNT(*) = 3 ORDER BY t.name LIMIT 10"
            ),
            Backend::Postgres => format!(
                "SELECT c.relname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
                 WHERE a.attname IN ({OF_USERS}) AND c.relkind IN ('r', 'p', 'v') \
                 GROUP BY c.relname, c.oid HAVING COUNT(*) = 3 ORDER BY 1 LIMIT 10"
            ),
            Backend::Mysql => format!(
                "SELECT CAST(table_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
                 AND column_name IN ({OF_USERS}) GROUP BY table_name HAVING COUNT(*) = 3 ORDER BY 1 LIMIT 10"
            ),
        };
        let rows = self.rows(&Question::new(sql))?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// Schemas of PostgreSQL that hold a table of this name.
    ///
    /// # Errors
    /// The database's.
    pub fn elsewhere(&mut self, name: &str) -> Result<Vec<Elsewhere>, DbError> {
        if self.backend() != Backend::Postgres {
            return Ok(Vec::new());
        }
        let question = Question::new(
            "SELECT n.nspname::text, has_schema_privilege(n.oid, 'USAGE')::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v') AND c.relname = ",
        );
        let rows = self.rows(&question.text(name))?;
        let elsewhere = |row: &super::TextRow| Elsewhere {
            schema: row.text(0).to_owned(),
            is_usable: row.is_true(1),
        };
        Ok(rows.iter().map(elsewhere).collect())
    }

    /// Columns that the role can't see, though they are there: MySQL shows an account only those on which it has a
    /// privilege.
    ///
    /// # Errors
    /// The connection's.
    pub fn hidden<'a>(
        &mut self,
        table: &Table,
        columns: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<&'a str>, DbError> {
        let mut hidden = Vec::new();
        // One right on the whole table shows all of its columns; what is asked for beyond them is denied all the same.
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
            match self.rows(&Question::new(probe)) {
                Err(DbError::Refused(error)) if error.to_string().contains("denied") => {
                    hidden.push(column);
                }
                Err(error @ DbError::Unavailable(_)) => return Err(error),
                _ => {}
            }
        }
        Ok(hidden)
    }

    /// The statements that grant `role` what it lacks of `needs`; columns that are nowhere are left out.
    ///
    /// # Errors
    /// The database's.
    pub fn missing_grants(
        &mut self,
        table: &Table,
        hidden: &[&str],
        needs: &[Need<'_>],
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
        for need in needs {
            let what = if need.columns.is_empty() {
                let has = self.has_on_table(table, need.privilege)?;
                (!has).then(|| need.privilege.to_owned())
            } else {
                let lacking = self.lacking(table, need.privilege)?;
                let names = need.columns.iter().filter(|column| {
                    hidden.contains(column) || lacking.iter().any(|name| name == **column)
                });
                let names: Vec<String> = names.map(|column| self.quoted(column)).collect();
                (!names.is_empty()).then(|| format!("{} ({})", need.privilege, names.join(", ")))
            };
            if let Some(what) = what {
                statements.push(format!("GRANT {what} ON {} TO {grantee};", table.full_name));
            }
        }
        Ok(statements)
    }

    /// The columns on which the role has not this privilege.
    fn lacking(&mut self, table: &Table, privilege: &str) -> Result<Vec<String>, DbError> {
        let question = match self.backend() {
            Backend::Sqlite => return Ok(Vec::new()),
            Backend::Postgres => Question::new(
                "SELECT attname::text FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND NOT \
                 has_column_privilege(attrelid, attname, ",
            )
            .text(privilege)
            .sql(") AND attrelid = to_regclass(quote_ident(")
            .text(&table.name)
            .sql("))"),
            Backend::Mysql => Question::new(
                "SELECT CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
                 AND NOT FIND_IN_SET(",
            )
            .text(&privilege.to_ascii_lowercase())
            .sql(", REPLACE(privileges, ' ', '')) AND table_name = ")
            .text(&table.name),
        };
        let rows = self.rows(&question)?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// Whether the role has a privilege on the whole table.
    fn has_on_table(&mut self, table: &Table, privilege: &str) -> Result<bool, DbError> {
        match self.backend() {
            Backend::Sqlite => Ok(true),
            Backend::Postgres => {
                let question = Question::new("SELECT has_table_privilege(to_regclass(quote_ident(")
                    .text(&table.name)
                    .sql("))::oid, ")
                    .text(privilege)
                    .sql(")::text");
                Ok(self.row(&question)?.is_true(0))
            }
            Backend::Mysql => {
                let schema = table.full_name.split(".`").next().unwrap_or_default();
                let places = [
                    table.full_name.clone(),
                    format!("{schema}.*"),
                    "*.*".to_owned(),
                ];
                let lines = self.mysql_grants()?;
                Ok(lines.iter().any(|line| {
                    let Some((privileges, place)) = line.rsplit_once(" ON ") else {
                        return false;
                    };
                    // A database's name is a pattern, whose _ may be escaped.
                    let place = place.replace('\\', "");
                    // A privilege on columns is another thing, and stands before a parenthesis.
                    let mut words = privileges.trim_start_matches("GRANT ").split(", ");
                    places.contains(&place)
                        && words.any(|word| word == privilege || word == "ALL PRIVILEGES")
                }))
            }
        }
    }
}
