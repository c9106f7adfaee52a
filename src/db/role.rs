//! Whether the database role may do far more than the service needs, for a warning: `deploy/` has the grants for a role
//! that may not.

#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::prelude::*;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::sql_types::{Nullable, Text};

use super::catalogue::UserTable;
use super::connection::Connection;

/// What a role is too powerful for, and the file that makes a better one.
pub(super) struct Excess {
    pub(super) power: String,
    pub(super) grants: &'static str,
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
#[derive(QueryableByName)]
struct Power {
    #[diesel(sql_type = Nullable<Text>)]
    power: Option<String>,
}

/// The power that the role has and should not have, if any. A question that fails is no reason to refuse anything.
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    expect(unused_variables, reason = "a file has no roles")
)]
pub(super) fn excess(connection: &mut Connection, table: &UserTable) -> Option<Excess> {
    let (asked, grants): (diesel::QueryResult<Option<String>>, _) = match connection {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(_) => (Ok(None), ""),
        #[cfg(feature = "postgres")]
        Connection::Postgres(conn) => (on_postgres(conn, table), "deploy/grants-postgres.sql"),
        #[cfg(feature = "mysql")]
        Connection::Mysql(conn) => (on_mysql(conn, table), "deploy/grants-mysql.sql"),
    };
    let power = asked.unwrap_or_else(|error| {
        log::debug!("can't tell what the database role may do: {error}");
        None
    })?;
    Some(Excess { power, grants })
}

/// Tells the operator.
pub(super) fn warn(excess: Option<Excess>) {
    if let Some(Excess { power, grants }) = excess {
        log::warn!(
            "the database role {power}, which the sidecar never needs: give it a role of its own with {grants}"
        );
    }
}

#[cfg(feature = "postgres")]
fn on_postgres(
    conn: &mut diesel::PgConnection,
    table: &UserTable,
) -> diesel::QueryResult<Option<String>> {
    let power: Power = diesel::sql_query(
        "SELECT CASE WHEN rolsuper THEN 'is a superuser' WHEN rolcreaterole THEN 'may create roles' \
         WHEN has_column_privilege(to_regclass(quote_ident($1))::oid, 'password', 'INSERT, UPDATE') \
         THEN 'may write passwords' END AS power FROM pg_catalog.pg_roles WHERE rolname = current_user",
    )
    .bind::<Text, _>(&table.name)
    .get_result(conn)?;
    Ok(power.power)
}

#[cfg(feature = "mysql")]
fn on_mysql(
    conn: &mut diesel::MysqlConnection,
    table: &UserTable,
) -> diesel::QueryResult<Option<String>> {
    // The lines may hold a password's hash: of no line more is kept than the privileges on everything.
    // Not `FOR CURRENT_USER`: MariaDB would leave out what the account may do by its default role.
    let grants: Vec<String> = diesel::dsl::sql::<Text>("SHOW GRANTS").load(conn)?;
    let on_everything = grants
        .iter()
        .filter_map(|grant| grant.split_once(" ON *.* TO "));
    for (privileges, _) in on_everything {
        let powers = [
            ("ALL PRIVILEGES", "may do everything"),
            ("SUPER", "is a superuser"),
            ("CREATE USER", "may create users"),
        ];
        if let Some((_, power)) = powers.iter().find(|(name, _)| privileges.contains(name)) {
            return Ok(Some((*power).to_owned()));
        }
    }
    // What the account may do to this column, by whichever of its grants.
    let power: Power = diesel::sql_query(
        "SELECT MAX(CASE WHEN privileges LIKE '%insert%' OR privileges LIKE '%update%' THEN 'may write passwords' END) \
         AS power FROM information_schema.columns \
         WHERE table_schema = DATABASE() AND table_name = ? AND column_name = 'password'",
    )
    .bind::<Text, _>(&table.name)
    .get_result(conn)?;
    Ok(power.power)
}
