//! Active users by the month in which they joined, for the HTML page. The query scans the whole table, since Django has no index
//! on `date_joined`.

use std::collections::BTreeMap;

use diesel::row::Row;

use super::statistics::Stats;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::{DbError, ExportError};
use crate::db::models::user_table::UserTable;
use crate::db::sql::Sql;
use crate::db::types::row::{FromRow, optional, required};
use crate::db::types::value::{DjangoBackend, ValueError, count_of};

/// Active users who joined in one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    /// 1 to 9999
    pub year: i32,
    /// 1 to 12
    pub month: u8,
    /// With `is_tv_user`
    pub tv: u64,
    /// With `is_movie_user` and without `is_tv_user`
    pub movie_only: u64,
    /// With neither
    pub others: u64,
}

/// Active users by month, and their total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersByMonth {
    /// What `export_stats` says of the same rows
    pub stats: Stats,
    /// Why `export_stats` fails on this user model all the same
    pub stats_error: Option<String>,
    /// The months in which users joined, oldest first, in the time zone in which `date_joined` is exported
    pub months: Vec<Month>,
    /// Users without a month: the model has no `date_joined`, or theirs can't be read
    pub undated: u64,
}

/// One row of the query.
struct Group {
    /// Year and month as one number, 202611
    month: Option<i64>,
    /// Users, those with TV, those with movies, those with movies alone
    counts: [i64; 4],
}

impl FromRow for Group {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Group, ValueError> {
        let month = optional(row, 0, DB::id)?.map(count_of).transpose()?;
        let count = |index| count_of(required(row, index, DB::id)?);
        let counts = [count(1)?, count(2)?, count(3)?, count(4)?];
        Ok(Group { month, counts })
    }
}

impl UserTable {
    /// Active users by month, in one scan.
    pub(crate) fn users_by_month(
        &self,
        connection: &mut Connection,
    ) -> Result<UsersByMonth, ExportError> {
        self.require_field("is_tv_user")?;
        let users = &self.quoted_table;
        let [is_active, is_tv, is_movie] =
            ["is_active", "is_tv_user", "is_movie_user"].map(|column| self.is_true(column));
        // The first expression is computed for each user, the second one for each month.
        let (joined, month) = match (self.has("date_joined"), self.backend) {
            (false, _) => ("NULL", "NULL"),
            (true, Backend::Postgres) => (
                "date_trunc('month', CAST(date_joined AS timestamp))",
                "CASE WHEN isfinite(joined) \
                 THEN CAST(EXTRACT(YEAR FROM joined) * 100 + EXTRACT(MONTH FROM joined) AS bigint) END",
            ),
            (true, Backend::Mysql) => (
                "EXTRACT(YEAR_MONTH FROM date_joined)",
                "CAST(joined AS SIGNED)",
            ),
            (true, Backend::Sqlite) => (
                "substr(date_joined, 1, 7)",
                "CAST(substr(joined, 1, 4) AS INTEGER) * 100 + CAST(substr(joined, 6, 2) AS INTEGER)",
            ),
        };
        let sql = Sql::new(format!(
            "SELECT {month}, users, tv, movies, movies_only FROM (\
             SELECT {joined} AS joined, COUNT(*) AS users, COUNT(CASE WHEN {is_tv} THEN 1 END) AS tv, \
             COUNT(CASE WHEN {is_movie} THEN 1 END) AS movies, \
             COUNT(CASE WHEN {is_tv} THEN NULL WHEN {is_movie} THEN 1 END) AS movies_only \
             FROM {users} WHERE {is_active} GROUP BY 1) AS months"
        ));
        let groups: Vec<Group> = sql.load(connection).map_err(DbError::from)?;
        let stats_error = self.require_countable_movies().err();
        Ok(UsersByMonth {
            stats_error: stats_error.map(|error| error.to_string()),
            ..UsersByMonth::of(&groups)
        })
    }
}

impl UsersByMonth {
    fn of(groups: &[Group]) -> UsersByMonth {
        let sum = |index: usize| groups.iter().map(|group| group.counts[index]).sum();
        let stats = Stats {
            total_active_users: sum(0),
            tv_users: sum(1),
            movie_users: sum(2),
        };
        let mut months = BTreeMap::new();
        let mut undated = 0;
        for group in groups {
            // `COUNT` is never negative.
            let [users, tv, _, movie_only] = group.counts.map(i64::unsigned_abs);
            let is_month = |number: &i64| {
                (100..1_000_000).contains(number) && (1..=12).contains(&(number % 100))
            };
            let Some(number) = group.month.filter(is_month) else {
                undated += users;
                continue;
            };
            // A text of SQLite that Django did not write may give a month a second group.
            let month = months.entry(number).or_insert(Month {
                // Both fit, since the number has at most six digits.
                year: (number / 100) as i32,
                month: (number % 100) as u8,
                tv: 0,
                movie_only: 0,
                others: 0,
            });
            month.tv += tv;
            month.movie_only += movie_only;
            month.others += users.saturating_sub(tv + movie_only);
        }
        UsersByMonth {
            stats,
            stats_error: None,
            months: months.into_values().collect(),
            undated,
        }
    }
}
