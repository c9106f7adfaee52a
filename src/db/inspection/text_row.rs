//! Rows of texts, whatever the database: `check` shows them to people.

use diesel::QueryResult;
use diesel::row::Row;

use crate::db::connection::Connection;
use crate::db::sql::Sql;
use crate::db::types::row::{FromRow, text};
use crate::db::types::value::{DjangoBackend, ValueError};

/// A row of texts.
pub(super) struct TextRow(Vec<Option<String>>);

impl FromRow for TextRow {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<TextRow, ValueError> {
        let texts = (0..row.field_count()).map(|index| text(row, index));
        texts.collect::<Result<_, _>>().map(TextRow)
    }
}

impl TextRow {
    /// The text in this column; empty for NULL.
    pub(super) fn text(&self, index: usize) -> &str {
        self.0
            .get(index)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    /// The number in this column.
    pub(super) fn number<T: std::str::FromStr>(&self, index: usize) -> Option<T> {
        self.text(index).parse().ok()
    }

    /// Whether this column is true, as any of the databases writes it.
    pub(super) fn is_true(&self, index: usize) -> bool {
        matches!(self.text(index), "1" | "t" | "true" | "ON")
    }
}

/// The first column of every row of a query.
pub(super) fn texts(connection: &mut Connection, sql: Sql) -> QueryResult<Vec<String>> {
    let rows: Vec<TextRow> = sql.load(connection)?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}
