//! Sessions to try the secret key on, and facts about users.

use super::inspector::Inspector;
use super::text_row::TextRow;
use crate::db::error::DbError;
use crate::db::models::user_table::UserTable;
use crate::db::sql::{Parameter, Sql};
use crate::db::types::stored_time::StoredTime;

impl Inspector {
    /// Keys and data of `limit` sessions, latest expiry first.
    pub fn newest_sessions(
        &mut self,
        now: StoredTime,
        limit: usize,
    ) -> Result<Vec<(String, String)>, DbError> {
        let sql = Sql::new(format!(
            "SELECT session_key, session_data FROM django_session WHERE expire_date > $1 \
             ORDER BY expire_date DESC LIMIT {limit}"
        ));
        let now = Parameter::time(now, self.backend());
        let rows = self.rows(&sql.bind(now))?;
        let session = |row: &TextRow| (row.text(0).to_owned(), row.text(1).to_owned());
        Ok(rows.iter().map(session).collect())
    }

    /// The expiry of the session with this key, as the database writes it; `None` if there is no such session.
    pub fn session_end(&mut self, key: &str) -> Result<Option<String>, DbError> {
        if key.contains('\0') {
            return Ok(None);
        }
        let end = self.as_text("expire_date");
        let sql = Sql::new(format!(
            "SELECT {end} FROM django_session WHERE session_key = $1"
        ));
        Ok(self.texts(&sql.bind(key))?.pop())
    }

    /// Names that differ from this one in upper and lower case alone.
    pub fn similar_names(&mut self, table: &UserTable, name: &str) -> Result<Vec<String>, DbError> {
        let (username, users) = (&table.quoted_username, &table.quoted_table);
        let sql = Sql::new(format!(
            "SELECT {username} FROM {users} WHERE lower({username}) = lower($1) LIMIT 5"
        ));
        self.texts(&sql.bind(name))
    }

    /// `last_login` of the user with this name, as the database writes it; empty if the user never logged in.
    ///
    /// # Errors
    /// Also if the role may not read the column, which the service itself does not read.
    pub fn last_login(&mut self, table: &UserTable, name: &str) -> Result<String, DbError> {
        let (username, users) = (&table.quoted_username, &table.quoted_table);
        let last_login = self.as_text("last_login");
        let sql = Sql::new(format!(
            "SELECT {last_login} FROM {users} WHERE {username} = $1"
        ));
        Ok(self.row(&sql.bind(name))?.text(0).to_owned())
    }

    /// The number of users.
    pub fn users(&mut self, table: &str) -> Result<i64, DbError> {
        let count = self.as_text("COUNT(id)");
        let users = self.quoted(table);
        let row = self.row(&Sql::new(format!("SELECT {count} FROM {users}")))?;
        Ok(row.number(0).unwrap_or_default())
    }

    /// The number of users who joined after this moment.
    pub fn joined_after(&mut self, table: &UserTable, moment: StoredTime) -> Result<i64, DbError> {
        if !table.has("date_joined") {
            return Ok(0);
        }
        let count = self.as_text("COUNT(date_joined)");
        let users = &table.quoted_table;
        let sql = Sql::new(format!(
            "SELECT {count} FROM {users} WHERE date_joined > $1"
        ));
        let moment = Parameter::time(moment, self.backend());
        Ok(self.row(&sql.bind(moment))?.number(0).unwrap_or_default())
    }
}
