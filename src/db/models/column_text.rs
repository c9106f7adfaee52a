//! Which texts a column can hold, and which comparisons its collation allows.
//!
//! A database refuses to compare a column with a text outside of its character set (MySQL's error 1267, PostgreSQL's
//! SQLSTATE 22P05). Diesel passes on neither number, and both databases translate the message. So [`can_hold`] finds it out
//! before the comparison. It queries the database only for texts outside of ASCII, which every character set here contains.

#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::RunQueryDsl;
#[cfg(feature = "postgres")]
use diesel::sql_types::Binary;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::sql_types::Text;

use crate::db::connection::Connection;
use crate::db::error::DbError;

#[cfg(any(feature = "postgres", feature = "mysql"))]
#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = diesel::sql_types::Nullable<Text>)]
    text: Option<String>,
}

/// Whether the column can hold `text`. If it can't, no row has that text, and the database would refuse the comparison. On
/// PostgreSQL, `false` means that the current transaction is aborted.
#[cfg_attr(
    not(feature = "mysql"),
    expect(unused_variables, reason = "only MySQL has character sets of columns")
)]
pub(crate) fn can_hold(
    connection: &mut Connection,
    table: &str,
    column: &str,
    text: &str,
) -> Result<bool, DbError> {
    if text.contains('\0') {
        // Django stores no text with a NUL.
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
            let encoding = diesel::sql_query("SELECT getdatabaseencoding()::text AS text");
            let encoding = encoding.get_result::<Answer>(conn)?.text;
            if matches!(encoding.as_deref(), Some("UTF8" | "SQL_ASCII")) {
                return Ok(true);
            }
            // The server does not convert a parameter of the type `bytea`. So all that it can refuse is `convert()`.
            let converted = diesel::sql_query("SELECT convert($1, 'UTF8', getdatabaseencoding())");
            let converted = converted.bind::<Binary, _>(text.as_bytes());
            match converted.execute(conn).map_err(DbError::from) {
                Ok(_) => Ok(true),
                Err(DbError::Refused(_)) => Ok(false),
                Err(error) => Err(error),
            }
        }
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => {
            let query = diesel::sql_query(
                "SELECT CAST(character_set_name AS CHAR) AS text FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?",
            );
            let query = query.bind::<Text, _>(table).bind::<Text, _>(column);
            let found: Vec<Answer> = query.load(conn)?;
            let character_set = found.into_iter().find_map(|answer| answer.text);
            let character_set = character_set.unwrap_or_default();
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if matches!(character_set.as_str(), "" | "binary" | "utf8mb4")
                || !is_name(&character_set)
            {
                return Ok(true);
            }
            // A character that the character set lacks becomes a question mark.
            let converted =
                format!("SELECT CONVERT(CONVERT(? USING {character_set}) USING utf8mb4) AS text");
            let converted = diesel::sql_query(converted).bind::<Text, _>(text);
            let converted = converted.get_result::<Answer>(conn);
            match converted.map_err(|error| connection.told_by_number(DbError::from(error))) {
                Ok(converted) => Ok(converted.text.as_deref() == Some(text)),
                Err(DbError::Refused(_)) => Ok(false),
                Err(error) => Err(error),
            }
        }
    }
}

/// Whether the column's collation is nondeterministic. Before version 18, PostgreSQL refuses `LIKE` on such a column.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "only PostgreSQL has such collations")
)]
pub(crate) fn is_nondeterministic(
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
