//! Facts about the server and about the role.

use std::time::{SystemTime, UNIX_EPOCH};

use super::inspector::Inspector;
use crate::config::Backend;
use crate::db::error::DbError;
use crate::db::sql::Sql;

/// What a server says of itself.
pub struct Server {
    /// Name and version
    pub version: String,
    /// The role as the server names it; empty on SQLite
    pub role: String,
    /// Whether the server is read-only, as a standby is
    pub is_standby: bool,
    /// Whether the server has taken the timeouts that were sent when connecting
    pub has_limits: bool,
    /// The seconds by which its clock is ahead of ours
    pub clock_ahead: f64,
    /// SQLite's journal mode; empty elsewhere
    pub journal_mode: String,
}

impl Inspector {
    /// Reads the server's facts.
    pub fn server(&mut self) -> Result<Server, DbError> {
        let sql = match self.backend() {
            Backend::Sqlite => {
                "SELECT 'SQLite ' || sqlite_version(), '', '0', '', '', journal_mode FROM pragma_journal_mode"
            }
            Backend::Postgres => {
                "SELECT split_part(version(), ' on ', 1), current_user::text, pg_is_in_recovery()::text, \
                 current_setting('default_transaction_read_only'), \
                 extract(epoch FROM clock_timestamp())::text, ''"
            }
            Backend::Mysql => {
                "SELECT version(), CURRENT_USER(), CAST(@@global.read_only AS CHAR), '', \
                 CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1000000 AS CHAR), ''"
            }
        };
        let before = unix_seconds();
        let row = self.row(&Sql::new(sql))?;
        let ours = (before + unix_seconds()) / 2.0;
        Ok(Server {
            version: row.text(0).to_owned(),
            role: row.text(1).to_owned(),
            is_standby: row.is_true(2),
            has_limits: self.backend() != Backend::Postgres || row.text(3) == "on",
            clock_ahead: row.number(4).map_or(0.0, |theirs: f64| theirs - ours),
            journal_mode: row.text(5).to_owned(),
        })
    }

    /// The limits to the number of connections: what each belongs to, and the number.
    pub fn limits(&mut self) -> Result<Vec<(&'static str, i64)>, DbError> {
        let (sql, unlimited) = match self.backend() {
            Backend::Sqlite => return Ok(Vec::new()),
            Backend::Postgres => (
                "SELECT rolconnlimit::text, (SELECT datconnlimit::text FROM pg_database WHERE datname = \
                 current_database()), (current_setting('max_connections')::int - \
                 current_setting('superuser_reserved_connections')::int)::text FROM pg_roles WHERE rolname = \
                 current_user",
                -1,
            ),
            Backend::Mysql => (
                "SELECT CAST(@@max_user_connections AS CHAR), '', CAST(@@max_connections AS CHAR)",
                0,
            ),
        };
        let row = self.row(&Sql::new(sql))?;
        let holders = ["the role", "the database", "the server"].into_iter();
        let limits = holders
            .enumerate()
            .filter_map(|(index, of)| Some((of, row.number(index)?)));
        Ok(limits.filter(|(_, most)| *most != unlimited).collect())
    }

    /// The position in PostgreSQL's write-ahead log; on a standby, the position up to which it was replayed.
    pub fn position(&mut self) -> Result<Option<i64>, DbError> {
        if self.backend() != Backend::Postgres {
            return Ok(None);
        }
        let row = self.row(&Sql::new(
            "SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
             ELSE pg_current_wal_lsn() END, '0/0')::text",
        ))?;
        Ok(row.number(0))
    }

    /// The age in seconds of the latest transaction that a standby has replayed.
    pub fn age_of_replay(&mut self) -> Result<Option<f64>, DbError> {
        let row = self.row(&Sql::new(
            "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::text",
        ))?;
        Ok(row.number(0))
    }
}

fn unix_seconds() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
