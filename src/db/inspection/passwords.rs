//! How passwords are stored.

use std::collections::BTreeMap;

use diesel::QueryResult;
use diesel::result::Error as DieselError;

use super::inspector::Inspector;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::user_table::UserTable;
use crate::db::models::users::User;
use crate::db::sql::Sql;
use crate::django::hashers::{EncodedPassword, Unusable, Work};
use crate::django::sessions::UserId;

/// The rows of one statement: MySQL's client stores a whole result, and each database limits the time of a statement.
const ROWS_OF_A_PIECE: usize = 20_000;

/// How the passwords of a table are stored: how many users, and how many active members of staff, by kind.
#[derive(Clone, Default)]
pub struct StoredPasswords {
    /// By what verifying the password computes
    pub usable: BTreeMap<Work, (usize, usize)>,
    /// By the reason why no password matches
    pub unusable: BTreeMap<Unusable, (usize, usize)>,
}

impl StoredPasswords {
    fn count(&mut self, user: &User) {
        let counts = match EncodedPassword::parse(&user.password) {
            Ok(encoded) => self.usable.entry(encoded.work()).or_default(),
            Err(reason) => self.unusable.entry(reason).or_default(),
        };
        counts.0 += 1;
        counts.1 += usize::from(user.is_active && user.is_staff);
    }
}

impl Inspector {
    /// Reads every stored password once, and keeps counts.
    pub fn passwords(&mut self, table: &UserTable) -> Result<StoredPasswords, DbError> {
        let mut passwords = StoredPasswords::default();
        let mut after = None;
        loop {
            let length;
            (passwords, length, after) =
                self.read(&|connection| count_piece(connection, table, passwords.clone(), after))?;
            if length < ROWS_OF_A_PIECE || after.is_none() {
                return Ok(passwords);
            }
        }
    }
}

/// Counts the rows of one statement. Returns the counts, the number of rows, and the key of the last one.
fn count_piece(
    connection: &mut Connection,
    table: &UserTable,
    mut passwords: StoredPasswords,
    after: Option<UserId>,
) -> Result<(StoredPasswords, usize, Option<UserId>), DbError> {
    let (users, username) = (&table.quoted_table, &table.quoted_username);
    let condition = after.map_or("", |_| "WHERE id > $1");
    let sql = Sql::new(format!(
        "SELECT id, {username}, password, is_active, is_staff FROM {users} {condition} ORDER BY id LIMIT {ROWS_OF_A_PIECE}"
    ));
    let after = after.map(|id| table.key(&id));
    let sql = after.into_iter().fold(sql, Sql::bind);
    let (mut length, mut last) = (0, None);
    sql.for_each(connection, |row: QueryResult<User>| {
        length += 1;
        match row {
            Ok(user) => {
                passwords.count(&user);
                last = Some(user.id);
            }
            // A user whose row can't be read is not authenticated.
            Err(DieselError::DeserializationError(_)) => {}
            Err(error) => return Err(DbError::from(error)),
        }
        Ok(())
    })?;
    Ok((passwords, length, last))
}
