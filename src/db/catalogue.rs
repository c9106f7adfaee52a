//! What varies from one Django project to the next, read once from the database's catalogue: the user table's columns
//! and the type of its key.

use std::collections::BTreeSet;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::DbError;
use super::connection::Connection;
use crate::django::sessions::KeyType;
use crate::telemetry::RateLimitedLog;

/// How the user table stores its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyColumn {
    /// Any integer type.
    Integer,
    /// The database's own UUID type.
    Uuid,
    /// Django's `char(32)` of hexadecimal digits.
    UuidText,
}

/// The user table: `AUTH_USER_MODEL` as the database knows it.
#[derive(Debug, Clone)]
pub struct UserTable {
    pub(super) name: String,
    pub(super) username_field: String,
    pub(super) key: KeyColumn,
    columns: BTreeSet<String>,
    relations: Vec<&'static str>,
    /// Of rows that can't be read
    pub(super) rate_limited_log: Arc<RateLimitedLog>,
}

/// The columns without which nobody can be recognised (`AbstractBaseUser`, `PermissionsMixin`, `is_staff`).
const REQUIRED: [&str; 4] = ["id", "password", "is_active", "is_staff"];

#[derive(QueryableByName)]
pub(super) struct Column {
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = Text)]
    pub(super) type_name: String,
}

impl UserTable {
    /// Reads the columns of `name` from the catalogue.
    ///
    /// # Errors
    /// The database is away, or the table or one of its indispensable columns is missing.
    pub(super) fn load(
        connection: &mut Connection,
        name: &str,
        username_field: &str,
    ) -> Result<UserTable, DbError> {
        let columns = columns(connection, name)?;
        let type_of = |wanted: &str| {
            columns
                .iter()
                .find(|c| c.name == wanted)
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
        // Each stands for a table: two of `PermissionsMixin`'s, and the admin's log, whose entries point back at the user.
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
        Ok(UserTable {
            name: name.to_owned(),
            username_field: username_field.to_owned(),
            key,
            columns: columns.into_iter().map(|column| column.name).collect(),
            relations,
            rate_limited_log: Arc::default(),
        })
    }

    /// Selects the columns that authentication reads, to see that the role may.
    ///
    /// # Errors
    /// The database's refusal.
    pub(super) fn probe(&self, connection: &mut Connection) -> Result<(), DbError> {
        self.find_by_username(connection, "").map(drop)
    }

    /// Whether the model has this field.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// The names by which Django filters users, sorted: columns and relations.
    pub(super) fn field_names(&self) -> Vec<&str> {
        let columns = self.columns.iter().map(String::as_str);
        let mut names: Vec<&str> = columns.chain(self.relations.iter().copied()).collect();
        names.sort_unstable();
        names
    }

    /// How `_auth_user_id` is read (`Field.to_python` of the key).
    pub fn key_type(&self) -> KeyType {
        match self.key {
            KeyColumn::Integer => KeyType::Integer,
            KeyColumn::Uuid | KeyColumn::UuidText => KeyType::Uuid,
        }
    }
}

pub(super) fn columns(connection: &mut Connection, table: &str) -> QueryResult<Vec<Column>> {
    match connection {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(conn) => {
            diesel::sql_query("SELECT name, type AS type_name FROM pragma_table_info(?)").bind::<Text, _>(table).load(conn)
        }
        // The table that an unqualified name finds along the search path, as Django's own queries do.
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => diesel::sql_query(
            "SELECT a.attname::text AS name, t.typname::text AS type_name \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 AND NOT a.attisdropped",
        )
        .bind::<Text, _>(table)
        .load(conn),
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => diesel::sql_query(
            "SELECT CAST(column_name AS CHAR) AS name, CAST(data_type AS CHAR) AS type_name \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?",
        )
        .bind::<Text, _>(table)
        .load(conn),
    }
}
