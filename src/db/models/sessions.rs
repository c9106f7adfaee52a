//! The `django_session` table (`django.contrib.sessions.backends.db.SessionStore`).

use diesel::result::Error as DieselError;

use super::column_text::can_hold;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::sql::{Parameter, Sql};
use crate::db::types::stored_time::StoredTime;

/// One row of `django_session`.
pub struct SessionRow {
    /// The session key: the cookie's value
    pub key: String,
    /// The signed session data
    pub data: String,
}

impl SessionRow {
    /// The data of the session with this key, unless it has expired (`SessionStore._get_session_from_db`).
    pub fn find(
        connection: &mut Connection,
        key: &str,
        now: StoredTime,
    ) -> Result<Option<String>, DbError> {
        let found = SessionRow::find_up_to(i32::MAX, connection, key, now)?;
        Ok(found.flatten())
    }

    /// The same; `Some(None)` for data of more than `most_bytes`, which stay in the database. (Its `octet_length` reads no
    /// text on PostgreSQL and SQLite.)
    pub fn find_up_to(
        most_bytes: i32,
        connection: &mut Connection,
        key: &str,
        now: StoredTime,
    ) -> Result<Option<Option<String>>, DbError> {
        // If the column can't hold this key, there is no such session.
        if !can_hold(connection, "django_session", "session_key", key)? {
            return Ok(None);
        }
        let sql = Sql::new(
            "SELECT CASE WHEN octet_length(session_data) <= $1 THEN session_data END FROM django_session \
             WHERE session_key = $2 AND expire_date > $3",
        )
        .bind(Parameter::Integer(most_bytes.into()))
        .bind(compared(key))
        .bind(Parameter::time(now, connection.backend()));
        match sql.load(connection) {
            // Session data that can't be read as text is invalid, like data with a wrong signature.
            Err(DieselError::DeserializationError(_)) => Ok(Some(Some(String::new()))),
            found => Ok(found?.pop()),
        }
    }

    /// Writes a new row (`SessionStore.save(must_create=True)`).
    ///
    /// # Errors
    /// Also if there is a session with this key.
    pub fn insert(&self, connection: &mut Connection, expires: StoredTime) -> Result<(), DbError> {
        Sql::new("INSERT INTO django_session (session_key, session_data, expire_date) VALUES ($1, $2, $3)")
            .bind(self.key.as_str())
            .bind(self.data.as_str())
            .bind(Parameter::time(expires, connection.backend()))
            .execute(connection)?;
        Ok(())
    }

    /// Overwrites data and expiry of the row with this key. Returns false if there is no such row.
    pub fn update(
        &self,
        connection: &mut Connection,
        expires: StoredTime,
    ) -> Result<bool, DbError> {
        let sql =
            "UPDATE django_session SET session_data = $1, expire_date = $2 WHERE session_key = $3";
        let updated = Sql::new(sql)
            .bind(self.data.as_str())
            .bind(Parameter::time(expires, connection.backend()))
            .bind(compared(&self.key))
            .execute(connection)?;
        Ok(updated > 0)
    }

    /// Sets the expiry of the row with this key, if there is one.
    pub fn set_expiry(
        connection: &mut Connection,
        key: &str,
        expires: StoredTime,
    ) -> Result<(), DbError> {
        Sql::new("UPDATE django_session SET expire_date = $1 WHERE session_key = $2")
            .bind(Parameter::time(expires, connection.backend()))
            .bind(compared(key))
            .execute(connection)?;
        Ok(())
    }

    /// Deletes the row with this key, if there is one (`SessionStore.delete`).
    pub fn delete(connection: &mut Connection, key: &str) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM django_session WHERE session_key = $1");
        sql.bind(compared(key)).execute(connection)?;
        Ok(())
    }
}

/// A key that is compared by the column's own type.
fn compared(key: &str) -> Parameter {
    Parameter::AnyText(key.to_owned())
}

/// Selects the columns that are read, to see that the table exists and the role may read it.
pub(crate) fn probe(connection: &mut Connection) -> Result<(), DbError> {
    let sql = "SELECT session_key, session_data, expire_date IS NULL FROM django_session LIMIT 0";
    Sql::new(sql).load::<Option<String>>(connection)?;
    Ok(())
}
