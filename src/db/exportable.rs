//! The queries of the two views: the exportable users, and the statistics.
//!
//! Mirrors `export_users` and `export_stats` of the customer's `admin_views.py`, with the SQL that Django 6.1 makes of
//! them; the view's own `COUNT(*)`, whose value is only logged, is not repeated. A database sorts many rows slowly, on disk,
//! before it hands over the first one, so they can also be had as it finds them, each with its place in the order.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::Row;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use diesel::{QueryResult, RunQueryDsl};

#[cfg(feature = "sqlite")]
use super::catalogue::KeyColumn;
use super::catalogue::UserTable;
use super::comparison::AnyText;
use super::connection::{Connection, with_connection};
use super::exported_row::ExportedRow;
use super::fragments::{Key, dynamic_query, is_postgres, required, row_of_every_backend};
#[cfg(feature = "mysql")]
use super::mysql_export;
use super::types::Instant;
use super::values::{DjangoBackend, ValueError, count_of};
use super::{DbError, ExportError};
use crate::django::sessions::UserId;

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

/// The setting that shapes dates.
#[derive(Debug, Clone)]
pub struct DateShape {
    /// `USE_TZ`
    pub use_tz: bool,
}

/// The columns of one exported user, in the order they are selected; `date_joined` follows, and `is_movie_user` where the
/// model has it. `is_active` is not among them: whoever is exported is active.
const EXPORTED: [&str; 5] = ["id", "username", "email", "first_name", "last_name"];

/// Which of the exportable users; by default all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Those who joined later than this
    pub joined_after: Option<Instant>,
    /// Some of them, by their keys
    pub page: Option<KeyPage>,
}

/// A page of users by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPage {
    /// Those with keys behind this one
    pub after: Option<UserId>,
    /// No more than this
    pub limit: u32,
}

/// In which order the exportable users are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the database finds them: whoever reads them sorts them
    AsFound,
    /// `ORDER BY date_joined`, as Django asks for them
    ByDatabase,
    /// A page of them by their keys
    ByKey,
}

#[derive(Clone)]
pub(super) struct ExportUsers<'a> {
    pub(super) table: &'a UserTable,
    pub(super) use_tz: bool,
    pub(super) order: Order,
    pub(super) joined_after: Option<Instant>,
    pub(super) after: Option<Key>,
    /// With [`Order::ByKey`]
    pub(super) limit: u32,
}

/// How a backend writes the truth of a boolean column in a `WHERE` (`Lookup.as_sql` of `exact` with `True`).
pub(super) fn push_is_true<'b, DB: Backend + 'static>(
    out: &mut AstPass<'_, 'b, DB>,
    column: &'b str,
) -> QueryResult<()> {
    out.push_identifier(column)?;
    if !is_postgres::<DB>() {
        out.push_sql(" = 1");
    }
    Ok(())
}

/// `SELECT` and the columns that [`ExportedRow`] reads, `FROM` the user table.
pub(super) fn push_select_exported<'b, DB: Backend + 'static>(
    out: &mut AstPass<'_, 'b, DB>,
    table: &'b UserTable,
    use_tz: bool,
) -> QueryResult<()> {
    out.push_sql("SELECT ");
    for column in EXPORTED {
        match table.is_none(column) {
            true => out.push_sql("CAST(NULL AS CHAR)"),
            false => out.push_identifier(column)?,
        }
        out.push_sql(", ");
    }
    if use_tz || !is_postgres::<DB>() {
        out.push_identifier("date_joined")?;
    } else {
        push_naive_date_joined(out)?;
        // Under the column's own name it would be what is ordered by.
        out.push_sql(" AS naive_date_joined");
    }
    if table.has("is_movie_user") {
        out.push_sql(", ");
        out.push_identifier("is_movie_user")?;
    }
    out.push_sql(" FROM ");
    out.push_identifier(&table.name)
}

/// `date_joined` as PostgreSQL shows it in the session's time zone, and without one where the column has none.
pub(super) fn push_naive_date_joined<DB: Backend>(
    out: &mut AstPass<'_, '_, DB>,
) -> QueryResult<()> {
    out.push_sql("CAST(");
    out.push_identifier("date_joined")?;
    out.push_sql(" AS timestamp)");
    Ok(())
}

