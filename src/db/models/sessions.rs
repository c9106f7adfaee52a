//! The `django_session` table (`django.contrib.sessions.backends.db.SessionStore`).

use diesel::dsl::case_when;
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::helper_types::AsExprOf;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::column_text::can_hold;
use super::schema::django_session::dsl::{django_session, expire_date, session_data, session_key};
use crate::db::connection::{Connection, with_connection};
use crate::db::error::DbError;
use crate::db::types::compared_text::{AnyText, ComparedText};
use crate::db::types::stored_time::StoredTime;

#[diesel::declare_sql_function]
extern "SQL" {
    /// The length in bytes. PostgreSQL and SQLite know it without reading the text.
    fn octet_length(text: Text) -> Integer;
}

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

    /// The same; `Some(None)` for data of more than `most_bytes`, which stay in the database.
    pub fn find_up_to(
        most_bytes: i32,
        connection: &mut Connection,
        key: &str,
        now: StoredTime,
    ) -> Result<Option<Option<String>>, DbError> {
        if !SessionRow::can_exist(connection, key)? {
            return Ok(None);
        }
        let live = django_session
            .select(case_when(
                octet_length(session_data).le(most_bytes),
                session_data,
            ))
            .filter(has_key(key).and(expire_date.gt(now)));
        match with_connection!(connection, conn => live.first(conn).optional()) {
            // Session data that can't be read as text is invalid, like data with a wrong signature.
            Err(diesel::result::Error::DeserializationError(_)) => Ok(Some(Some(String::new()))),
            data => Ok(data?),
        }
    }

    /// Whether the column can hold this key. If it can't, there is no such session, and on PostgreSQL the current transaction
    /// is aborted.
    pub fn can_exist(connection: &mut Connection, key: &str) -> Result<bool, DbError> {
        can_hold(connection, "django_session", "session_key", key)
    }

    /// Writes a new row (`SessionStore.save(must_create=True)`).
    ///
    /// # Errors
    /// Also if there is a session with this key.
    pub fn insert(&self, connection: &mut Connection, expires: StoredTime) -> Result<(), DbError> {
        let row = (
            session_key.eq(&self.key),
            session_data.eq(&self.data),
            expire_date.eq(expires),
        );
        with_connection!(connection, conn => diesel::insert_into(django_session).values(row).execute(conn))?;
        Ok(())
    }

    /// Overwrites data and expiry of the row with this key. Returns false if there is no such row.
    pub fn update(
        &self,
        connection: &mut Connection,
        expires: StoredTime,
    ) -> Result<bool, DbError> {
        let row = diesel::update(django_session.filter(has_key(&self.key)))
            .set((session_data.eq(&self.data), expire_date.eq(expires)));
        let updated = with_connection!(connection, conn => row.execute(conn))?;
        Ok(updated > 0)
    }

    /// Sets the expiry of the row with this key, if there is one.
    pub fn set_expiry(
        connection: &mut Connection,
        key: &str,
        expires: StoredTime,
    ) -> Result<(), DbError> {
        let row = diesel::update(django_session.filter(has_key(key))).set(expire_date.eq(expires));
        with_connection!(connection, conn => row.execute(conn))?;
        Ok(())
    }

    /// Deletes the row with this key, if there is one (`SessionStore.delete`).
    pub fn delete(connection: &mut Connection, key: &str) -> Result<(), DbError> {
        let row = django_session.filter(has_key(key));
        with_connection!(connection, conn => diesel::delete(row).execute(conn))?;
        Ok(())
    }
}

/// `session_key = ?`, by the column's own type.
fn has_key(key: &str) -> HasKey {
    diesel::dsl::sql::<Bool>("session_key = ").bind::<AnyText, _>(ComparedText(key.to_owned()))
}

/// The expression of [`has_key`].
type HasKey = UncheckedBind<SqlLiteral<Bool>, AsExprOf<ComparedText, AnyText>>;

/// Selects the columns that are read, to see that the table exists and the role may read it.
pub(crate) fn probe(connection: &mut Connection) -> Result<(), DbError> {
    let columns = django_session
        .select((session_key, session_data, expire_date.is_null()))
        .limit(0);
    let _: Vec<(String, String, bool)> = with_connection!(connection, conn => columns.load(conn))?;
    Ok(())
}

/// A new session key of Django's form (`SessionBase._get_new_session_key`: 32 of `a-z0-9`).
///
/// # Errors
/// The operating system gives no randomness.
pub fn new_session_key() -> Result<String, getrandom::Error> {
    crate::django::sessions::new_session_key(getrandom::fill)
}
