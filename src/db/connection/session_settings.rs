//! The settings of a database session that an answer depends on. They override the defaults of the server, the database and
//! the role. No other file makes them.
//!
//! Mirrors what Django 6.1 sets (`init_connection_state` and `get_connection_params` of `django.db.backends.postgresql.base`
//! and `django.db.backends.mysql.base`): PostgreSQL's time zone, MySQL's autocommit and isolation level. Where Django leaves
//! a setting to the server and the setting changes Django's answers, the server's value stays: `search_path`, MySQL's time
//! zone. Diesel itself sets the character set, PostgreSQL's time zone to UTC, and MySQL's to `+00:00`.
//!
//! On SQLite each job sets how long it waits for a lock, and whether it may write.

#[cfg(feature = "mysql")]
use diesel::RunQueryDsl;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use diesel::connection::SimpleConnection;
#[cfg(feature = "mysql")]
use diesel::sql_types::{Nullable, Text};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::job_kind::{JobKind, STATEMENT_TIMEOUT, WHOLE_TABLE_TIMEOUT};
use crate::django::settings::Settings;

/// SQLite's substitute for read-only transactions.
#[cfg(feature = "sqlite")]
pub(super) const READING: &str = "PRAGMA query_only = ON";
#[cfg(feature = "sqlite")]
pub(super) const WRITING: &str = "PRAGMA query_only = OFF";

/// PostgreSQL reads a whole table with one process, however many cores there are, and returns rows in the order in which
/// they are stored, so that the digest of an export stays the same.
#[cfg(feature = "postgres")]
const AS_A_GUEST: &str =
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL synchronize_seqscans = off";

/// The modes of every transaction on PostgreSQL. A deferrable one would wait for a snapshot.
#[cfg(feature = "postgres")]
const MODES: &str = "ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE";

/// The settings that come from the configuration.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Whether settings and prepared statements may stay on a session from one transaction to the next
    pub(crate) prepares: bool,
    /// PostgreSQL's `TimeZone`, an IANA name
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "only PostgreSQL needs it")
    )]
    pub(crate) time_zone: String,
}

impl SessionSettings {
    /// `prepares` is false behind a pooler that hands a connection to other clients after each transaction. The time zone is
    /// that of `BaseDatabaseWrapper.timezone_name` (Django 6.1): UTC with `USE_TZ`, `TIME_ZONE` without.
    pub fn new(prepares: bool, settings: &Settings) -> SessionSettings {
        let time_zone = match settings.use_tz {
            true => "UTC",
            false => settings.time_zone.iana_name().unwrap_or("UTC"),
        };
        SessionSettings {
            prepares,
            time_zone: time_zone.to_owned(),
        }
    }
}

