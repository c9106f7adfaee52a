//! The search of the HTML page, as Django's `icontains` works on each database.

use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::column_text::can_hold;
use crate::db::models::user_table::UserTable;

/// `%text%`, with the wildcards of `LIKE` in `text` escaped (`DatabaseOperations.prep_for_like_query`).
pub(super) fn pattern(text: &str) -> String {
    let text = text.replace('\\', r"\\");
    format!("%{}%", text.replace('%', r"\%").replace('_', r"\_"))
}

impl UserTable {
    /// The further condition that the username or the e-mail address contains `text`, with `$1` for its [`pattern`]. Leaves
    /// out a column that can't hold the text; `None` if neither column can.
    pub(super) fn contains(
        &self,
        connection: &mut Connection,
        text: &str,
    ) -> Result<Option<String>, DbError> {
        let UserTable {
            model,
            quoted_username,
            ..
        } = self;
        let mut columns = vec![(model.username_field.as_str(), quoted_username.as_str())];
        if model.username_field != "email" && self.has("email") {
            columns.push(("email", "email"));
        }
        let mut conditions = Vec::new();
        for (name, quoted) in columns {
            if !can_hold(connection, &model.table, name, text)? {
                continue;
            }
            conditions.push(match self.backend {
                // Before PostgreSQL 18, LIKE is refused with a nondeterministic collation, which a column may have. The
                // database's own is never of that kind.
                Backend::Postgres => {
                    format!(r#"UPPER({quoted}::text COLLATE "default") LIKE UPPER($1)"#)
                }
                Backend::Mysql => format!("{quoted} LIKE $1"),
                Backend::Sqlite => format!(r"{quoted} LIKE $1 ESCAPE '\'"),
            });
        }
        Ok((!conditions.is_empty()).then(|| format!(" AND ({})", conditions.join(" OR "))))
    }
}
