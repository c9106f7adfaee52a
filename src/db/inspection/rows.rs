//! What the rows say: sessions to try the key on, how passwords are stored, and the one user whom an operator asks for.

use std::collections::BTreeMap;

use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::Row;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use diesel::{QueryResult, RunQueryDsl};

use super::{Inspector, Question};
use crate::config::Backend;
use crate::db::comparison::AnyText;
use crate::db::connection::Connection;
use crate::db::fragments::{
    Key, dynamic_query, optional, push_columns, required, row_of_every_backend,
};
use crate::db::values::{DjangoBackend, ValueError};
use crate::db::{DbError, Instant, UserTable};
use crate::django::hashers::{EncodedPassword, Unusable, Work};
use crate::django::sessions::UserId;

/// The most rows that MySQL's client stores at once.
const ROWS_AT_ONCE: usize = 20_000;

/// How the passwords of a table are stored: users counted by the work that theirs costs, and by why nothing can
/// match it.
#[derive(Default)]
pub struct Passwords {
    /// By what verifying a password computes; the second number counts active members of staff
    pub usable: BTreeMap<Work, (u64, u64)>,
    /// By why no password matches
    pub unusable: BTreeMap<Unusable, (u64, u64)>,
}

impl Passwords {
    fn count(&mut self, row: &StoredPassword) {
        let counts = match (row.encoded.work(), row.encoded.unusable()) {
            (Some(work), _) => self.usable.entry(work).or_default(),
            (None, Some(reason)) => self.unusable.entry(reason).or_default(),
            (None, None) => return,
        };
        counts.0 += 1;
        counts.1 += u64::from(row.is_staff);
    }
}

impl Inspector {
    /// Key and data of the sessions that live longest, at most so many.
    ///
    /// # Errors
    /// The database's.
    pub fn newest_sessions(
        &mut self,
        now: Instant,
        most: usize,
    ) -> Result<Vec<(String, String)>, DbError> {
        let question = Question::new(
            "SELECT session_key, session_data FROM django_session WHERE expire_date > ",
        );
        let question = question.instant(now);
        let rows = self.rows(&question.sql(format!(" ORDER BY expire_date DESC LIMIT {most}")))?;
        let session = |row: &super::TextRow| (row.text(0).to_owned(), row.text(1).to_owned());
        Ok(rows.iter().map(session).collect())
    }

    /// When the session of this key ends or ended, as the database writes it; `None`: there is none.
    ///
    /// # Errors
    /// The database's.
    pub fn session_end(&mut self, key: &str) -> Result<Option<String>, DbError> {
        if key.contains('\0') {
            return Ok(None);
        }
        let end = self.as_text("expire_date");
        let question = Question::new(format!(
            "SELECT {end} FROM django_session WHERE session_key = "
        ));
        let row = self.rows(&question.text(key))?.pop();
        Ok(row.map(|row| row.text(0).to_owned()))
    }

