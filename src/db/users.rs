//! One user of the user table: found by key or by name, and marked as logged in.
//!
//! The table's name and some of its columns differ between projects, so the queries are Diesel query fragments over a
//! [`UserTable`] rather than a static schema.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::Row;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use diesel::{QueryResult, RunQueryDsl};
use zeroize::Zeroizing;

use super::DbError;
use super::catalogue::UserTable;
use super::comparison::{AnyText, ComparedText, can_hold};
use super::connection::{Connection, with_connection};
use super::fragments::{
    Key, dynamic_query, optional, push_columns, required, row_of_every_backend,
};
use super::types::Instant;
use super::values::{DjangoBackend, ValueError};
use crate::django::sessions::UserId;

/// A row of the user table, as far as deciding who is calling needs it.
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

/// Which user is looked for.
enum Wanted {
    Key(Key),
    Username(ComparedText),
}

/// `SELECT ... WHERE id = ?` or `WHERE username = ?`: the database compares, by the column's own type and collation, as under Django.
struct FindUser<'a> {
    table: &'a UserTable,
    wanted: Wanted,
}

impl UserTable {
    /// The user with this key (`ModelBackend.get_user`).
    ///
    /// # Errors
    /// The database's.
    pub fn find_by_id(
        &self,
        connection: &mut Connection,
        id: &UserId,
    ) -> Result<Option<User>, DbError> {
        self.find(connection, Wanted::Key(Key::new(self, id)))
    }

    /// The user with this name (`UserManager.get_by_natural_key`).
    ///
    /// # Errors
    /// The database's.
    pub fn find_by_username(
        &self,
        connection: &mut Connection,
        username: &str,
    ) -> Result<Option<User>, DbError> {
        if !can_hold(connection, &self.name, &self.username_field, username)? {
            return Ok(None);
        }
        self.find(
            connection,
            Wanted::Username(ComparedText(username.to_owned())),
        )
    }

    fn find(&self, connection: &mut Connection, wanted: Wanted) -> Result<Option<User>, DbError> {
        let query = FindUser {
            table: self,
            wanted,
        };
        let users: QueryResult<Vec<User>> = with_connection!(connection, conn => query.load(conn));
        let mut users = match users {
            // A row that can't be read is nobody's.
            Err(diesel::result::Error::DeserializationError(why)) => {
                let message = format!("a user's row can't be read: {why}");
                self.rate_limited_log
                    .warn_hourly(module_path!(), (), &message);
                return Ok(None);
            }
            users => users?,
        };
        Ok(match users.len() {
            1 => users.pop(),
            // Two names that a collation holds for equal are `MultipleObjectsReturned` in Django.
            _ => None,
        })
    }

    /// Sets `last_login` (`django.contrib.auth.models.update_last_login`).
    ///
    /// # Errors
    /// The database's.
    pub fn update_last_login(
        &self,
        connection: &mut Connection,
        id: &UserId,
        now: Instant,
    ) -> Result<(), DbError> {
        if !self.has("last_login") {
            return Ok(());
        }
        let update = UpdateLastLogin {
            table: self,
            wanted: Wanted::Key(Key::new(self, id)),
            now,
        };
        with_connection!(connection, conn => update.execute(conn))?;
        Ok(())
    }
}

impl Wanted {
    fn push<'b, DB>(
        &'b self,
        table: &'b UserTable,
        out: &mut AstPass<'_, 'b, DB>,
    ) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText>,
        i64: ToSql<BigInt, DB>,
        String: ToSql<Text, DB>,
    {
        out.push_sql(" WHERE ");
        match self {
            Wanted::Key(key) => {
                out.push_identifier("id")?;
                out.push_sql(" = ");
                key.push(out)
            }
            Wanted::Username(username) => {
                out.push_identifier(&table.username_field)?;
                out.push_sql(" = ");
                out.push_bind_param::<AnyText, _>(username)
            }
        }
    }
}

impl<DB> QueryFragment<DB> for FindUser<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        push_columns(
            &mut out,
            [
                "id",
                &self.table.username_field,
                "password",
                "is_active",
                "is_staff",
            ],
        )?;
        out.push_sql(" FROM ");
        out.push_identifier(&self.table.name)?;
        self.wanted.push(self.table, &mut out)?;
        // `QuerySet.get` fetches no more than it needs to see that there is more than one.
        out.push_sql(" LIMIT 2");
        Ok(())
    }
}

struct UpdateLastLogin<'a> {
    table: &'a UserTable,
    wanted: Wanted,
    now: Instant,
}

impl<DB> QueryFragment<DB> for UpdateLastLogin<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
    Instant: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        out.push_identifier(&self.table.name)?;
        out.push_sql(" SET ");
        out.push_identifier("last_login")?;
        out.push_sql(" = ");
        self.now.walk_ast(out.reborrow())?;
        self.wanted.push(self.table, &mut out)
    }
}

dynamic_query!(FindUser);
dynamic_query!(UpdateLastLogin);

impl User {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<User, ValueError> {
        Ok(User {
            id: required(row, 0, DB::id)?,
            username: optional(row, 1, |value| DB::text(value, str::to_owned))?.unwrap_or_default(),
            password: Zeroizing::new(
                optional(row, 2, |value| DB::text(value, str::to_owned))?.unwrap_or_default(),
            ),
            is_active: optional(row, 3, DB::boolean)?.is_some_and(|value| value.is_true()),
            is_staff: optional(row, 4, DB::boolean)?.is_some_and(|value| value.is_true()),
        })
    }
}

row_of_every_backend!(User);
