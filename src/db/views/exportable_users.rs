//! The exportable users: which ones a caller wants, and the statement that selects them as Django 6.1 does for
//! `export_users` in the customer's `admin_views.py`.

use super::exported_row::ExportedRow;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::{DbError, ExportError};
use crate::db::models::user_table::UserTable;
use crate::db::sql::{Parameter, Sql};
use crate::db::types::stored_time::StoredTime;
use crate::django::sessions::UserId;

/// Which of the exportable users are wanted; by default all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Users who joined later than this
    pub joined_after: Option<StoredTime>,
    /// A page of users, in the order of their keys
    pub page: Option<KeyPage>,
}

/// A page of users, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPage {
    /// Users with greater keys than this
    pub after: Option<UserId>,
    /// The most users on the page
    pub limit: u32,
}

/// The columns of an exported user that come before `date_joined` and `is_movie_user`. `is_active` is not read: it is true
/// for every exported user.
const EXPORTED: [&str; 5] = ["id", "username", "email", "first_name", "last_name"];

impl UserTable {
    /// The text that selects the columns of [`ExportedRow`] for all users with `filter(is_active=True, is_tv_user=True)`.
    /// Further conditions can be appended.
    pub(super) fn select_exportable(&self) -> String {
        let users = &self.quoted_table;
        let [id, username, email, first_name, last_name] =
            EXPORTED.map(|column| match self.is_none(column) {
                true => "CAST(NULL AS CHAR)",
                false => column,
            });
        // Without USE_TZ, Django shows dates in the session's time zone. That has some hours twice, so the rows are ordered
        // by the date as it is stored. (A column named date_joined would be what ORDER BY means.)
        let (date_joined, rank) = match (self.backend, self.model.use_tz) {
            (Backend::Postgres, false) => (
                "CAST(date_joined AS timestamp) AS naive_date_joined",
                ", date_joined AS date_rank",
            ),
            _ => ("date_joined", ""),
        };
        let is_movie_user = match "is_movie_user" {
            column if self.has(column) => column,
            column if self.is_none(column) => "CAST(NULL AS CHAR)",
            _ => "FALSE",
        };
        let [is_active, is_tv_user] =
            ["is_active", "is_tv_user"].map(|column| self.is_true(column));
        format!(
            "SELECT {id}, {username}, {email}, {first_name}, {last_name}, {date_joined}, {is_movie_user}{rank} \
             FROM {users} WHERE {is_active} AND {is_tv_user}"
        )
    }

    /// The statement for a selection of the exportable users. A page is ordered by key. All other rows come as the database
    /// finds them, because it would sort many rows slowly, on disk, before it returns the first one.
    pub(super) fn selected(&self, selection: &Selection) -> Sql {
        let mut text = self.select_exportable();
        let mut parameters: Vec<Parameter> = Vec::new();
        if let Some(joined_after) = selection.joined_after {
            parameters.push(Parameter::time(joined_after, self.backend));
            text.push_str(&format!(" AND date_joined > ${}", parameters.len()));
        }
        if let Some(page) = selection.page {
            if let Some(after) = page.after {
                parameters.push(self.key(&after));
                text.push_str(&format!(" AND id > ${}", parameters.len()));
            }
            text.push_str(&format!(" ORDER BY id LIMIT {}", page.limit));
        }
        parameters.into_iter().fold(Sql::new(text), Sql::bind)
    }

    /// Selects the exported columns of zero rows, to see that the role may read them. Does nothing for a model that lacks
    /// one of the columns, on which the views fail as Django's do.
    pub(crate) fn probe_export(&self, connection: &mut Connection) -> Result<(), DbError> {
        let mut columns = EXPORTED.iter().chain(&["date_joined", "is_tv_user"]);
        if columns.all(|column| self.has(column) || self.is_none(column)) {
            let text = self.select_exportable() + " AND 1 = 0";
            Sql::new(text).load::<ExportedRow>(connection)?;
        }
        Ok(())
    }

    /// Fails as Django's view does on a model that lacks a field. `filter` and `order_by` raise `FieldError`. The loop over
    /// the users raises `AttributeError`, but only if there are users. The caller's `username` is read in any case.
    pub(super) fn require_attributes(
        &self,
        connection: &mut Connection,
    ) -> Result<(), ExportError> {
        self.require_field("is_tv_user")?;
        self.require_field("date_joined")?;
        let is_there = |column: &&str| self.has(column) || self.is_none(column);
        let Some(missing) = EXPORTED.into_iter().find(|column| !is_there(column)) else {
            return Ok(());
        };
        if missing == "username" || self.counts(connection)?.tv_users > 0 {
            let details = format!("'User' object has no attribute '{missing}'");
            return Err(ExportError::View(details));
        }
        Ok(())
    }
}
