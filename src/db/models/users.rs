//! One user of the user table: found by key or by name, and marked as logged in.

use diesel::QueryResult;
use diesel::row::Row;
use zeroize::Zeroizing;

use super::column_text::can_hold;
use super::user_table::UserTable;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::sql::{Parameter, Sql};
use crate::db::types::row::{FromRow, is_true, required, text};
use crate::db::types::stored_time::StoredTime;
use crate::db::types::value::{DjangoBackend, ValueError};
use crate::django::sessions::UserId;

/// The columns of the user table that authentication needs.
pub struct User {
    /// The primary key
    pub id: UserId,
    /// The username column
    pub username: String,
    /// The encoded password
    pub password: Zeroizing<String>,
    /// `is_active`
    pub is_active: bool,
    /// `is_staff`
    pub is_staff: bool,
}

impl FromRow for User {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<User, ValueError> {
        Ok(User {
            id: required(row, 0, DB::id)?,
            username: text(row, 1)?.unwrap_or_default(),
            password: Zeroizing::new(text(row, 2)?.unwrap_or_default()),
            is_active: is_true(row, 3)?,
            is_staff: is_true(row, 4)?,
        })
    }
}

impl UserTable {
    /// The user with this key (`ModelBackend.get_user`).
    pub fn find_by_id(
        &self,
        connection: &mut Connection,
        id: &UserId,
    ) -> Result<Option<User>, DbError> {
        self.find(connection, "id", self.key(id))
    }

    /// The user with this name (`UserManager.get_by_natural_key`).
    pub fn find_by_username(
        &self,
        connection: &mut Connection,
        username: &str,
    ) -> Result<Option<User>, DbError> {
        if !can_hold(
            connection,
            &self.model.table,
            &self.model.username_field,
            username,
        )? {
            return Ok(None);
        }
        let username = Parameter::AnyText(username.to_owned());
        self.find(connection, &self.quoted_username, username)
    }

    /// The database compares by the column's own type and collation, as it does for Django.
    fn find(
        &self,
        connection: &mut Connection,
        column: &str,
        value: Parameter,
    ) -> Result<Option<User>, DbError> {
        let (users, username) = (&self.quoted_table, &self.quoted_username);
        // Two rows are enough to see that there is more than one (`QuerySet.get` limits its query, too).
        let sql = Sql::new(format!(
            "SELECT id, {username}, password, is_active, is_staff FROM {users} WHERE {column} = $1 LIMIT 2"
        ));
        self.only(connection, sql.bind(value))
    }

    /// The user whom the statement selects; `None` if it selects more than one, or a row that can't be read.
    pub(super) fn only(
        &self,
        connection: &mut Connection,
        sql: Sql,
    ) -> Result<Option<User>, DbError> {
        let mut found = self.readable(sql.load(connection))?;
        // Django raises `MultipleObjectsReturned` for two names that are equal in the column's collation.
        Ok(found.pop().filter(|_| found.is_empty()))
    }

    /// The rows of users, or none if one can't be read: such a user is not authenticated.
    pub(super) fn readable<T>(&self, rows: QueryResult<Vec<T>>) -> Result<Vec<T>, DbError> {
        match rows {
            Err(diesel::result::Error::DeserializationError(why)) => {
                let message = format!("a user's row can't be read: {why}");
                self.rate_limited_log
                    .warn_hourly(module_path!(), (), &message);
                Ok(Vec::new())
            }
            rows => Ok(rows?),
        }
    }

    /// Sets `last_login` (`django.contrib.auth.models.update_last_login`).
    pub fn update_last_login(
        &self,
        connection: &mut Connection,
        id: &UserId,
        now: StoredTime,
    ) -> Result<(), DbError> {
        if !self.has("last_login") {
            return Ok(());
        }
        let users = &self.quoted_table;
        Sql::new(format!("UPDATE {users} SET last_login = $1 WHERE id = $2"))
            .bind(Parameter::time(now, self.backend))
            .bind(self.key(id))
            .execute(connection)?;
        Ok(())
    }

    /// Selects the columns that authentication reads, to see that the role may read them.
    pub(crate) fn probe(&self, connection: &mut Connection) -> Result<(), DbError> {
        self.find_by_username(connection, "").map(drop)?;
        match self.model.reads_addresses {
            true => self.probe_addresses(connection),
            false => Ok(()),
        }
    }
}
