//! The queries of the page: users by the month in which they joined, and a few of the exportable users.
//!
//! Both read the whole user table at the worst, in one scan: Django has no index on `date_joined`. What is searched for is
//! found as Django's `icontains` finds it on each database.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::Row;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use diesel::{QueryResult, RunQueryDsl};

use super::catalogue::UserTable;
use super::comparison::AnyText;
use super::connection::{Connection, with_connection};
use super::exportable::{
    DateShape, Stats, push_is_true, push_naive_date_joined, push_select_exported,
    push_where_exportable,
};
use super::exported_row::ExportedRow;
use super::fragments::{
    Dialect, Key, dialect, dynamic_query, optional, required, row_of_every_backend,
};
use super::search::{Searched, pattern, push_contains};
use super::values::{DjangoBackend, ValueError, count_of};
use super::{DbError, ExportError};
use crate::django::sessions::{KeyType, UserId};

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

/// Active users by month, and all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// What `export_stats` says of the same rows
    pub stats: Stats,
    /// The months that anybody joined in, the first one first: as `date_joined` is exported
    pub months: Vec<Month>,
    /// Users of no month: the model has no `date_joined`, or theirs can't be told
    pub undated: u64,
}

/// Which users stand on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first ones
    First,
    /// Those behind this user
    After(UserId),
    /// Those before this user
    Before(UserId),
}

/// What is looked for among the exportable users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    search: Option<String>,
    place: Place,
    limit: usize,
}

/// The longest text that is searched for, in characters: no username or e-mail address is longer.
const LONGEST_SEARCH: usize = 254;

impl Lookup {
    /// At most `limit` users whose name or e-mail address contains `search`.
    pub fn new(search: Option<&str>, place: Place, limit: usize) -> Lookup {
        Lookup {
            search: search.map(str::to_owned),
            place,
            limit,
        }
    }

    /// Whether nobody can be found: no text of these databases holds a NUL, none that is searched in is longer, and a key
    /// of another type is nobody's.
    fn is_vain(&self, key_type: KeyType) -> bool {
        let is_impossible =
            |text: &String| text.contains('\0') || text.chars().count() > LONGEST_SEARCH;
        let is_foreign = match self.place {
            Place::First => false,
            Place::After(id) | Place::Before(id) => id.key_type() != key_type,
        };
        is_foreign || self.search.as_ref().is_some_and(is_impossible)
    }
}

/// Some of the exportable users, by `date_joined` and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Each in the form that [`values`](super::values) reads
    pub rows: Vec<Vec<u8>>,
    /// Whether there are users before them
    pub has_previous: bool,
    /// Whether there are users behind them
    pub has_next: bool,
}

impl UserTable {
    /// Active users by month, in one scan.
    ///
    /// # Errors
    /// The database's, or the view's own for a model without `is_tv_user`.
    pub(super) fn joined(&self, connection: &mut Connection) -> Result<Joined, ExportError> {
        self.require_field("is_tv_user")?;
        let query = CountMonths { table: self };
        let groups: Vec<Group> =
            with_connection!(connection, conn => query.load(conn)).map_err(DbError::from)?;
        Ok(Joined::of(&groups))
    }

