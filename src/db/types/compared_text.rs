//! A text that is compared with a column by the column's own type and collation, as Django's untyped parameters are.

use diesel::backend::Backend;
use diesel::expression::AsExpression;
use diesel::query_builder::QueryId;
use diesel::serialize::{Output, Result as Serialized, ToSql};
use diesel::sql_types::{SqlType, Text};

/// The SQL type of a [`ComparedText`]. On PostgreSQL its type number is 0, "not specified": a `citext` column would be
/// compared as `text` with a parameter of the type `text`.
#[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
#[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 0, array_oid = 0)))]
#[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Text")))]
#[cfg_attr(feature = "mysql", diesel(mysql_type(name = "String")))]
pub(crate) struct AnyText;

/// A text that takes the type of the column it is compared with.
#[derive(Debug, Clone, AsExpression)]
#[diesel(sql_type = AnyText)]
pub(crate) struct ComparedText(pub(crate) String);

impl<DB> ToSql<AnyText, DB> for ComparedText
where
    DB: Backend,
    String: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> Serialized {
        // On PostgreSQL, the binary form of every text type is the text itself.
        self.0.to_sql(out)
    }
}
