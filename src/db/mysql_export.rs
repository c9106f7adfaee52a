//! The export on MySQL and MariaDB, whose client stores the whole result of a statement before its first row.
//!
//! So that memory does not grow with the rows, they are read in pieces along the primary key, all from one snapshot.

use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::mysql::{Mysql, MysqlConnection};
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::{QueryResult, RunQueryDsl};

use super::ExportError;
use super::catalogue::UserTable;
use super::exportable::{
    ExportUsers, Order, RowWriter, push_select_exported, push_where_exportable,
};
use super::exported_row::ExportedRow;
use super::fragments::{Key, dynamic_query};

/// The most rows that are read by one statement: a megabyte or two in the client.
const ROWS_AT_ONCE: usize = 5_000;

const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// As [`UserTable::export`]. In the database's order the client stores all rows: that is for few.
pub(super) fn export<const AWARE: bool, W: FnMut(i64, &[u8]) -> std::io::Result<()>>(
    query: ExportUsers<'_>,
    conn: &mut MysqlConnection,
    writer: &mut RowWriter<'_, W>,
) -> Result<bool, ExportError> {
    if query.order == Order::ByDatabase {
        let rows = query.load_iter::<ExportedRow<AWARE>, DefaultLoadingMode>(conn)?;
        return writer.write_all(rows);
    }
    conn.batch_execute(SNAPSHOT)?;
    let result = read_snapshot::<AWARE, _>(query.table, conn, writer);
    let ended = conn.batch_execute("ROLLBACK");
    let has_places = result?;
    ended?;
    Ok(has_places)
}

fn read_snapshot<const AWARE: bool, W: FnMut(i64, &[u8]) -> std::io::Result<()>>(
    table: &UserTable,
    conn: &mut MysqlConnection,
    writer: &mut RowWriter<'_, W>,
) -> Result<bool, ExportError> {
    let mut after = None;
    loop {
        let piece = ReadUsers { table, after };
        let (mut length, mut last) = (0, None);
        for row in piece.load_iter::<ExportedRow<AWARE>, DefaultLoadingMode>(conn)? {
            let row = row?;
            if !writer.write(&row)? {
                return Ok(false);
            }
            length += 1;
            last = Some(row.id);
        }
        if length < ROWS_AT_ONCE {
            return Ok(true);
        }
        after = last.map(|id| Key::new(table, &id));
    }
}

/// The exportable users whose key comes `after`: `SELECT ... WHERE ... AND id > ? ORDER BY id LIMIT n`
struct ReadUsers<'a> {
    table: &'a UserTable,
    after: Option<Key>,
}

impl QueryFragment<Mysql> for ReadUsers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        push_select_exported(&mut out, self.table, None)?;
        push_where_exportable(&mut out)?;
        if let Some(after) = &self.after {
            out.push_sql(" AND `id` > ");
            after.push(&mut out)?;
        }
        out.push_sql(&format!(" ORDER BY `id` LIMIT {ROWS_AT_ONCE}"));
        Ok(())
    }
}

dynamic_query!(ReadUsers);
