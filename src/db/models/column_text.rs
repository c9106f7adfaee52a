//! Which texts a column can hold.

use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::sql::Sql;
use crate::django::python::hex;

/// Whether the column can hold `text`. If it can't, no row has that text, and the database would refuse the comparison
/// (MySQL's error 1267, PostgreSQL's SQLSTATE 22P05) with a translated message and without a number. On PostgreSQL, `false`
/// means that the current transaction is aborted.
pub(crate) fn can_hold(
    connection: &mut Connection,
    table: &str,
    column: &str,
    text: &str,
) -> Result<bool, DbError> {
    // Django stores no text with a NUL. Every character set here contains the rest of ASCII.
    let has_nul = text.contains('\0');
    if has_nul || text.is_ascii() {
        return Ok(!has_nul);
    }
    let sql = match connection.backend() {
        Backend::Sqlite => return Ok(true),
        // The server has nothing to convert in hexadecimal digits. So all that it can refuse is `convert()`.
        Backend::Postgres => Sql::new(
            "SELECT CASE WHEN convert(decode($1, 'hex'), 'UTF8', getdatabaseencoding()) IS NOT NULL THEN 'yes' END",
        )
        .bind(hex(text.as_bytes()).as_str()),
        Backend::Mysql => {
            let character_set = Sql::new(
                "SELECT CAST(character_set_name AS CHAR) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = $1 AND column_name = $2",
            );
            let found: Vec<Option<String>> =
                character_set.bind(table).bind(column).load(connection)?;
            let character_set = found.into_iter().flatten().next().unwrap_or_default();
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if matches!(character_set.as_str(), "" | "binary" | "utf8mb4")
                || !is_name(&character_set)
            {
                return Ok(true);
            }
            // A character that the character set lacks becomes a question mark.
            Sql::new(format!(
                "SELECT CASE WHEN CONVERT(CONVERT($1 USING {character_set}) USING utf8mb4) COLLATE utf8mb4_bin = $1 \
                 THEN 'yes' END"
            ))
            .bind(text)
        }
    };
    let answer = sql.load::<Option<String>>(connection);
    match answer.map_err(|error| connection.told_by_number(DbError::from(error))) {
        Ok(answer) => Ok(answer.into_iter().flatten().next().is_some()),
        Err(DbError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