    /// Some of the exportable users. None behind or before a user who is not there.
    ///
    /// # Errors
    /// The database's, or a value that can't be shown.
    pub(super) fn preview(
        &self,
        connection: &mut Connection,
        dates: &DateShape,
        lookup: &Lookup,
    ) -> Result<Preview, ExportError> {
        self.require_attributes(connection)?;
        if lookup.is_vain(self.key_type()) {
            return Ok(Preview::default());
        }
        let searched = match &lookup.search {
            Some(text) => self.searched(connection, text)?,
            None => Vec::new(),
        };
        if lookup.search.is_some() && searched.is_empty() {
            return Ok(Preview::default());
        }
        let query = FindExportable {
            table: self,
            searched,
            use_tz: dates.use_tz,
            pattern: lookup.search.as_deref().map(pattern),
            place: match lookup.place {
                Place::First => None,
                Place::After(id) | Place::Before(id) => Some(Key::new(self, &id)),
            },
            is_backwards: matches!(lookup.place, Place::Before(_)),
            most: lookup.limit + 1,
        };
        let mut rows = match dates.use_tz {
            true => rows::<true>(query, connection)?,
            false => rows::<false>(query, connection)?,
        };
        let has_more = rows.len() > lookup.limit;
        rows.truncate(lookup.limit);
        let (has_previous, has_next) = match lookup.place {
            Place::First => (false, has_more),
            Place::After(_) => (true, has_more),
            Place::Before(_) => {
                rows.reverse();
                (has_more, true)
            }
        };
        Ok(Preview {
            rows,
            has_previous,
            has_next,
        })
    }
}

fn rows<const AWARE: bool>(
    query: FindExportable<'_>,
    connection: &mut Connection,
) -> Result<Vec<Vec<u8>>, ExportError> {
    let rows: QueryResult<Vec<ExportedRow<AWARE>>> =
        with_connection!(connection, conn => query.load(conn));
    let rows = rows.map_err(ExportError::from)?;
    Ok(rows.into_iter().map(|row| row.bytes).collect())
}

/// Active users by month: year and month as one number, then counts.
struct CountMonths<'a> {
    table: &'a UserTable,
}

impl<DB: Backend + 'static> QueryFragment<DB> for CountMonths<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let has_dates = self.table.has("date_joined");
        out.push_sql("SELECT ");
        // Of each month once, not of each user.
        out.push_sql(match (has_dates, dialect::<DB>()) {
            (false, _) => "NULL",
            (true, Dialect::Postgres) => {
                "CASE WHEN isfinite(joined) \
                 THEN CAST(EXTRACT(YEAR FROM joined) * 100 + EXTRACT(MONTH FROM joined) AS bigint) END"
            }
            (true, Dialect::Mysql) => "CAST(joined AS SIGNED)",
            (true, Dialect::Sqlite) => {
                "CAST(substr(joined, 1, 4) AS INTEGER) * 100 + CAST(substr(joined, 6, 2) AS INTEGER)"
            }
        });
        out.push_sql(", users, tv, movies, movies_only FROM (SELECT ");
        if has_dates {
            let (before, behind) = match dialect::<DB>() {
                Dialect::Postgres => ("date_trunc('month', ", ")"),
                Dialect::Mysql => ("EXTRACT(YEAR_MONTH FROM ", ")"),
                Dialect::Sqlite => ("substr(", ", 1, 7)"),
            };
            out.push_sql(before);
            match dialect::<DB>() {
                Dialect::Postgres => push_naive_date_joined(&mut out)?,
                Dialect::Mysql | Dialect::Sqlite => out.push_identifier("date_joined")?,
            }
            out.push_sql(behind);
        } else {
            out.push_sql("NULL");
        }
        out.push_sql(" AS joined, COUNT(*) AS users, COUNT(CASE WHEN ");
        push_is_true(&mut out, "is_tv_user")?;
        out.push_sql(" THEN 1 END) AS tv, ");
        if self.table.has("is_movie_user") {
            out.push_sql("COUNT(CASE WHEN ");
            push_is_true(&mut out, "is_movie_user")?;
            out.push_sql(" THEN 1 END) AS movies, COUNT(CASE WHEN ");
            push_is_true(&mut out, "is_tv_user")?;
            out.push_sql(" THEN NULL WHEN ");
            push_is_true(&mut out, "is_movie_user")?;
            out.push_sql(" THEN 1 END) AS movies_only");
        } else {
            out.push_sql("0 AS movies, 0 AS movies_only");
        }
        out.push_sql(" FROM ");
        out.push_identifier(&self.table.name)?;
        out.push_sql(" WHERE ");
        push_is_true(&mut out, "is_active")?;
        out.push_sql(" GROUP BY 1) AS months");
        Ok(())
    }
}

