//! A page of the exportable users, ordered by `date_joined` and key, for the HTML page.

use super::exported_row::ExportedRow;
use super::search::pattern;
use crate::db::connection::Connection;
use crate::db::error::ExportError;
use crate::db::models::user_table::UserTable;
use crate::db::sql::Sql;
use crate::django::sessions::UserId;

/// Where a page begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Begins with the first user
    First,
    /// Begins behind this user
    After(UserId),
    /// Ends before this user
    Before(UserId),
}

/// Which of the exportable users a page shows.
#[derive(Debug, Clone)]
pub struct UserSearch {
    /// What their name or e-mail address contains
    pub text: Option<String>,
    /// Where the page begins or ends
    pub cursor: Cursor,
    /// The most users on it
    pub limit: usize,
}

/// The longest text that is searched for, in characters: no username or e-mail address is longer.
const LONGEST_TEXT: usize = 254;

/// A page of the exportable users, by `date_joined` and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPage {
    /// Each in the form that [`values`](super::exported_row::values) reads
    pub rows: Vec<Vec<u8>>,
    /// Whether there are users before them
    pub has_previous: bool,
    /// Whether there are users behind them
    pub has_next: bool,
}

impl UserTable {
    /// A page of the exportable users. It is empty if the cursor's user does not exist.
    pub(crate) fn user_page(
        &self,
        connection: &mut Connection,
        search: &UserSearch,
    ) -> Result<UserPage, ExportError> {
        self.require_attributes(connection)?;
        let condition = match &search.text {
            None => Some(String::new()),
            Some(text) if text.chars().count() > LONGEST_TEXT => None,
            Some(text) => self.contains(connection, text)?,
        };
        let has_other_key = match search.cursor {
            Cursor::First => false,
            Cursor::After(id) | Cursor::Before(id) => id.key_type() != self.key_type(),
        };
        let (false, Some(condition)) = (has_other_key, condition) else {
            return Ok(UserPage::default());
        };
        let users: Vec<ExportedRow> = self.select_page(&condition, search).load(connection)?;
        let mut rows: Vec<_> = users
            .into_iter()
            .map(|user| user.into_bytes(self))
            .collect();
        let has_more = rows.len() > search.limit;
        rows.truncate(search.limit);
        let (has_previous, has_next) = match search.cursor {
            Cursor::First => (false, has_more),
            Cursor::After(_) => (true, has_more),
            Cursor::Before(_) => {
                rows.reverse();
                (has_more, true)
            }
        };
        Ok(UserPage {
            rows,
            has_previous,
            has_next,
        })
    }

    /// Selects one user more than the page has, to see whether there are more. `$1` is the pattern of the search, `$2` the
    /// cursor's key.
    fn select_page(&self, condition: &str, search: &UserSearch) -> Sql {
        let users = &self.quoted_table;
        let select = self.select_exportable();
        let (key, compared, order) = match &search.cursor {
            Cursor::First => (None, ">", "ASC"),
            Cursor::After(id) => (Some(id), ">", "ASC"),
            Cursor::Before(id) => (Some(id), "<", "DESC"),
        };
        let from_cursor = match key {
            Some(_) => format!(
                " AND (date_joined, id) {compared} (SELECT date_joined, id FROM {users} WHERE id = $2)"
            ),
            None => String::new(),
        };
        let limit = search.limit + 1;
        let text = format!(
            "{select}{condition}{from_cursor} ORDER BY date_joined {order}, id {order} LIMIT {limit}"
        );
        let pattern = pattern(search.text.as_deref().unwrap_or_default());
        let sql = Sql::new(text).bind(pattern.as_str());
        key.map(|id| self.key(id)).into_iter().fold(sql, Sql::bind)
    }
}
