//! Statements over tables whose names are known at run time. Each is one text, which can be pasted into `psql`.
//!
//! A text has the placeholders `$1`, `$2`, ... for its parameters on every database; SQLite and MySQL get `?` in their place.
//! Diesel prepares each text once on a connection and keeps the prepared statement, which it does not do for
//! `diesel::sql_query`.

use diesel::backend::Backend as DieselBackend;
use diesel::connection::DefaultLoadingMode;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as DieselError;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{BigInt, HasSqlType, SqlType, Text, Untyped};
use diesel::{QueryResult, RunQueryDsl};

use super::connection::{Connection, with_connection};
use super::types::row::{FromRow, ReadRow};
use super::types::stored_time::StoredTime;
use crate::config::Backend;

/// A name as SQL writes it.
pub(crate) fn quoted(backend: Backend, name: &str) -> String {
    let quote = match backend {
        Backend::Postgres => '"',
        // SQLite takes a name in double quotes for a text where there is no such column.
        Backend::Mysql | Backend::Sqlite => '`',
    };
    let doubled = name.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

/// The value of a placeholder.
#[derive(Clone)]
pub(crate) enum Parameter {
    Integer(i64),
    Text(String),
    /// Takes the type of the column that it is compared with, as Django's untyped parameters do
    AnyText(String),
    /// A text that is cast to the type of this name
    Cast(String, &'static str),
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Parameter {
        Parameter::Text(text.to_owned())
    }
}

impl Parameter {
    /// A time, for a column of a Django `DateTimeField`.
    pub(crate) fn time(time: StoredTime, backend: Backend) -> Parameter {
        let (text, type_name) = time.parameter(backend);
        Parameter::Cast(text, type_name)
    }
}

/// The SQL type of a [`Parameter::AnyText`]. On PostgreSQL its type number is 0, "not specified": a `citext` column would be
/// compared as `text` with a parameter of the type `text`.
#[derive(SqlType, QueryId)]
#[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 0, array_oid = 0)))]
#[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Text")))]
#[cfg_attr(feature = "mysql", diesel(mysql_type(name = "String")))]
struct AnyText;

impl<DB: DieselBackend> ToSql<AnyText, DB> for String
where
    String: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        // On PostgreSQL, the binary form of every text type is the text itself.
        <String as ToSql<Text, DB>>::to_sql(self, out)
    }
}

/// A statement and its parameters.
#[derive(Clone)]
pub(crate) struct Sql {
    text: String,
    parameters: Vec<Parameter>,
}

impl Sql {
    /// A statement of this text.
    pub(crate) fn new(text: impl Into<String>) -> Sql {
        Sql {
            text: text.into(),
            parameters: Vec::new(),
        }
    }

    /// Gives the next placeholder its value: the first call is for `$1`.
    pub(crate) fn bind(mut self, parameter: impl Into<Parameter>) -> Sql {
        self.parameters.push(parameter.into());
        self
    }

    /// Runs the statement, and returns the number of rows that it changed.
    pub(crate) fn execute(self, connection: &mut Connection) -> QueryResult<usize> {
        with_connection!(connection, conn => RunQueryDsl::execute(self, conn))
    }

    /// All rows.
    pub(crate) fn load<T: FromRow>(self, connection: &mut Connection) -> QueryResult<Vec<T>> {
        let rows: Vec<ReadRow<T>> =
            with_connection!(connection, conn => RunQueryDsl::load(self, conn))?;
        Ok(rows.into_iter().map(|ReadRow(row)| row).collect())
    }

    /// Hands each row to `read` as it arrives, up to the first error of `read`. MySQL's client stores all rows before it
    /// hands over the first one.
    pub(crate) fn for_each<T: FromRow, E: From<DieselError>>(
        self,
        connection: &mut Connection,
        mut read: impl FnMut(QueryResult<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut read = |row: QueryResult<ReadRow<T>>| read(row.map(|ReadRow(row)| row));
        match connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(conn) => {
                RunQueryDsl::load_iter::<_, DefaultLoadingMode>(self, conn)?.try_for_each(&mut read)
            }
            // Diesel's default mode would load the whole result before the first row.
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => {
                RunQueryDsl::load_iter::<_, diesel::pg::PgRowByRowLoadingMode>(self, conn)?
                    .try_for_each(&mut read)
            }
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => {
                RunQueryDsl::load_iter::<_, DefaultLoadingMode>(self, conn)?.try_for_each(&mut read)
            }
        }
    }
}

/// Cuts a statement before its first placeholder outside of quotes: what stands before it, its number, what stands behind.
fn next_placeholder(text: &str) -> Option<(&str, usize, &str)> {
    let bytes = text.as_bytes();
    let mut open_quote = None;
    for (position, byte) in bytes.iter().enumerate() {
        match (byte, open_quote) {
            (b'"' | b'\'' | b'`', None) => open_quote = Some(byte),
            (_, Some(quote)) if byte == quote => open_quote = None,
            (b'$', None) => {
                if let Some(digit @ b'1'..=b'9') = bytes.get(position + 1) {
                    let number = usize::from(digit - b'0');
                    return Some((&text[..position], number, &text[position + 2..]));
                }
            }
            _ => {}
        }
    }
    None
}

impl<DB> QueryFragment<DB> for Sql
where
    DB: DieselBackend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut rest = self.text.as_str();
        while let Some((before, number, behind)) = next_placeholder(rest) {
            out.push_sql(before);
            let parameter = self.parameters.get(number - 1).ok_or_else(|| {
                DieselError::QueryBuilderError(format!("${number} has no value").into())
            })?;
            match parameter {
                Parameter::Integer(number) => out.push_bind_param::<BigInt, _>(number)?,
                Parameter::Text(text) => out.push_bind_param::<Text, _>(text)?,
                Parameter::AnyText(text) => out.push_bind_param::<AnyText, _>(text)?,
                Parameter::Cast(text, type_name) => {
                    out.push_sql("CAST(");
                    out.push_bind_param::<Text, _>(text)?;
                    out.push_sql(" AS ");
                    out.push_sql(type_name);
                    out.push_sql(")");
                }
            }
            rest = behind;
        }
        out.push_sql(rest);
        Ok(())
    }
}

// The prepared statement is cached by its text, since the text differs from table to table.
impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql {
    type SqlType = Untyped;
}

impl<Conn> RunQueryDsl<Conn> for Sql {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_sign_in_quotes_is_no_placeholder() {
        let text = r#"SELECT '$1' FROM "a""$2" WHERE `$3` = $2 AND b > $1"#;
        let (before, number, behind) = next_placeholder(text).unwrap();
        assert_eq!(before, r#"SELECT '$1' FROM "a""$2" WHERE `$3` = "#);
        assert_eq!((number, behind), (2, " AND b > $1"));
        assert_eq!(next_placeholder(behind), Some((" AND b > ", 1, "")));
        assert_eq!(next_placeholder("$ 1"), None);
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_statement_is_prepared_once_and_then_kept() {
        use diesel::query_builder::QueryFragment;
        let sql = Sql::new("SELECT name FROM t WHERE id = $1 OR name = $2")
            .bind(Parameter::Integer(1))
            .bind("ada");
        let backend = diesel::sqlite::Sqlite;
        let is_kept = QueryFragment::<diesel::sqlite::Sqlite>::is_safe_to_cache_prepared;
        assert!(is_kept(&sql, &backend).unwrap());
    }
}
