//! What the queries over the user table share: Diesel query fragments whose SQL depends on the project's own table, and
//! rows that are read by position from any backend.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::row::{Field, Row};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};

use super::catalogue::{KeyColumn, UserTable};
use super::comparison::{AnyText, ComparedText};
use super::values::ValueError;
use crate::django::sessions::UserId;

/// Makes a fragment a query whose prepared statement is cached by its text, since that differs from table to table.
macro_rules! dynamic_query {
    ($name:ident) => {
        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl diesel::query_builder::Query for $name<'_> {
            type SqlType = diesel::sql_types::Untyped;
        }

        impl<Conn> diesel::RunQueryDsl<Conn> for $name<'_> {}
    };
}
pub(super) use dynamic_query;

/// Lets Diesel load a type through its `from_row`, which reads rows of any backend; one implementation for all backends
/// would overlap with Diesel's own for `QueryableByName`.
macro_rules! row_of_every_backend {
    ($type:ident $(<$($parameter:ident: $kind:ty),+>)?) => {
        #[cfg(feature = "sqlite")]
        row_of_every_backend!(@ diesel::sqlite::Sqlite, $type $(<$($parameter: $kind),+>)?);
        #[cfg(feature = "postgres")]
        row_of_every_backend!(@ diesel::pg::Pg, $type $(<$($parameter: $kind),+>)?);
        #[cfg(feature = "mysql")]
        row_of_every_backend!(@ diesel::mysql::Mysql, $type $(<$($parameter: $kind),+>)?);
    };
    (@ $backend:ty, $type:ident $(<$($parameter:ident: $kind:ty),+>)?) => {
        impl $(<$(const $parameter: $kind),+>)? diesel::deserialize::FromSqlRow<diesel::sql_types::Untyped, $backend>
            for $type $(<$($parameter),+>)?
        {
            fn build_from_row<'a>(row: &impl diesel::row::Row<'a, $backend>) -> diesel::deserialize::Result<Self> {
                Ok(Self::from_row(row)?)
            }
        }
    };
}
pub(super) use row_of_every_backend;

/// A primary key as the user table's key column compares with it.
#[derive(Clone)]
pub(super) enum Key {
    Integer(i64),
    /// Of MySQL's unsigned type, above the signed ones; as decimal digits
    Unsigned(String),
    /// The database's own type, bound as text
    Uuid(String),
    /// Django's 32 hexadecimal digits
    UuidText(ComparedText),
}

impl Key {
    pub(super) fn new(table: &UserTable, id: &UserId) -> Key {
        match (id, table.key) {
            (UserId::Integer(id), _) => match i64::try_from(*id) {
                Ok(id) => Key::Integer(id),
                Err(_) => Key::Unsigned(id.to_string()),
            },
            (UserId::Uuid(_), KeyColumn::UuidText) => {
                Key::UuidText(ComparedText(id.to_string().replace('-', "")))
            }
            (UserId::Uuid(_), _) => Key::Uuid(id.to_string()),
        }
    }

    /// Writes it as a bound parameter.
    pub(super) fn push<'b, DB>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText>,
        i64: ToSql<BigInt, DB>,
        String: ToSql<Text, DB>,
    {
        match self {
            Key::Integer(id) => out.push_bind_param::<BigInt, _>(id),
            Key::UuidText(id) => out.push_bind_param::<AnyText, _>(id),
            Key::Unsigned(digits) => push_cast(out, digits, " AS DECIMAL(20))"),
            Key::Uuid(id) => push_cast(out, id, " AS uuid)"),
        }
    }
}

fn push_cast<'b, DB>(
    out: &mut AstPass<'_, 'b, DB>,
    text: &'b String,
    as_type: &str,
) -> QueryResult<()>
where
    DB: Backend + HasSqlType<Text>,
    String: ToSql<Text, DB>,
{
    out.push_sql("CAST(");
    out.push_bind_param::<Text, _>(text)?;
    out.push_sql(as_type);
    Ok(())
}

/// Writes quoted column names with commas between them.
pub(super) fn push_columns<'b, DB: Backend>(
    out: &mut AstPass<'_, 'b, DB>,
    columns: impl IntoIterator<Item = &'b str>,
) -> QueryResult<()> {
    for (index, column) in columns.into_iter().enumerate() {
        if index > 0 {
            out.push_sql(", ");
        }
        out.push_identifier(column)?;
    }
    Ok(())
}

/// The column at `index` as `read` reads it; `None` for NULL and for a column that was not selected.
pub(super) fn optional<'a, DB: Backend, T>(
    row: &impl Row<'a, DB>,
    index: usize,
    read: impl FnOnce(DB::RawValue<'_>) -> Result<T, ValueError>,
) -> Result<Option<T>, ValueError> {
    match row.get(index) {
        Some(field) => field.value().map(read).transpose(),
        None => Ok(None),
    }
}

/// As [`optional`], but NULL is an error.
pub(super) fn required<'a, DB: Backend, T>(
    row: &impl Row<'a, DB>,
    index: usize,
    read: impl FnOnce(DB::RawValue<'_>) -> Result<T, ValueError>,
) -> Result<T, ValueError> {
    optional(row, index, read)?
        .ok_or_else(|| ValueError::Unreadable("a NULL where there can be none".into()))
}

pub(super) fn is_postgres<DB: 'static>() -> bool {
    #[cfg(feature = "postgres")]
    return std::any::TypeId::of::<DB>() == std::any::TypeId::of::<diesel::pg::Pg>();
    #[cfg(not(feature = "postgres"))]
    return false;
}

/// The database whose SQL is written.
pub(super) enum Dialect {
    Postgres,
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "only MySQL's is"))]
    Mysql,
    Sqlite,
}

pub(super) fn dialect<DB: 'static>() -> Dialect {
    #[cfg(feature = "mysql")]
    if std::any::TypeId::of::<DB>() == std::any::TypeId::of::<diesel::mysql::Mysql>() {
        return Dialect::Mysql;
    }
    match is_postgres::<DB>() {
        true => Dialect::Postgres,
        false => Dialect::Sqlite,
    }
}