/// `filter(is_active=True, is_tv_user=True)`
pub(super) fn push_where_exportable<DB: Backend + 'static>(
    out: &mut AstPass<'_, '_, DB>,
) -> QueryResult<()> {
    out.push_sql(" WHERE ");
    push_is_true(out, "is_active")?;
    out.push_sql(" AND ");
    push_is_true(out, "is_tv_user")
}

impl<DB> QueryFragment<DB> for ExportUsers<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<AnyText> + 'static,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
    Instant: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        push_select_exported(&mut out, self.table, self.use_tz)?;
        push_where_exportable(&mut out)?;
        if let Some(joined_after) = &self.joined_after {
            out.push_sql(" AND ");
            out.push_identifier("date_joined")?;
            out.push_sql(" > ");
            joined_after.walk_ast(out.reborrow())?;
        }
        if let Some(after) = &self.after {
            out.push_sql(" AND ");
            out.push_identifier("id")?;
            out.push_sql(" > ");
            after.push(&mut out)?;
        }
        match self.order {
            Order::AsFound => {}
            Order::ByDatabase => {
                out.push_sql(" ORDER BY ");
                out.push_identifier("date_joined")?;
                out.push_sql(" ASC");
            }
            Order::ByKey => {
                out.push_sql(" ORDER BY ");
                out.push_identifier("id")?;
                out.push_sql(&format!(" ASC LIMIT {}", self.limit));
            }
        }
        Ok(())
    }
}

pub(super) struct CountUsers<'a> {
    pub(super) table: &'a UserTable,
}

impl<DB: Backend + 'static> QueryFragment<DB> for CountUsers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT COUNT(*), COUNT(CASE WHEN ");
        push_is_true(&mut out, "is_tv_user")?;
        out.push_sql(" THEN 1 END), ");
        if self.table.has("is_movie_user") {
            out.push_sql("COUNT(CASE WHEN ");
            push_is_true(&mut out, "is_movie_user")?;
            out.push_sql(" THEN 1 END)");
        } else {
            out.push_sql("0");
        }
        out.push_sql(" FROM ");
        out.push_identifier(&self.table.name)?;
        out.push_sql(" WHERE ");
        push_is_true(&mut out, "is_active")
    }
}

/// The exported columns of no user, to see that the role may read them.
struct ProbeExport<'a> {
    table: &'a UserTable,
}

impl<DB: Backend + 'static> QueryFragment<DB> for ProbeExport<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        push_select_exported(&mut out, self.table, true)?;
        push_where_exportable(&mut out)?;
        out.push_sql(" AND 1 = 0");
        Ok(())
    }
}

dynamic_query!(ExportUsers);
dynamic_query!(ProbeExport);
dynamic_query!(CountUsers);

impl UserTable {
    /// Hands every selected exportable user to `write`, in the form that [`write_json`](super::write_json) reads, with the
    /// user's place: by their places the users stand oldest first. `false`: the places can't be told, so that only
    /// [`Order::ByDatabase`] will do, and what was written is of no use.
    ///
    /// # Errors
    /// The database's, a value that can't be shown, or what `write` returns.
    pub fn export(
        &self,
        connection: &mut Connection,
        dates: &DateShape,
        selection: &Selection,
        order: Order,
        mut write: impl FnMut(i64, &[u8]) -> std::io::Result<()>,
    ) -> Result<bool, ExportError> {
        self.require_attributes(connection)?;
        if order == Order::AsFound && !self.has_places(connection, dates) {
            return Ok(false);
        }
        let query = ExportUsers {
            table: self,
            use_tz: dates.use_tz,
            order,
            joined_after: selection.joined_after,
            after: selection
                .page
                .and_then(|page| page.after)
                .map(|id| Key::new(self, &id)),
            limit: selection.page.map_or(0, |page| page.limit),
        };
        match dates.use_tz {
            true => each::<true>(query, connection, &mut write),
            false => each::<false>(query, connection, &mut write),
        }
    }

