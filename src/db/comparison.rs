//! A text that is compared with a column: by the column's own type and collation, as Django's untyped parameters are, and
//! only if the column's character set has all of its characters.
//!
//! A database refuses to compare a column with a text outside of its character set (MySQL's error 1267, PostgreSQL's
//! SQLSTATE 22P05). Diesel passes on neither number, and both databases translate the message. So the question is asked
//! before the comparison, and only of texts outside of ASCII, which every character set here contains.

use diesel::backend::Backend;
use diesel::expression::AsExpression;
use diesel::query_builder::QueryId;
use diesel::serialize::{Output, Result as Serialized, ToSql};
use diesel::sql_types::{SqlType, Text};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::{RunQueryDsl, sql_types};

use super::DbError;
use super::connection::Connection;

/// The SQL type of a [`ComparedText`]. On PostgreSQL it has the type number 0, "not specified": with a parameter of the type
/// `text`, a `citext` column would be compared as `text`.
#[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
#[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 0, array_oid = 0)))]
#[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Text")))]
#[cfg_attr(feature = "mysql", diesel(mysql_type(name = "String")))]
pub(super) struct AnyText;

/// A text that takes the type of the column it is compared with.
#[derive(Debug, Clone, AsExpression)]
#[diesel(sql_type = AnyText)]
pub(super) struct ComparedText(pub(super) String);

impl<DB> ToSql<AnyText, DB> for ComparedText
where
    DB: Backend,
    String: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> Serialized {
        // On PostgreSQL, the binary form of every text type is the text itself.
        self.0.to_sql(out)
    }
}

#[cfg(feature = "mysql")]
#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = sql_types::Nullable<Text>)]
    text: Option<String>,
}

/// Whether the column can hold `text`. If it can't, no row has it, and a comparison would be refused. On PostgreSQL, `false`
/// aborts the transaction that the question was asked in.
///
/// # Errors
/// The database did not answer.
#[cfg_attr(
    not(feature = "mysql"),
    expect(unused_variables, reason = "only MySQL has character sets of columns")
)]
pub(super) fn can_hold(
    connection: &mut Connection,
    table: &str,
    column: &str,
    text: &str,
) -> Result<bool, DbError> {
    if text.contains('\0') {
        // No text that Django stored has a NUL.
        return Ok(false);
    }
    if text.is_ascii() {
        return Ok(true);
    }
    match connection {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(_) => Ok(true),
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => {
            // The parameter is `bytea`, which the server does not convert by itself: the conversion is all that it can refuse.
            let converted = diesel::sql_query(
                "SELECT CASE WHEN getdatabaseencoding() NOT IN ('UTF8', 'SQL_ASCII') \
                 THEN convert($1, 'UTF8', getdatabaseencoding()) END",
            );
            let converted = converted.bind::<sql_types::Binary, _>(text.as_bytes());
            match converted.execute(conn).map_err(DbError::from) {
                Ok(_) => Ok(true),
                Err(DbError::Refused(_)) => Ok(false),
                Err(error) => Err(error),
            }
        }
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => {
            let question = diesel::sql_query(
                "SELECT CAST(character_set_name AS CHAR) AS text FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?",
            );
            let question = question.bind::<Text, _>(table).bind::<Text, _>(column);
            let found: Vec<Answer> = question.load(conn)?;
            let character_set = found.into_iter().find_map(|answer| answer.text);
            let character_set = character_set.unwrap_or_default();
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if matches!(character_set.as_str(), "" | "binary" | "utf8mb4")
                || !is_name(&character_set)
            {
                return Ok(true);
            }
            // What the character set lacks becomes a question mark.
            let converted =
                format!("SELECT CONVERT(CONVERT(? USING {character_set}) USING utf8mb4) AS text");
            let converted = diesel::sql_query(converted).bind::<Text, _>(text);
            match converted.get_result::<Answer>(conn).map_err(DbError::from) {
                Ok(converted) => Ok(converted.text.as_deref() == Some(text)),
                Err(DbError::Refused(_)) => Ok(false),
                Err(error) => Err(error),
            }
        }
    }
}

/// Whether PostgreSQL refuses `LIKE` on the column, as it does before version 18 where the collation is nondeterministic.
///
/// # Errors
/// The database did not answer.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "only PostgreSQL has such collations")
)]
pub(super) fn is_nondeterministic(
    connection: &mut Connection,
    table: &str,
    column: &str,
) -> Result<bool, DbError> {
    match connection {
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => {
            let found = diesel::sql_query(
                "SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
                 WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attname = $2 \
                 AND to_jsonb(c) ->> 'collisdeterministic' = 'false'",
            );
            let found = found.bind::<Text, _>(table).bind::<Text, _>(column);
            Ok(found.execute(conn)? > 0)
        }
        #[allow(unreachable_patterns)]
        _ => Ok(false),
    }
}
