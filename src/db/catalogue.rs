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
    none_fields: Vec<String>,
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
    /// Reads the columns of `name` from the catalogue. `none_fields` are those that the model has set to `None`.
    ///
    /// # Errors
    /// The database is away, or the table or one of its indispensable columns is missing.
    pub(super) fn load(
        connection: &mut Connection,
        name: &str,
        username_field: &str,
        none_fields: &[String],
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
            none_fields: none_fields.to_vec(),
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
        self.columns.contains(column) && !self.is_none(column)
    }

    /// Whether the model has set this field to `None`, as DJANGO_USER_FIELDS_NONE says: it is no column then, and every user
    /// has `None` there.
    pub(super) fn is_none(&self, field: &str) -> bool {
        self.none_fields.iter().any(|name| name == field)
    }

    /// The names by which Django filters users, sorted: columns and relations.
    pub(super) fn field_names(&self) -> Vec<&str> {
        let columns = self.columns.iter().map(String::as_str);
        let columns = columns.filter(|column| !self.is_none(column));
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
            // `table_info` leaves generated columns out. 1: a hidden column of a virtual table, which is none of its own.
            diesel::sql_query("SELECT name, type AS type_name FROM pragma_table_xinfo(?) WHERE hidden <> 1")
                .bind::<Text, _>(table)
                .load(conn)
        }
        // The table that an unqualified name finds along the search path, as Django's own queries do. A domain counts as the
        // type beneath it.
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => diesel::sql_query(
            "WITH RECURSIVE columns (name, type) AS (\
             SELECT attname, atttypid FROM pg_catalog.pg_attribute \
             WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped \
             UNION ALL SELECT c.name, t.typbasetype FROM columns c JOIN pg_catalog.pg_type t ON t.oid = c.type \
             WHERE t.typtype = 'd') \
             SELECT c.name::text AS name, t.typname::text AS type_name \
             FROM columns c JOIN pg_catalog.pg_type t ON t.oid = c.type WHERE t.typtype <> 'd'",
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
