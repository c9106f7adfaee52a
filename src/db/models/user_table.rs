//! The user table. Its columns and the type of its key differ from one Django project to the next, so they are read once from
//! the database's catalogue.

use std::collections::BTreeSet;
use std::sync::Arc;

use diesel::QueryResult;
use diesel::row::Row;

use super::key::KeyColumn;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::{DbError, ExportError};
use crate::db::sql::{Sql, quoted};
use crate::db::types::row::{FromRow, required};
use crate::db::types::value::{DjangoBackend, ValueError};
use crate::django::sessions::KeyType;
use crate::telemetry::RateLimitedLog;

/// The user table: `AUTH_USER_MODEL` as the database knows it.
#[derive(Debug, Clone)]
pub struct UserTable {
    pub(crate) backend: Backend,
    pub(crate) name: String,
    pub(crate) username_field: String,
    /// The table's name, quoted for a statement
    pub(crate) quoted_table: String,
    /// The name of the username column, quoted for a statement
    pub(crate) quoted_username: String,
    pub(crate) key: KeyColumn,
    columns: BTreeSet<String>,
    none_fields: Vec<String>,
    relations: Vec<&'static str>,
    /// Limits the lines about rows that can't be read
    pub(crate) rate_limited_log: Arc<RateLimitedLog>,
}

/// The columns without which no user can be authenticated (`AbstractBaseUser`, `PermissionsMixin`, `is_staff`).
const REQUIRED: [&str; 4] = ["id", "password", "is_active", "is_staff"];

/// A column of a table.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_name: String,
}

impl FromRow for Column {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Column, ValueError> {
        Ok(Column {
            name: required(row, 0, |value| DB::text(value, str::to_owned))?,
            type_name: required(row, 1, |value| DB::text(value, str::to_owned))?,
        })
    }
}

impl UserTable {
    /// The type of a user's key, for reading `_auth_user_id` (`Field.to_python` of the key).
    pub fn key_type(&self) -> KeyType {
        self.key.key_type()
    }

    /// Reads the columns of the table `name` from the catalogue. `none_fields` are the fields that the model has set to
    /// `None`.
    ///
    /// # Errors
    /// [`DbError::Schema`] if the table or one of its required columns is missing, or its key has an unknown type.
    pub(crate) fn load(
        connection: &mut Connection,
        name: &str,
        username_field: &str,
        none_fields: &[String],
    ) -> Result<UserTable, DbError> {
        let columns = columns(connection, name)?;
        let type_of = |name: &str| {
            columns
                .iter()
                .find(|c| c.name == name)
                .map(|c| c.type_name.to_ascii_lowercase())
        };
        let missing = REQUIRED
            .into_iter()
            .chain([username_field])
            .find(|column| type_of(column).is_none());
        if let Some(column) = missing {
            return Err(DbError::Schema(format!(
                "the table {name:?} has no column {column:?}"
            )));
        }
        let key = match type_of("id").unwrap_or_default() {
            t if t == "uuid" => KeyColumn::Uuid,
            t if t.contains("int") => KeyColumn::Integer,
            t if t.contains("char") => KeyColumn::UuidText,
            t => {
                return Err(DbError::Schema(format!(
                    "the key of {name:?} is neither an integer nor a UUID but {t:?}"
                )));
            }
        };
        // Each is there if its table is: two of `PermissionsMixin`, and the admin's log, whose entries refer to the user.
        let mut relations = Vec::new();
        for (relation, table) in [
            ("groups", format!("{name}_groups")),
            ("logentry", "django_admin_log".to_owned()),
            ("user_permissions", format!("{name}_user_permissions")),
        ] {
            if !self::columns(connection, &table)?.is_empty() {
                relations.push(relation);
            }
        }
        let backend = connection.backend();
        Ok(UserTable {
            backend,
            quoted_table: quoted(backend, name),
            quoted_username: quoted(backend, username_field),
            name: name.to_owned(),
            username_field: username_field.to_owned(),
            key,
            columns: columns.into_iter().map(|column| column.name).collect(),
            none_fields: none_fields.to_vec(),
            relations,
            rate_limited_log: Arc::default(),
        })
    }

    /// Whether the model has this field.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(column) && !self.is_none(column)
    }

    /// Whether the model has set this field to `None` (DJANGO_USER_FIELDS_NONE). Such a field is no column, and its value is
    /// `None` for every user.
    pub(crate) fn is_none(&self, field: &str) -> bool {
        self.none_fields.iter().any(|name| name == field)
    }

    /// The names by which Django can filter users, sorted: columns and relations.
    fn field_names(&self) -> Vec<&str> {
        let columns = self.columns.iter().map(String::as_str);
        let columns = columns.filter(|column| !self.is_none(column));
        let mut names: Vec<&str> = columns.chain(self.relations.iter().copied()).collect();
        names.sort_unstable();
        names
    }

    /// Fails as Django does on a query over a field that the model lacks (`FieldError`).
    pub(crate) fn require_field(&self, field: &str) -> Result<(), ExportError> {
        if self.has(field) {
            return Ok(());
        }
        Err(ExportError::View(format!(
            "Cannot resolve keyword '{field}' into field. Choices are: {}",
            self.field_names().join(", ")
        )))
    }

    /// The condition that a boolean column is true, as Django writes it for this database (the lookup `exact` with `True`).
    pub(crate) fn is_true(&self, column: &str) -> String {
        match self.backend {
            Backend::Postgres => column.to_owned(),
            Backend::Mysql | Backend::Sqlite => format!("{column} = 1"),
        }
    }
}

/// The columns of a table; none if there is no such table.
pub(crate) fn columns(connection: &mut Connection, table: &str) -> QueryResult<Vec<Column>> {
    let sql = match connection.backend() {
        // `table_info` leaves generated columns out. The value 1 is a hidden column of a virtual table.
        Backend::Sqlite => "SELECT name, type FROM pragma_table_xinfo($1) WHERE hidden <> 1",
        // Finds the table along the search path, as Django's own queries do. A domain counts as the type beneath it.
        Backend::Postgres => {
            "WITH RECURSIVE columns (name, type) AS (\
             SELECT attname, atttypid FROM pg_catalog.pg_attribute \
             WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped \
             UNION ALL SELECT c.name, t.typbasetype FROM columns c JOIN pg_catalog.pg_type t ON t.oid = c.type \
             WHERE t.typtype = 'd') \
             SELECT c.name::text, t.typname::text \
             FROM columns c JOIN pg_catalog.pg_type t ON t.oid = c.type WHERE t.typtype <> 'd'"
        }
        Backend::Mysql => {
            "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR) \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = $1"
        }
    };
    Sql::new(sql).bind(table).load(connection)
}
