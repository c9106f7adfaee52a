//! The queries of the two views: the exportable users, each row written as JSON as it arrives, and the statistics.
//!
//! Mirrors `export_users` and `export_stats` of the customer's `admin_views.py`, with the SQL that Django 6.1 makes of
//! them; the view's own `COUNT(*)`, whose value is only logged, is not repeated.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::Row;
use diesel::{QueryResult, RunQueryDsl};

use super::catalogue::UserTable;
use super::connection::{Connection, with_connection};
use super::fragments::{dynamic_query, optional, push_columns, required, row_of_every_backend};
#[cfg(feature = "mysql")]
use super::mysql_export;
use super::values::{Boolean, DjangoBackend, ValueError};
use super::{DbError, ExportError};
use crate::django::renderers::write_json_string;
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

/// The settings that shape dates. Only PostgreSQL stores instants, so only it shows them in `TIME_ZONE` without `USE_TZ`.
#[derive(Debug, Clone)]
pub struct DateShape {
    /// `USE_TZ`
    pub use_tz: bool,
    /// `TIME_ZONE`
    pub time_zone: String,
}

/// The columns of one exported user, in the order they are selected; `is_movie_user` follows where the model has it.
const EXPORTED: [&str; 6] = [
    "id",
    "username",
    "email",
    "first_name",
    "last_name",
    "is_active",
];

pub(super) struct ExportUsers<'a> {
    pub(super) table: &'a UserTable,
    /// The zone PostgreSQL converts to, without `USE_TZ`.
    pub(super) time_zone: Option<&'a str>,
}

/// How a backend writes the truth of a boolean column in a `WHERE` (`Lookup.as_sql` of `exact` with `True`).
fn push_is_true<'b, DB: Backend + 'static>(
    out: &mut AstPass<'_, 'b, DB>,
    column: &'b str,
) -> QueryResult<()> {
    out.push_identifier(column)?;
    if !is_postgres::<DB>() {
        out.push_sql(" = 1");
    }
    Ok(())
}

/// `SELECT` and the columns that [`JsonRow`] reads, `FROM` the user table.
pub(super) fn push_select_exported<'b, DB: Backend + 'static>(
    out: &mut AstPass<'_, 'b, DB>,
    table: &'b UserTable,
    time_zone: Option<&str>,
) -> QueryResult<()> {
    out.push_sql("SELECT ");
    push_columns(out, EXPORTED)?;
    out.push_sql(", ");
    out.push_identifier("date_joined")?;
    if let Some(zone) = time_zone.filter(|_| is_postgres::<DB>()) {
        // A zone's name comes from the configuration, which knows it for one of the tz database.
        out.push_sql(&format!(" AT TIME ZONE '{zone}'"));
    }
    if table.has("is_movie_user") {
        out.push_sql(", ");
        out.push_identifier("is_movie_user")?;
    }
    out.push_sql(" FROM ");
    out.push_identifier(&table.name)
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

fn is_postgres<DB: 'static>() -> bool {
    #[cfg(feature = "postgres")]
    return std::any::TypeId::of::<DB>() == std::any::TypeId::of::<diesel::pg::Pg>();
    #[cfg(not(feature = "postgres"))]
    return false;
}

impl<DB: Backend + 'static> QueryFragment<DB> for ExportUsers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        push_select_exported(&mut out, self.table, self.time_zone)?;
        push_where_exportable(&mut out)?;
        out.push_sql(" ORDER BY ");
        out.push_identifier("date_joined")?;
        out.push_sql(" ASC");
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
        push_select_exported(&mut out, self.table, None)?;
        push_where_exportable(&mut out)?;
        out.push_sql(" AND 1 = 0");
        Ok(())
    }
}

dynamic_query!(ExportUsers);
dynamic_query!(ProbeExport);
dynamic_query!(CountUsers);

