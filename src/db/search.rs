//! The page's search: which columns a text is searched for in, and `icontains` as each of Django's backends writes it.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Text};

use super::DbError;
use super::catalogue::UserTable;
use super::comparison::{can_hold, is_nondeterministic};
use super::connection::Connection;
use super::fragments::{Dialect, dialect};

impl UserTable {
    /// The columns in which `text` is searched for: those that can hold it.
    pub(super) fn searched(
        &self,
        connection: &mut Connection,
        text: &str,
    ) -> Result<Vec<Searched>, DbError> {
        let mut searched = Vec::new();
        for name in [self.username_field.as_str(), "email"] {
            let is_new = searched.iter().all(|column: &Searched| column.name != name);
            if is_new && self.has(name) && can_hold(connection, &self.name, name, text)? {
                searched.push(Searched {
                    name: name.to_owned(),
                    is_nondeterministic: is_nondeterministic(connection, &self.name, name)?,
                });
            }
        }
        Ok(searched)
    }
}

/// A column in which a text is searched for.
pub(super) struct Searched {
    name: String,
    is_nondeterministic: bool,
}

/// `%text%`, with what `LIKE` would take for more than itself escaped (`DatabaseOperations.prep_for_like_query`).
pub(super) fn pattern(text: &str) -> String {
    let text = text.replace('\\', r"\\");
    format!("%{}%", text.replace('%', r"\%").replace('_', r"\_"))
}

/// `icontains`, as each of Django's backends writes it.
pub(super) fn push_contains<'b, DB>(
    out: &mut AstPass<'_, 'b, DB>,
    column: &'b Searched,
    pattern: &'b String,
) -> QueryResult<()>
where
    DB: Backend + HasSqlType<Text> + 'static,
    String: ToSql<Text, DB>,
{
    match dialect::<DB>() {
        Dialect::Postgres => {
            out.push_sql("UPPER(");
            out.push_identifier(&column.name)?;
            out.push_sql("::text");
            if column.is_nondeterministic {
                // Before PostgreSQL 18, LIKE is refused on the column's own collation. The database's is never of that kind.
                out.push_sql(r#" COLLATE "default""#);
            }
            out.push_sql(") LIKE UPPER(");
            out.push_bind_param::<Text, _>(pattern)?;
            out.push_sql(")");
        }
        Dialect::Mysql => {
            out.push_identifier(&column.name)?;
            out.push_sql(" LIKE ");
            out.push_bind_param::<Text, _>(pattern)?;
        }
        Dialect::Sqlite => {
            out.push_identifier(&column.name)?;
            out.push_sql(" LIKE ");
            out.push_bind_param::<Text, _>(pattern)?;
            out.push_sql(r" ESCAPE '\'");
        }
    }
    Ok(())
}
