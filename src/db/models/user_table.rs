//! The user table. Its columns and the type of its key differ from one Django project to the next, so they are read once from
//! the database's catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use diesel::QueryResult;
use diesel::row::Row;

use crate::config::{Backend, Config};
use crate::db::connection::Connection;
use crate::db::error::{DbError, ExportError};
use crate::db::sql::{Parameter, Sql, quoted};
use crate::db::types::row::{FromRow, text};
use crate::db::types::value::{DjangoBackend, ValueError};
use crate::django::sessions::{KeyType, UserId};
use crate::django::settings::TokenModel;
use crate::telemetry::RateLimitedLog;

/// What the configuration says of the user model.
#[derive(Debug, Clone)]
pub(crate) struct UserModel {
    /// `AUTH_USER_MODEL._meta.db_table`
    pub(crate) table: String,
    /// The column of `USERNAME_FIELD`
    pub(crate) username_field: String,
    /// The fields that the model has set to `None` (DJANGO_USER_FIELDS_NONE). Such a field is no column, and its value is
    /// `None` for every user.
    none_fields: Vec<String>,
    /// Whether users log in by their e-mail address
    pub(super) reads_addresses: bool,
    /// The models of DRF's tokens
    pub(super) tokens: Vec<TokenModel>,
    /// `USE_TZ`
    pub(crate) use_tz: bool,
}

impl UserModel {
    /// The model of this configuration.
    pub(crate) fn of(config: &Config) -> UserModel {
        UserModel {
            table: config.user_table.clone(),
            username_field: config.username_field.clone(),
            none_fields: config.none_fields.clone(),
            reads_addresses: config.reads_addresses(),
            tokens: config.django.token_models().cloned().collect(),
            use_tz: config.django.use_tz,
        }
    }
}

/// The user table: `AUTH_USER_MODEL` as the database knows it.
#[derive(Debug, Clone)]
pub struct UserTable {
    pub(crate) backend: Backend,
    pub(crate) model: UserModel,
    /// The table's name, quoted for a statement
    pub(crate) quoted_table: String,
    /// The name of the username column, quoted for a statement
    pub(crate) quoted_username: String,
    key: KeyColumn,
    /// The names by which Django can filter users: columns and relations
    fields: BTreeSet<String>,
    /// Limits the lines about rows that can't be read
    pub(crate) rate_limited_log: Arc<RateLimitedLog>,
}

/// The type of the primary key's column.
#[derive(Debug, Clone, Copy)]
enum KeyColumn {
    /// Any integer type
    Integer,
    /// The database's own UUID type
    Uuid,
    /// Django's `char(32)` of hexadecimal digits
    UuidText,
}

/// The columns without which no user can be authenticated (`AbstractBaseUser`, `PermissionsMixin`, `is_staff`).
const REQUIRED: [&str; 4] = ["id", "password", "is_active", "is_staff"];

/// The name of a column, and its type in lower case.
struct Column(String, String);

impl FromRow for Column {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Column, ValueError> {
        let [name, type_name] = [text(row, 0)?, text(row, 1)?].map(Option::unwrap_or_default);
        Ok(Column(name, type_name.to_ascii_lowercase()))
    }
}

impl UserTable {
    /// Reads the columns of the model's table from the catalogue.
    ///
    /// # Errors
    /// [`DbError::Schema`] if the table or one of its required columns is missing, or its key has an unknown type.
    pub(crate) fn load(
        connection: &mut Connection,
        model: &UserModel,
    ) -> Result<UserTable, DbError> {
        let UserModel {
            table,
            username_field,
            none_fields,
            ..
        } = model;
        let columns = columns(connection, table)?;
        let mut required = REQUIRED.into_iter().chain([username_field.as_str()]);
        if let Some(column) = required.find(|column| !columns.contains_key(*column)) {
            let missing = format!("the table {table:?} has no column {column:?}");
            return Err(DbError::Schema(missing));
        }
        let key = match columns["id"].as_str() {
            "uuid" => KeyColumn::Uuid,
            t if t.contains("int") => KeyColumn::Integer,
            t if t.contains("char") => KeyColumn::UuidText,
            t => {
                return Err(DbError::Schema(format!(
                    "the key of {table:?} is neither an integer nor a UUID but {t:?}"
                )));
            }
        };
        let mut fields: BTreeSet<String> = columns.into_keys().collect();
        fields.retain(|field| !none_fields.contains(field));
        // Each is there if its table is: two of `PermissionsMixin`, and the admin's log and DRF's tokens, whose rows refer to
        // the user.
        for (relation, table) in [
            ("auth_token", "authtoken_token".to_owned()),
            ("groups", format!("{table}_groups")),
            ("logentry", "django_admin_log".to_owned()),
            ("user_permissions", format!("{table}_user_permissions")),
        ] {
            if !self::columns(connection, &table)?.is_empty() {
                fields.insert(relation.to_owned());
            }
        }
        let backend = connection.backend();
        Ok(UserTable {
            backend,
            quoted_table: quoted(backend, table),
            quoted_username: quoted(backend, username_field),
            model: model.clone(),
            key,
            fields,
            rate_limited_log: Arc::default(),
        })
    }

    /// Whether the model has this field.
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains(field)
    }

    /// Whether the model has set this field to `None`.
    pub(crate) fn is_none(&self, field: &str) -> bool {
        self.model.none_fields.iter().any(|name| name == field)
    }

    /// The type of a user's key, for reading `_auth_user_id` (`Field.to_python` of the key).
    pub fn key_type(&self) -> KeyType {
        match self.key {
            KeyColumn::Integer => KeyType::Integer,
            KeyColumn::Uuid | KeyColumn::UuidText => KeyType::Uuid,
        }
    }

    /// A key as the value of a placeholder that is compared with the column `id`.
    pub(crate) fn key(&self, id: &UserId) -> Parameter {
        match (id, self.key) {
            (UserId::Integer(id), _) => match i64::try_from(*id) {
                Ok(id) => Parameter::Integer(id),
                // MySQL's unsigned type has integers above those of `BigInt`.
                Err(_) => Parameter::Cast(id.to_string(), "DECIMAL(20)"),
            },
            (UserId::Uuid(_), KeyColumn::UuidText) => {
                Parameter::AnyText(id.to_string().replace('-', ""))
            }
            (UserId::Uuid(_), _) => Parameter::Cast(id.to_string(), "uuid"),
        }
    }

    /// Fails as Django does on a query over a field that the model lacks (`FieldError`).
    pub(crate) fn require_field(&self, field: &str) -> Result<(), ExportError> {
        if self.has(field) {
            return Ok(());
        }
        let choices: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        Err(ExportError::View(format!(
            "Cannot resolve keyword '{field}' into field. Choices are: {}",
            choices.join(", ")
        )))
    }

    /// The condition that a boolean column is true, as Django writes it for this database (the lookup `exact` with `True`).
    /// It is false for a field that the model lacks.
    pub(crate) fn is_true(&self, column: &str) -> String {
        match self.backend {
            _ if !self.has(column) => "FALSE".to_owned(),
            Backend::Postgres => column.to_owned(),
            Backend::Mysql | Backend::Sqlite => format!("{column} = 1"),
        }
    }
}

/// The columns of a table and their types, in lower case; none if there is no such table.
pub(crate) fn columns(
    connection: &mut Connection,
    table: &str,
) -> QueryResult<BTreeMap<String, String>> {
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
    let columns: Vec<Column> = Sql::new(sql).bind(table).load(connection)?;
    Ok(columns
        .into_iter()
        .map(|Column(name, type_name)| (name, type_name))
        .collect())
}
