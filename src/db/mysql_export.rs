//! The export on MySQL and MariaDB, whose client stores the whole result of a statement before its first row.
//!
//! So that memory does not grow with the rows (but by 32 bytes a user), many rows are read in pieces, all from one
//! snapshot: first the keys and dates along the primary key, then, in the order of the dates, the rows of so many keys at a
//! time. A few are read as Django reads them, so that equal dates come in the order in which Django gets them.

use std::collections::HashMap;

use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::mysql::data_types::MysqlTime;
use diesel::mysql::{Mysql, MysqlConnection};
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::{Field, Row};
use diesel::sql_types::{Datetime, Untyped};
use diesel::{QueryResult, RunQueryDsl};

use super::ExportError;
use super::catalogue::UserTable;
use super::exportable::{
    CountUsers, ExportUsers, JsonRow, Stats, push_select_exported, push_where_exportable,
};
use super::fragments::{Key, dynamic_query, required};
use super::values::DjangoBackend;
use crate::django::sessions::UserId;

/// The most rows that are read by one statement, and the most keys: some megabytes in the client.
const KEYS_AT_ONCE: usize = 10_000;

/// Rows read by their keys at a time.
const ROWS_AT_ONCE: usize = 1_000;

/// As [`UserTable::export`].
pub(super) fn export<const AWARE: bool>(
    table: &UserTable,
    conn: &mut MysqlConnection,
    write: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), ExportError> {
    conn.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
    conn.batch_execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
    let exported = read_snapshot::<AWARE>(table, conn, write);
    // There is nothing to keep: this ends the snapshot after a failure as after a success.
    let ended = conn.batch_execute("ROLLBACK");
    exported?;
    Ok(ended?)
}

fn read_snapshot<const AWARE: bool>(
    table: &UserTable,
    conn: &mut MysqlConnection,
    write: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), ExportError> {
    let counted: Vec<Stats> = CountUsers { table }.load(conn)?;
    if counted
        .iter()
        .all(|stats| stats.tv_users <= KEYS_AT_ONCE as i64)
    {
        let query = ExportUsers {
            table,
            time_zone: None,
        };
        for row in query.load_iter::<JsonRow<AWARE>, DefaultLoadingMode>(conn)? {
            write(&row?.json).map_err(ExportError::Spool)?;
        }
        return Ok(());
    }
    let mut listed: Vec<ListedUser> = Vec::new();
    loop {
        let after = listed.last().map(|user| Key::new(table, &user.id));
        let piece: Vec<ListedUser> = ListUsers { table, after }.load(conn)?;
        let is_last = piece.len() < KEYS_AT_ONCE;
        listed.extend(piece);
        if is_last {
            break;
        }
    }
    listed.sort_by_key(|user| user.joined);

    for piece in listed.chunks(ROWS_AT_ONCE) {
        let keys = piece.iter().map(|user| Key::new(table, &user.id)).collect();
        let rows: Vec<JsonRow<AWARE>> = ReadUsers { table, keys }.load(conn)?;
        let rows: HashMap<UserId, Vec<u8>> =
            rows.into_iter().map(|row| (row.id, row.json)).collect();
        for user in piece {
            // One snapshot: what was listed is there.
            if let Some(json) = rows.get(&user.id) {
                write(json).map_err(ExportError::Spool)?;
            }
        }
    }
    Ok(())
}

/// `SELECT id, date_joined ... WHERE ... AND id > ? ORDER BY id LIMIT n`
struct ListUsers<'a> {
    table: &'a UserTable,
    after: Option<Key>,
}

impl QueryFragment<Mysql> for ListUsers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        out.push_sql("SELECT `id`, `date_joined` FROM ");
        out.push_identifier(&self.table.name)?;
        push_where_exportable(&mut out)?;
        if let Some(after) = &self.after {
            out.push_sql(" AND `id` > ");
            after.push(&mut out)?;
        }
        out.push_sql(&format!(" ORDER BY `id` LIMIT {KEYS_AT_ONCE}"));
        Ok(())
    }
}

/// The exported columns `WHERE id IN (...)`, in no order.
struct ReadUsers<'a> {
    table: &'a UserTable,
    keys: Vec<Key>,
}

impl QueryFragment<Mysql> for ReadUsers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        push_select_exported(&mut out, self.table, None)?;
        out.push_sql(" WHERE `id` IN (");
        for (index, key) in self.keys.iter().enumerate() {
            if index > 0 {
                out.push_sql(", ");
            }
            key.push(&mut out)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

dynamic_query!(ListUsers);
dynamic_query!(ReadUsers);

/// A user to be exported, and when he joined: a number that sorts as MySQL sorts the column, NULL and zero dates first.
struct ListedUser {
    id: UserId,
    joined: i64,
}

impl FromSqlRow<Untyped, Mysql> for ListedUser {
    fn build_from_row<'a>(row: &impl Row<'a, Mysql>) -> diesel::deserialize::Result<Self> {
        let id = required(row, 0, Mysql::id)?;
        let joined = match row.get(1).as_ref().and_then(Field::value) {
            Some(value) => sortable(&<MysqlTime as FromSql<Datetime, Mysql>>::from_sql(value)?),
            None => i64::MIN,
        };
        Ok(ListedUser { id, joined })
    }
}

fn sortable(time: &MysqlTime) -> i64 {
    let fields = [
        (time.month, 13),
        (time.day, 32),
        (time.hour, 24),
        (time.minute, 60),
        (time.second, 60),
    ];
    let seconds = fields
        .into_iter()
        .fold(i64::from(time.year), |number, (field, range)| {
            number * range + i64::from(field)
        });
    // Below a million.
    seconds * 1_000_000 + time.second_part as i64
}
