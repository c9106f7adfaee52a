//! How passwords are stored.

use std::collections::BTreeMap;

use diesel::QueryResult;
use diesel::result::Error as DieselError;
use diesel::row::Row;

use super::inspector::Inspector;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::user_table::UserTable;
use crate::db::sql::Sql;
use crate::db::types::row::{FromRow, is_true, optional, required};
use crate::db::types::value::{DjangoBackend, ValueError};
use crate::django::hashers::{EncodedPassword, Unusable, Work};
use crate::django::sessions::UserId;

/// The rows of one piece on MySQL, whose client stores a whole result.
const ROWS_OF_A_PIECE: usize = 20_000;

/// How the passwords of a table are stored: users counted by what verifying their password costs, and by the reason why no
/// password can match.
#[derive(Default)]
pub struct StoredPasswords {
    /// By what verifying a password computes: all users, and active members of staff
    pub usable: BTreeMap<Work, (u64, u64)>,
    /// By the reason why no password matches: the same two numbers
    pub unusable: BTreeMap<Unusable, (u64, u64)>,
}

impl StoredPasswords {
    fn count(&mut self, row: &StoredPassword) {
        let counts = match &row.encoded {
            Ok(encoded) => self.usable.entry(encoded.work()).or_default(),
            Err(reason) => self.unusable.entry(*reason).or_default(),
        };
        counts.0 += 1;
        counts.1 += u64::from(row.is_staff);
    }
}

impl StoredPasswords {
    fn add(&mut self, other: StoredPasswords) {
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

impl Inspector {
    /// Reads every stored password once, and keeps counts.
    pub fn passwords(&mut self, table: &UserTable) -> Result<StoredPasswords, DbError> {
        let mut passwords = StoredPasswords::default();
        let mut after = None;
        loop {
            let piece = self.read(&|connection| Piece::read(connection, table, after))?;
            passwords.add(piece.counts);
            if table.backend != Backend::Mysql || piece.length < ROWS_OF_A_PIECE {
                return Ok(passwords);
            }
            after = piece.last;
        }
    }
}

/// The rows of one statement: on MySQL at most [`ROWS_OF_A_PIECE`], elsewhere all.
#[derive(Default)]
struct Piece {
    counts: StoredPasswords,
    length: usize,
    /// The key of the last row
    last: Option<UserId>,
}

impl Piece {
    fn read(
        connection: &mut Connection,
        table: &UserTable,
        after: Option<UserId>,
    ) -> Result<Piece, DbError> {
        let users = &table.quoted_table;
        let condition = if after.is_some() {
            " WHERE id > $1"
        } else {
            ""
        };
        let order = match table.backend {
            Backend::Mysql => format!(" ORDER BY id LIMIT {ROWS_OF_A_PIECE}"),
            Backend::Postgres | Backend::Sqlite => String::new(),
        };
        let sql = Sql::new(format!(
            "SELECT id, password, is_active, is_staff FROM {users}{condition}{order}"
        ));
        let after = after.map(|id| table.key(&id));
        let sql = after.into_iter().fold(sql, Sql::bind);
        let mut piece = Piece::default();
        sql.for_each(connection, |row: QueryResult<StoredPassword>| {
            piece.length += 1;
            match row {
                Ok(row) => {
                    piece.counts.count(&row);
                    piece.last = Some(row.id);
                }
                // A user whose row can't be read is not authenticated.
                Err(DieselError::DeserializationError(_)) => {}
                Err(error) => return Err(DbError::from(error)),
            }
            Ok(())
        })?;
        Ok(piece)
    }
}

struct StoredPassword {
    id: UserId,
    encoded: Result<EncodedPassword, Unusable>,
    is_staff: bool,
}

impl FromRow for StoredPassword {
    fn from_row<'a, DB: DjangoBackend>(
        row: &impl Row<'a, DB>,
    ) -> Result<StoredPassword, ValueError> {
        let encoded = optional(row, 1, |value| DB::text(value, EncodedPassword::parse))?;
        Ok(StoredPassword {
            id: required(row, 0, DB::id)?,
            encoded: encoded.unwrap_or_else(|| EncodedPassword::parse("")),
            is_staff: is_true(row, 2)? && is_true(row, 3)?,
        })
    }
}
