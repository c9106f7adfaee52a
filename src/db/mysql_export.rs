//! The export on MySQL and MariaDB, whose client stores the whole result of a statement before its first row.
//!
//! So that memory does not grow with the rows, they are read in pieces along the primary key, all from one snapshot.

use diesel::RunQueryDsl;
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::mysql::MysqlConnection;

use super::ExportError;
use super::exportable::{ExportUsers, Order, RowWriter};
use super::exported_row::ExportedRow;
use super::fragments::Key;

/// The most rows that are read by one statement: a megabyte or two in the client.
const ROWS_AT_ONCE: u32 = 5_000;

const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// As [`UserTable::export`]. In the database's order the client stores all rows: that is for few.
pub(super) fn export<const AWARE: bool, W: FnMut(i64, &[u8]) -> std::io::Result<()>>(
    query: ExportUsers<'_>,
    conn: &mut MysqlConnection,
    writer: &mut RowWriter<'_, W>,
) -> Result<bool, ExportError> {
    if query.order != Order::AsFound {
        let rows = query.load_iter::<ExportedRow<AWARE>, DefaultLoadingMode>(conn)?;
        return writer.write_all(rows);
    }
    conn.batch_execute(SNAPSHOT)?;
    let result = read_snapshot::<AWARE, _>(query, conn, writer);
    let ended = conn.batch_execute("ROLLBACK");
    let has_places = result?;
    ended?;
    Ok(has_places)
}

fn read_snapshot<const AWARE: bool, W: FnMut(i64, &[u8]) -> std::io::Result<()>>(
    mut query: ExportUsers<'_>,
    conn: &mut MysqlConnection,
    writer: &mut RowWriter<'_, W>,
) -> Result<bool, ExportError> {
    query.order = Order::ByKey;
    query.limit = ROWS_AT_ONCE;
    loop {
        let (mut length, mut last) = (0, None);
        for row in query
            .clone()
            .load_iter::<ExportedRow<AWARE>, DefaultLoadingMode>(conn)?
        {
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
        query.after = last.map(|id| Key::new(query.table, &id));
    }
}
