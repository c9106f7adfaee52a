//! Rows of any database, read by the positions of their columns.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSqlRow};
use diesel::row::{Field, Row};
use diesel::sql_types::Untyped;

use super::value::{Boolean, DjangoBackend, ValueError};

/// A type that is read from a row.
pub(crate) trait FromRow: Sized + 'static {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Self, ValueError>;
}

/// The text in the first column.
impl FromRow for Option<String> {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Self, ValueError> {
        text(row, 0)
    }
}

/// Lets Diesel read a [`FromRow`]. It is implemented for each database, since an implementation for all of them would
/// overlap with Diesel's own for `QueryableByName`.
pub(crate) struct ReadRow<T>(pub(crate) T);

macro_rules! read_rows_of {
    ($backend:ty) => {
        impl<T: FromRow> FromSqlRow<Untyped, $backend> for ReadRow<T> {
            fn build_from_row<'a>(row: &impl Row<'a, $backend>) -> deserialize::Result<Self> {
                Ok(ReadRow(T::from_row(row)?))
            }
        }
    };
}
#[cfg(feature = "mysql")]
read_rows_of!(diesel::mysql::Mysql);
#[cfg(feature = "postgres")]
read_rows_of!(diesel::pg::Pg);
#[cfg(feature = "sqlite")]
read_rows_of!(diesel::sqlite::Sqlite);

/// The column at `index`, as `read` reads it; `None` for NULL and for an index behind the last column.
pub(crate) fn optional<'a, DB: Backend, T>(
    row: &impl Row<'a, DB>,
    index: usize,
    read: impl FnOnce(DB::RawValue<'_>) -> Result<T, ValueError>,
) -> Result<Option<T>, ValueError> {
    match row.get(index) {
        Some(field) => field.value().map(read).transpose(),
        None => Ok(None),
    }
}

/// As [`optional`], but NULL is an error.
pub(crate) fn required<'a, DB: Backend, T>(
    row: &impl Row<'a, DB>,
    index: usize,
    read: impl FnOnce(DB::RawValue<'_>) -> Result<T, ValueError>,
) -> Result<T, ValueError> {
    optional(row, index, read)?
        .ok_or_else(|| ValueError::Unreadable("a NULL where there can be none".into()))
}

/// The text in the column at `index`; `None` for NULL.
pub(crate) fn text<'a, DB: DjangoBackend>(
    row: &impl Row<'a, DB>,
    index: usize,
) -> Result<Option<String>, ValueError> {
    optional(row, index, |value| DB::text(value, str::to_owned))
}

/// Whether Python takes the boolean column at `index` for true.
pub(crate) fn is_true<'a, DB: DjangoBackend>(
    row: &impl Row<'a, DB>,
    index: usize,
) -> Result<bool, ValueError> {
    Ok(match optional(row, index, DB::boolean)? {
        None => false,
        Some(Boolean::Bool(value)) => value,
        Some(Boolean::Number(number)) => number != 0,
    })
}