    /// Whether a row as it is selected tells where it belongs.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "only PostgreSQL converts dates")
    )]
    fn has_places(&self, connection: &Connection, dates: &DateShape) -> bool {
        match connection {
            // SQLite gives equal dates in the order of the rows' numbers; Django's integer key is that number.
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => self.key == KeyColumn::Integer,
            // A date in a time zone is ambiguous when the clock is set back.
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => dates.use_tz,
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => true,
        }
    }

    /// Asks for nobody's exported columns. A model on which the views fail by themselves, as Django's do, passes.
    ///
    /// # Errors
    /// The database's refusal.
    pub(super) fn probe_export(&self, connection: &mut Connection) -> Result<(), DbError> {
        if !EXPORTED
            .iter()
            .chain(&["date_joined", "is_tv_user"])
            .all(|column| self.has(column) || self.is_none(column))
        {
            return Ok(());
        }
        let query = ProbeExport { table: self };
        let nobody: Vec<ExportedRow<true>> =
            with_connection!(connection, conn => query.load(conn))?;
        drop(nobody);
        Ok(())
    }

    /// The three counts, in one scan.
    ///
    /// # Errors
    /// The database's.
    pub fn stats(&self, connection: &mut Connection) -> Result<Stats, ExportError> {
        self.require_field("is_tv_user")?;
        let query = CountUsers { table: self };
        let stats: Vec<Stats> =
            with_connection!(connection, conn => query.load(conn)).map_err(DbError::from)?;
        match stats.as_slice() {
            [stats] => Ok(*stats),
            _ => Err(ExportError::Database(DbError::Schema(
                "a count of users gave no row".into(),
            ))),
        }
    }

    /// Fails as Django's view does on a model that lacks a field. `filter` and `order_by` raise `FieldError`; the loop over the
    /// users raises `AttributeError`, but only if there are users. The caller's `username` is read in any case.
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
        if missing == "username" || self.stats(connection)?.tv_users > 0 {
            let details = format!("'User' object has no attribute '{missing}'");
            return Err(ExportError::View(details));
        }
        Ok(())
    }

    /// Django's `FieldError` for a query over a field that the model lacks.
    pub(super) fn require_field(&self, field: &str) -> Result<(), ExportError> {
        if self.has(field) {
            return Ok(());
        }
        Err(ExportError::View(format!(
            "Cannot resolve keyword '{field}' into field. Choices are: {}",
            self.field_names().join(", ")
        )))
    }
}

fn each<const AWARE: bool>(
    query: ExportUsers<'_>,
    connection: &mut Connection,
    write: &mut impl FnMut(i64, &[u8]) -> std::io::Result<()>,
) -> Result<bool, ExportError> {
    let mut writer = RowWriter {
        order: query.order,
        written: 0,
        write,
    };
    match connection {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(conn) => {
            writer.write_all::<AWARE, _>(query.load_iter(conn).map_err(DbError::from)?)
        }
        // The default mode would load the whole result first.
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => {
            let rows = query.load_iter::<_, diesel::pg::PgRowByRowLoadingMode>(conn);
            writer.write_all::<AWARE, _>(rows.map_err(DbError::from)?)
        }
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => mysql_export::export::<AWARE, _>(query, conn, &mut writer),
    }
}

/// Hands rows on, each with its place.
pub(super) struct RowWriter<'w, W> {
    order: Order,
    written: i64,
    write: &'w mut W,
}

impl<W: FnMut(i64, &[u8]) -> std::io::Result<()>> RowWriter<'_, W> {
    /// Every row, or `false` at the first one whose place can't be told.
    pub(super) fn write_all<const AWARE: bool, E>(
        &mut self,
        mut rows: impl Iterator<Item = Result<ExportedRow<AWARE>, E>>,
    ) -> Result<bool, ExportError>
    where
        ExportError: From<E>,
    {
        while let Some(row) = rows.next().transpose()? {
            if !self.write(&row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn write<const AWARE: bool>(
        &mut self,
        row: &ExportedRow<AWARE>,
    ) -> Result<bool, ExportError> {
        let place = match self.order {
            Order::AsFound => row.place,
            Order::ByDatabase | Order::ByKey => Some(self.written),
        };
        self.written += 1;
        let Some(place) = place else {
            return Ok(false);
        };
        (self.write)(place, &row.bytes).map_err(ExportError::Spool)?;
        Ok(true)
    }
}

impl Stats {
    fn from_row<'a, DB>(row: &impl Row<'a, DB>) -> Result<Stats, ValueError>
    where
        DB: DjangoBackend,
    {
        let count = |index| count_of(required(row, index, DB::id)?);
        Ok(Stats {
            total_active_users: count(0)?,
            tv_users: count(1)?,
            movie_users: count(2)?,
        })
    }
}

row_of_every_backend!(Stats);
