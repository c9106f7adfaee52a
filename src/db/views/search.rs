//! The search of the HTML page, as Django's `icontains` works on each database.

use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::column_text::{can_hold, is_nondeterministic};
use crate::db::models::user_table::UserTable;

/// `%text%`, with the wildcards of `LIKE` in `text` escaped (`DatabaseOperations.prep_for_like_query`).
pub(super) fn pattern(text: &str) -> String {
    let text = text.replace('\\', r"\\");
    format!("%{}%", text.replace('%', r"\%").replace('_', r"\_"))
}

impl UserTable {
    /// The condition that the username or the e-mail address contains `text`, with `$1` for its [`pattern`]. Leaves out a
    /// column that can't hold the text; `None` if neither column can.
    pub(super) fn contains(
        &self,
        connection: &mut Connection,
        text: &str,
    ) -> Result<Option<String>, DbError> {
        let username_field = &self.model.username_field;
        let mut conditions = Vec::new();
        let columns = [
            (username_field.as_str(), self.quoted_username.as_str()),
            ("email", "email"),
        ];
        let is_email_the_username = username_field == "email";
        for (name, quoted) in &columns[..if is_email_the_username { 1 } else { 2 }] {
            if self.has(name) && can_hold(connection, &self.model.table, name, text)? {
                let is_nondeterministic = is_nondeterministic(connection, &self.model.table, name)?;
                conditions.push(match (self.backend, is_nondeterministic) {
                    (Backend::Postgres, false) => format!("UPPER({quoted}::text) LIKE UPPER($1)"),
                    // Before PostgreSQL 18, LIKE is refused with such a collation. The database's own is never of that kind.
                    (Backend::Postgres, true) => {
                        format!(r#"UPPER({quoted}::text COLLATE "default") LIKE UPPER($1)"#)
                    }
                    (Backend::Mysql, _) => format!("{quoted} LIKE $1"),
                    (Backend::Sqlite, _) => format!(r"{quoted} LIKE $1 ESCAPE '\'"),
                });
            }
        }
        Ok((!conditions.is_empty()).then(|| conditions.join(" OR ")))
    }
}
