//! The export: each selected user, as a row for the spool.
//!
//! Mirrors `export_users` of the customer's `admin_views.py`. The view's own `COUNT(*)`, whose value is only logged, is not
//! repeated. On MySQL and MariaDB, whose client stores the whole result of a statement before its first row, the users are
//! read in pieces along the primary key, all from one snapshot, so that memory does not grow with their number.

use std::io;

use diesel::QueryResult;
use diesel::connection::SimpleConnection;

use super::exportable_users::{KeyPage, Selection};
use super::exported_row::ExportedRow;
use crate::config::Backend;
use crate::db::connection::{Connection, with_connection};
use crate::db::error::ExportError;
use crate::db::models::user_table::UserTable;
use crate::django::sessions::UserId;

/// The rows of one piece on MySQL: a megabyte or two in the client.
const ROWS_OF_A_PIECE: u32 = 5_000;

const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

impl UserTable {
    /// Hands every selected exportable user to `write`: a rank, the key, and the row as [`write_json`](super::exported_row::write_json)
    /// reads it. Sorted by rank and then by key, the users stand in the order of `date_joined`, or of a page by key.
    ///
    /// # Errors
    /// [`ExportError::View`] and [`ExportError::Unrenderable`] where Django's view fails, or the error of `write`.
    pub fn export(
        &self,
        connection: &mut Connection,
        selection: &Selection,
        mut write: impl FnMut(i64, UserId, &[u8]) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        self.require_attributes(connection)?;
        let is_page = selection.page.is_some();
        if !is_page && self.backend == Backend::Mysql {
            with_connection!(connection, conn => conn.batch_execute(SNAPSHOT))?;
            let result = self.export_pieces(connection, selection.clone(), write);
            let ended = with_connection!(connection, conn => conn.batch_execute("ROLLBACK"));
            result?;
            return Ok(ended?);
        }
        let mut written = 0;
        self.selected(selection)
            .for_each(connection, |row: QueryResult<ExportedRow>| {
                let row = row?;
                let rank = if is_page { written } else { row.rank };
                written += 1;
                write(rank, row.id, &row.into_bytes(self)).map_err(ExportError::Spool)
            })
    }

    fn export_pieces(
        &self,
        connection: &mut Connection,
        mut selection: Selection,
        mut write: impl FnMut(i64, UserId, &[u8]) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        let mut after = None;
        loop {
            selection.page = Some(KeyPage {
                after,
                limit: ROWS_OF_A_PIECE,
            });
            let mut length = 0;
            self.selected(&selection)
                .for_each(connection, |row: QueryResult<ExportedRow>| {
                    let row = row?;
                    length += 1;
                    after = Some(row.id);
                    write(row.rank, row.id, &row.into_bytes(self)).map_err(ExportError::Spool)
                })?;
            if length < ROWS_OF_A_PIECE {
                return Ok(());
            }
        }
    }
}
