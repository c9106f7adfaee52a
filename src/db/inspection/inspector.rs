//! The connection of `check`.

use std::sync::mpsc;
use std::time::Duration;

use super::text_row::TextRow;
use crate::config::{Backend, Config, DatabaseUrl};
use crate::db::connection::Connection;
use crate::db::connection::job_kind::JobKind;
use crate::db::connection::opener::ConnectionOpener;
use crate::db::connection::session_settings::SessionSettings;
use crate::db::error::DbError;
use crate::db::models::user_table::UserTable;
use crate::db::sql::{Sql, quoted};

/// The timeout for opening a connection. It is longer than those of the client libraries that have one.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an SQLite file may be locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection for the checks, opened again after an error.
pub struct Inspector {
    url: DatabaseUrl,
    settings: SessionSettings,
    connection: Option<Connection>,
}

impl Inspector {
    /// Connects.
    ///
    /// # Errors
    /// The client library's message.
    pub fn open(url: &DatabaseUrl, settings: SessionSettings) -> Result<Inspector, String> {
        let mut inspector = Inspector {
            url: url.clone(),
            settings,
            connection: None,
        };
        inspector.connection = Some(inspector.establish()?);
        Ok(inspector)
    }

    /// Whether the timeouts were sent when connecting.
    pub fn prepares(&self) -> bool {
        self.settings.prepares
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        self.url.backend()
    }

    /// Opens a connection in a separate thread, since MySQL's client may wait for a silent server for minutes.
    fn establish(&self) -> Result<Connection, String> {
        let opener = ConnectionOpener {
            url: self.url.clone(),
            writable: false,
            settings: self.settings.clone(),
        };
        let (done, opened) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = done.send(opener.establish(OPEN_TIMEOUT));
        });
        match opened.recv_timeout(OPEN_TIMEOUT) {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "no answer within {} seconds",
                OPEN_TIMEOUT.as_secs()
            )),
        }
    }

    /// Runs a job that reads. After an error the connection is closed.
    pub fn read<T>(
        &mut self,
        job: &dyn Fn(&mut Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.establish().map_err(DbError::Unavailable)?,
        };
        let answer = connection.limited(&self.settings, JobKind::Long, LOCK_TIMEOUT, job);
        if answer.is_ok() {
            self.connection = Some(connection);
        }
        answer
    }

    /// The user table, as the service reads it.
    ///
    /// # Errors
    /// [`DbError::Schema`] names what is missing.
    pub fn user_table(&mut self, config: &Config) -> Result<UserTable, DbError> {
        let (name, username) = (&config.user_table, &config.username_field);
        self.read(&|connection| UserTable::load(connection, name, username, &config.none_fields))
    }

    /// All rows of a query.
    pub(super) fn rows(&mut self, sql: &Sql) -> Result<Vec<TextRow>, DbError> {
        self.read(&|connection| Ok(sql.clone().load(connection)?))
    }

    /// The only row of a query.
    pub(super) fn row(&mut self, sql: &Sql) -> Result<TextRow, DbError> {
        let row = self.rows(sql)?.pop();
        row.ok_or_else(|| DbError::Schema("a query gave no row".into()))
    }

    /// A name as SQL writes it.
    pub(super) fn quoted(&self, name: &str) -> String {
        quoted(self.backend(), name)
    }

    /// An expression as text.
    pub(super) fn as_text(&self, expression: &str) -> String {
        let text = match self.backend() {
            Backend::Mysql => "CHAR",
            Backend::Sqlite | Backend::Postgres => "text",
        };
        format!("CAST({expression} AS {text})")
    }
}
