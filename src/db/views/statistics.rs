//! The query of `export_stats` in the customer's `admin_views.py`.

use diesel::row::Row;

use crate::db::connection::Connection;
use crate::db::error::{DbError, ExportError};
use crate::db::models::user_table::UserTable;
use crate::db::sql::Sql;
use crate::db::types::row::{FromRow, required};
use crate::db::types::value::{DjangoBackend, ValueError, count_of};

/// The numbers of `export_stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Users with `is_active`
    pub total_active_users: i64,
    /// ... and `is_tv_user`
    pub tv_users: i64,
    /// ... and `is_movie_user`; 0 for a model without that field
    pub movie_users: i64,
}

impl FromRow for Stats {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Stats, ValueError> {
        let count = |index| count_of(required(row, index, DB::id)?);
        Ok(Stats {
            total_active_users: count(0)?,
            tv_users: count(1)?,
            movie_users: count(2)?,
        })
    }
}

impl UserTable {
    /// The three counts, in one scan of the table.
    ///
    /// # Errors
    /// [`ExportError::View`] for a model without `is_tv_user`, or whose `is_movie_user` is `None`: the view finds that the
    /// model has such an attribute, and filters by it.
    pub fn stats(&self, connection: &mut Connection) -> Result<Stats, ExportError> {
        let counts = self.counts(connection)?;
        self.require_countable_movies()?;
        Ok(counts)
    }

    /// Fails as `export_stats` does on a model whose `is_movie_user` is `None`.
    pub(super) fn require_countable_movies(&self) -> Result<(), ExportError> {
        match self.is_none("is_movie_user") {
            true => self.require_field("is_movie_user"),
            false => Ok(()),
        }
    }

    /// The three counts, with no movie users where the model has no such column.
    pub(super) fn counts(&self, connection: &mut Connection) -> Result<Stats, ExportError> {
        self.require_field("is_tv_user")?;
        let users = &self.quoted_table;
        let [is_active, is_tv_user, is_movie_user] =
            ["is_active", "is_tv_user", "is_movie_user"].map(|column| self.is_true(column));
        let sql = Sql::new(format!(
            "SELECT COUNT(*), COUNT(CASE WHEN {is_tv_user} THEN 1 END), COUNT(CASE WHEN {is_movie_user} THEN 1 END) \
             FROM {users} WHERE {is_active}"
        ));
        let stats = sql.load(connection).map_err(DbError::from)?.pop();
        stats.ok_or_else(|| DbError::Schema("a count of users gave no row".into()).into())
    }
}