impl UserTable {
    /// Writes every exportable user to `write`, one JSON object a call, oldest first.
    ///
    /// # Errors
    /// The database's, a value that can't be shown, or what `write` returns.
    pub fn export(
        &self,
        connection: &mut Connection,
        dates: &DateShape,
        mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ExportError> {
        self.require_tv_user()?;
        if let Some(missing) = self.missing_attribute(connection)? {
            let details = format!("'User' object has no attribute '{missing}'");
            return Err(ExportError::View(details));
        }
        let time_zone = (!dates.use_tz).then_some(dates.time_zone.as_str());
        let query = ExportUsers {
            table: self,
            time_zone,
        };
        match dates.use_tz {
            true => each::<true>(query, connection, &mut write),
            false => each::<false>(query, connection, &mut write),
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
            .all(|column| self.has(column))
        {
            return Ok(());
        }
        let query = ProbeExport { table: self };
        let nobody: Vec<JsonRow<true>> = with_connection!(connection, conn => query.load(conn))?;
        drop(nobody);
        Ok(())
    }

    /// The three counts, in one scan.
    ///
    /// # Errors
    /// The database's.
    pub fn stats(&self, connection: &mut Connection) -> Result<Stats, ExportError> {
        self.require_tv_user()?;
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

    /// The first column without which Django's loop over the users raises `AttributeError`. The view reads the caller's
    /// `username` in any case, the others only of users that it finds.
    fn missing_attribute(&self, connection: &mut Connection) -> Result<Option<&str>, ExportError> {
        let Some(missing) = EXPORTED.into_iter().find(|column| !self.has(column)) else {
            return Ok(None);
        };
        let raises = missing == "username" || self.stats(connection)?.tv_users > 0;
        Ok(raises.then_some(missing))
    }

    /// Django's `FieldError` for a model without `is_tv_user`.
    fn require_tv_user(&self) -> Result<(), ExportError> {
        if self.has("is_tv_user") {
            return Ok(());
        }
        Err(ExportError::View(format!(
            "Cannot resolve keyword 'is_tv_user' into field. Choices are: {}",
            self.field_names().join(", ")
        )))
    }
}

fn each<const AWARE: bool>(
    query: ExportUsers<'_>,
    connection: &mut Connection,
    write: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), ExportError> {
    let mut accept = |row: QueryResult<JsonRow<AWARE>>| -> Result<(), ExportError> {
        write(&row.map_err(ExportError::from)?.json).map_err(ExportError::Spool)
    };
    match connection {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(conn) => query
            .load_iter(conn)
            .map_err(DbError::from)?
            .try_for_each(&mut accept),
        // The default mode would load the whole result first.
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => query
            .load_iter::<_, diesel::pg::PgRowByRowLoadingMode>(conn)
            .map_err(DbError::from)?
            .try_for_each(&mut accept),
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => mysql_export::export::<AWARE>(query.table, conn, write),
    }
}

/// One exported user as compact JSON. `AWARE`: a naive date of the database is one in UTC (`USE_TZ`).
pub(super) struct JsonRow<const AWARE: bool> {
    pub(super) id: UserId,
    pub(super) json: Vec<u8>,
}

impl<const AWARE: bool> JsonRow<AWARE> {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Self, ValueError> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"id\":");
        let id = required(row, 0, DB::id)?;
        match &id {
            UserId::Integer(id) => {
                out.extend_from_slice(itoa::Buffer::new().format(*id).as_bytes());
            }
            UserId::Uuid(_) => write_json_string(&mut out, &id.to_string()),
        }
        for (index, name) in [
            (1, ",\"username\":"),
            (2, ",\"email\":"),
            (3, ",\"first_name\":"),
            (4, ",\"last_name\":"),
        ] {
            out.extend_from_slice(name.as_bytes());
            let written = optional(row, index, |value| {
                DB::text(value, |text| write_json_string(&mut out, text))
            })?;
            if written.is_none() {
                out.extend_from_slice(b"null");
            }
        }
        out.extend_from_slice(b",\"tv_service\":true,\"movie_service\":");
        match row.field_count() {
            8 => write_boolean(&mut out, optional(row, 7, DB::boolean)?),
            _ => out.extend_from_slice(b"false"),
        }
        out.extend_from_slice(b",\"is_active\":");
        write_boolean(&mut out, optional(row, 5, DB::boolean)?);
        out.extend_from_slice(b",\"date_joined\":\"");
        let Some(mut joined) = optional(row, 6, DB::datetime)? else {
            return Err(ValueError::Unreadable(
                "'NoneType' object has no attribute 'isoformat'".into(),
            ));
        };
        if AWARE && joined.offset_seconds.is_none() {
            joined.offset_seconds = Some(0);
        }
        joined.isoformat(&mut out);
        out.extend_from_slice(b"\"}");
        Ok(JsonRow { id, json: out })
    }
}

fn write_boolean(out: &mut Vec<u8>, value: Option<Boolean>) {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(Boolean::Bool(true)) => out.extend_from_slice(b"true"),
        Some(Boolean::Bool(false)) => out.extend_from_slice(b"false"),
        Some(Boolean::Number(number)) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes())
        }
    }
}

impl Stats {
    fn from_row<'a, DB>(row: &impl Row<'a, DB>) -> Result<Stats, ValueError>
    where
        DB: DjangoBackend,
    {
        let count = |index| match required(row, index, DB::id)? {
            UserId::Integer(count) => Ok(count),
            UserId::Uuid(_) => Err(ValueError::Unreadable("a count that is no number".into())),
        };
        Ok(Stats {
            total_active_users: count(0)?,
            tv_users: count(1)?,
            movie_users: count(2)?,
        })
    }
}

row_of_every_backend!(JsonRow<AWARE: bool>);
row_of_every_backend!(Stats);