    /// Names that are this one but for upper and lower case.
    ///
    /// # Errors
    /// The database's.
    pub fn similar_names(&mut self, table: &UserTable, name: &str) -> Result<Vec<String>, DbError> {
        let (column, from) = (self.quoted(&table.username_field), self.quoted(&table.name));
        let question = Question::new(format!(
            "SELECT {column} FROM {from} WHERE lower({column}) = lower("
        ));
        let rows = self.rows(&question.text(name).sql(") LIMIT 5"))?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// `last_login` of the user of this name, as the database writes it; empty: never.
    ///
    /// # Errors
    /// The database's; the service itself needs no right to read it.
    pub fn last_login(&mut self, table: &UserTable, name: &str) -> Result<String, DbError> {
        let (column, from) = (self.quoted(&table.username_field), self.quoted(&table.name));
        let last_login = self.as_text("last_login");
        let question = Question::new(format!("SELECT {last_login} FROM {from} WHERE {column} = "));
        Ok(self.row(&question.text(name))?.text(0).to_owned())
    }

    /// How many users there are.
    ///
    /// # Errors
    /// The database's.
    pub fn users(&mut self, table: &str) -> Result<i64, DbError> {
        let count = self.as_text("COUNT(id)");
        let from = self.quoted(table);
        let row = self.row(&Question::new(format!("SELECT {count} FROM {from}")))?;
        Ok(row.number(0).unwrap_or_default())
    }

    /// How many users joined after this moment.
    ///
    /// # Errors
    /// The database's.
    pub fn joined_after(&mut self, table: &UserTable, moment: Instant) -> Result<i64, DbError> {
        if !table.has("date_joined") {
            return Ok(0);
        }
        let count = self.as_text("COUNT(date_joined)");
        let from = self.quoted(&table.name);
        let question = Question::new(format!("SELECT {count} FROM {from} WHERE date_joined > "));
        Ok(self
            .row(&question.instant(moment))?
            .number(0)
            .unwrap_or_default())
    }

    /// Reads every stored password once, and keeps counts.
    ///
    /// # Errors
    /// The database's.
    pub fn passwords(&mut self, table: &UserTable) -> Result<Passwords, DbError> {
        let mut passwords = Passwords::default();
        let mut after = None;
        loop {
            let is_in_pieces = self.backend() == Backend::Mysql;
            let piece = ReadPasswords {
                table,
                after: after.as_ref(),
                is_in_pieces,
            };
            let (counted, length, last) = self.ask(&|connection| piece.count(connection))?;
            passwords.add(counted);
            if !is_in_pieces || length < ROWS_AT_ONCE {
                return Ok(passwords);
            }
            after = last.map(|id| Key::new(table, &id));
        }
    }
}

impl Passwords {
    fn add(&mut self, other: Passwords) {
        for (work, (users, staff)) in other.usable {
            let counts = self.usable.entry(work).or_default();
            *counts = (counts.0 + users, counts.1 + staff);
        }
        for (reason, (users, staff)) in other.unusable {
            let counts = self.unusable.entry(reason).or_default();
            *counts = (counts.0 + users, counts.1 + staff);
        }
    }
}

/// Passwords of the users whose key comes `after`.
#[derive(Clone, Copy)]
struct ReadPasswords<'a> {
    table: &'a UserTable,
    after: Option<&'a Key>,
    is_in_pieces: bool,
}

struct StoredPassword {
    id: UserId,
    encoded: EncodedPassword,
    is_staff: bool,
}

impl ReadPasswords<'_> {
    /// The counts, how many rows there were, and the last one's key.
    fn count(
        self,
        connection: &mut Connection,
    ) -> Result<(Passwords, usize, Option<UserId>), DbError> {
        let (mut passwords, mut length, mut last) = (Passwords::default(), 0, None);
        let mut count = |row: QueryResult<StoredPassword>| -> Result<(), DbError> {
            length += 1;
            match row {
                Ok(row) => {
                    passwords.count(&row);
                    last = Some(row.id);
                }
                // A row that can't be read is nobody's.
                Err(diesel::result::Error::DeserializationError(_)) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        };
        match connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(conn) => self.load_iter(conn)?.try_for_each(&mut count)?,
            // The default mode would load the whole result first.
            #[cfg(feature = "postgres")]
            Connection::Postgres(conn) => self
                .load_iter::<_, diesel::pg::PgRowByRowLoadingMode>(conn)?
                .try_for_each(&mut count)?,
            #[cfg(feature = "mysql")]
            Connection::Mysql(conn) => self.load_iter(conn)?.try_for_each(&mut count)?,
        }
        Ok((passwords, length, last))
    }
}

impl<DB> QueryFragment<DB> for ReadPasswords<'_>
where
    DB: diesel::backend::Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        push_columns(&mut out, ["id", "password", "is_active", "is_staff"])?;
        out.push_sql(" FROM ");
        out.push_identifier(&self.table.name)?;
        if let Some(after) = self.after {
            out.push_sql(" WHERE ");
            out.push_identifier("id")?;
            out.push_sql(" > ");
            after.push(&mut out)?;
        }
        if self.is_in_pieces {
            out.push_sql(" ORDER BY ");
            out.push_identifier("id")?;
            out.push_sql(&format!(" LIMIT {ROWS_AT_ONCE}"));
        }
        Ok(())
    }
}

dynamic_query!(ReadPasswords);

impl StoredPassword {
    fn from_row<'a, DB: DjangoBackend>(
        row: &impl Row<'a, DB>,
    ) -> Result<StoredPassword, ValueError> {
        let is_true = |index| {
            let value = optional(row, index, DB::boolean)?;
            Ok::<_, ValueError>(value.is_some_and(|value| value.is_true()))
        };
        let encoded = optional(row, 1, |value| DB::text(value, EncodedPassword::parse))?;
        Ok(StoredPassword {
            id: required(row, 0, DB::id)?,
            encoded: encoded.unwrap_or_else(|| EncodedPassword::parse("")),
            is_staff: is_true(2)? && is_true(3)?,
        })
    }
}

row_of_every_backend!(StoredPassword);