#[cfg(feature = "postgres")]
impl SessionSettings {
    /// Names and values of the settings, made once for a session or else in each transaction.
    fn postgres(&self) -> [(&'static str, String); 7] {
        let limit = STATEMENT_TIMEOUT.as_millis().to_string();
        [
            ("statement_timeout", limit.clone()),
            ("lock_timeout", limit),
            ("TimeZone", self.time_zone.clone()),
            ("DateStyle", "ISO".to_owned()),
            ("IntervalStyle", "postgres".to_owned()),
            ("client_encoding", "UTF8".to_owned()),
            ("standard_conforming_strings", "on".to_owned()),
        ]
    }

    /// The value of libpq's `options` (percent-encoded) for a session. The defaults of transactions are those that
    /// [`SessionSettings::begin_postgres`] sets, for statements outside of one.
    pub(super) fn postgres_options(&self, is_read_only: bool) -> String {
        let defaults = [
            ("default_transaction_isolation", r"read\ committed"),
            ("default_transaction_deferrable", "off"),
            ("default_transaction_read_only", "on"),
        ];
        let defaults = defaults[..if is_read_only { 3 } else { 2 }].iter();
        let defaults = defaults.map(|(name, value)| format!("-c {name}={value}"));
        let others = self.postgres();
        let others = others
            .iter()
            .map(|(name, value)| format!("-c {name}={value}"));
        let options: Vec<String> = defaults.chain(others).collect();
        percent_encoding::utf8_percent_encode(
            &options.join(" "),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string()
    }

    /// Restores the settings that Diesel has overwritten, and makes those that libpq must not know while it chooses a host.
    pub(super) fn after_connecting_to_postgres(
        &self,
        conn: &mut diesel::PgConnection,
        is_read_only: bool,
    ) -> diesel::QueryResult<()> {
        let mut settings = String::new();
        if self.time_zone != "UTC" {
            settings.push_str(&format!("SET TimeZone = '{}';", self.time_zone));
        }
        if !is_read_only {
            settings.push_str("SET default_transaction_read_only = on");
        }
        match settings.is_empty() {
            true => Ok(()),
            false => conn.batch_execute(&settings),
        }
    }

    /// The statements that begin the transaction of a job; `None` for a job that needs no transaction.
    pub(super) fn begin_postgres(&self, kind: JobKind) -> Option<String> {
        if kind == JobKind::Short && self.prepares {
            return None;
        }
        let access = match kind {
            JobKind::Short | JobKind::Long => "READ ONLY",
            JobKind::Writes => "READ WRITE",
        };
        let mut begin = format!("BEGIN {MODES}, {access}");
        for (name, value) in self.postgres() {
            begin.push_str(&format!("; SET LOCAL {name} = '{value}'"));
        }
        if kind == JobKind::Long {
            let limit = WHOLE_TABLE_TIMEOUT.as_millis();
            begin.push_str(&format!(
                "; SET LOCAL statement_timeout = {limit}; {AS_A_GUEST}"
            ));
        }
        Some(begin)
    }
}

/// The settings of MySQL and MariaDB, except for the timeouts.
///
/// * `autocommit`, `completion_type`: with other values a transaction stays open, and its snapshot grows old
/// * `sql_auto_is_null`: as Django sets it
/// * `sql_select_limit`, `sql_big_selects`: with other values an export could be cut
/// * `sql_mode`: how the server reads a statement; `PAD_CHAR_TO_FULL_LENGTH` stays, since it changes what Django reads
/// * `lc_messages`: `check` recognises a denied column by the English message
#[cfg(feature = "mysql")]
const MYSQL: &str = "SET SESSION autocommit = 1, completion_type = 0, sql_auto_is_null = 0, \
     sql_select_limit = 18446744073709551615, sql_big_selects = 1, lc_messages = 'en_US', \
     sql_mode = IF(FIND_IN_SET('PAD_CHAR_TO_FULL_LENGTH', @@SESSION.sql_mode), \
     'STRICT_TRANS_TABLES,PAD_CHAR_TO_FULL_LENGTH', 'STRICT_TRANS_TABLES')";

#[cfg(feature = "mysql")]
#[derive(diesel::QueryableByName)]
struct InitConnect {
    #[diesel(sql_type = Nullable<Text>)]
    init_connect: Option<String>,
}

/// Makes the settings of a session on MySQL or MariaDB.
#[cfg(feature = "mysql")]
pub(super) fn set_on_mysql(conn: &mut diesel::MysqlConnection) -> diesel::QueryResult<()> {
    let found: InitConnect =
        diesel::sql_query("SELECT @@GLOBAL.init_connect AS init_connect").get_result(conn)?;
    // Diesel has overwritten the time zone. Django leaves it as the server and its `init_connect` set it.
    let time_zone = match found.init_connect {
        Some(sql) if sql.to_ascii_lowercase().contains("time_zone") => {
            let sql = sql.trim_end().trim_end_matches(';');
            format!("{sql}; SET NAMES utf8mb4; ")
        }
        _ => String::new(),
    };
    let lock = STATEMENT_TIMEOUT.as_secs();
    let limit = mysql_limit(JobKind::Short);
    // One text: on a slow link each round trip counts.
    conn.batch_execute(&format!(
        "SET SESSION time_zone = DEFAULT; {time_zone}SET SESSION TRANSACTION READ ONLY; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; {MYSQL}, \
         lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}; {limit}"
    ))
}

/// The statement that sets the timeout of each later statement for a job of this kind: in seconds for MariaDB, which alone
/// reads the first comment, and in milliseconds for MySQL, which alone reads the second.
#[cfg(feature = "mysql")]
pub(super) fn mysql_limit(kind: JobKind) -> String {
    let limit = match kind {
        JobKind::Long => WHOLE_TABLE_TIMEOUT,
        JobKind::Short | JobKind::Writes => STATEMENT_TIMEOUT,
    };
    let (seconds, milliseconds) = (limit.as_secs(), limit.as_millis());
    format!(
        "SET SESSION /*M! max_statement_time = {seconds} */ /*!50708 max_execution_time = {milliseconds} */"
    )
}