/// One row of [`CountMonths`].
struct Group {
    /// Year and month as one number, 202611
    month: Option<i64>,
    /// Users, those with TV, those with movies, those with movies alone
    counts: [i64; 4],
}

impl Group {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Group, ValueError> {
        let mut counts = [0; 4];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = count_of(required(row, index + 1, DB::id)?)?;
        }
        let month = optional(row, 0, DB::id)?.map(count_of).transpose()?;
        Ok(Group { month, counts })
    }
}

row_of_every_backend!(Group);

impl Joined {
    fn of(groups: &[Group]) -> Joined {
        let sum = |index: usize| groups.iter().map(|group| group.counts[index]).sum();
        let mut joined = Joined {
            stats: Stats {
                total_active_users: sum(0),
                tv_users: sum(1),
                movie_users: sum(2),
            },
            months: Vec::new(),
            undated: 0,
        };
        for group in groups {
            // Counts of a database are not negative.
            let [users, tv, _, movie_only] = group.counts.map(i64::unsigned_abs);
            let month = group.month.filter(|month| {
                (100..1_000_000).contains(month) && (1..=12).contains(&(month % 100))
            });
            match month {
                None => joined.undated += users,
                Some(month) => joined.months.push(Month {
                    // Both fit: six digits at the most.
                    year: (month / 100) as i32,
                    month: (month % 100) as u8,
                    tv,
                    movie_only,
                    others: users.saturating_sub(tv + movie_only),
                }),
            }
        }
        joined.months.sort_by_key(|month| (month.year, month.month));
        // Texts of SQLite that Django did not write may name one month in two ways.
        joined.months.dedup_by(|next, month| {
            let is_same = (next.year, next.month) == (month.year, month.month);
            if is_same {
                month.tv += next.tv;
                month.movie_only += next.movie_only;
                month.others += next.others;
            }
            is_same
        });
        joined
    }
}

/// The exportable users that a page shows, from one user on, either way.
struct FindExportable<'a> {
    table: &'a UserTable,
    searched: Vec<Searched>,
    use_tz: bool,
    pattern: Option<String>,
    place: Option<Key>,
    is_backwards: bool,
    most: usize,
}

impl<DB> QueryFragment<DB> for FindExportable<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText> + 'static,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        push_select_exported(&mut out, self.table, self.use_tz)?;
        push_where_exportable(&mut out)?;
        if let Some(pattern) = &self.pattern {
            for (index, column) in self.searched.iter().enumerate() {
                out.push_sql(if index == 0 { " AND (" } else { " OR " });
                push_contains(&mut out, column, pattern)?;
            }
            out.push_sql(")");
        }
        let (compared, order) = match self.is_backwards {
            false => (" > ", " ASC"),
            true => (" < ", " DESC"),
        };
        if let Some(place) = &self.place {
            out.push_sql(" AND (");
            push_place(&mut out)?;
            out.push_sql(")");
            out.push_sql(compared);
            out.push_sql("(SELECT ");
            push_place(&mut out)?;
            out.push_sql(" FROM ");
            out.push_identifier(&self.table.name)?;
            out.push_sql(" WHERE ");
            out.push_identifier("id")?;
            out.push_sql(" = ");
            place.push(&mut out)?;
            out.push_sql(")");
        }
        out.push_sql(" ORDER BY ");
        out.push_identifier("date_joined")?;
        out.push_sql(order);
        out.push_sql(", ");
        out.push_identifier("id")?;
        out.push_sql(order);
        out.push_sql(&format!(" LIMIT {}", self.most));
        Ok(())
    }
}

/// What the users are ordered by.
fn push_place<DB: Backend>(out: &mut AstPass<'_, '_, DB>) -> QueryResult<()> {
    out.push_identifier("date_joined")?;
    out.push_sql(", ");
    out.push_identifier("id")
}

dynamic_query!(CountMonths);
dynamic_query!(FindExportable);
