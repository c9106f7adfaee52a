//! Opens connections.
//!
//! The backend is known from the URL, so a failed connection reports its own error. Diesel's derived
//! `MultiConnection::establish` would try every backend in turn and hide it.

use std::time::Duration;

use diesel::Connection as _;

use super::Connection;
use super::session_settings::SessionSettings;
#[cfg(feature = "mysql")]
use super::session_settings::set_on_mysql;
use crate::config::{Backend, DatabaseUrl};

/// How connections to one database are opened.
pub(crate) struct ConnectionOpener {
    /// The database
    pub(crate) url: DatabaseUrl,
    /// If false, an SQLite file is opened read-only
    pub(crate) writable: bool,
    /// The settings that each new connection gets
    pub(crate) settings: SessionSettings,
}

impl ConnectionOpener {
    /// Opens a connection. `timeout`, in whole seconds, counts for each address of a PostgreSQL server; MySQL's client has none.
    /// The client library's error may repeat the URL, so the URL's passwords are removed from it.
    pub(crate) fn establish(&self, timeout: Duration) -> diesel::ConnectionResult<Connection> {
        self.open(timeout).map_err(|error| {
            let text = self.url.without_secrets(&error.to_string());
            diesel::ConnectionError::BadConnection(text)
        })
    }

    #[cfg_attr(not(feature = "postgres"), allow(unused_variables))]
    fn open(&self, timeout: Duration) -> diesel::ConnectionResult<Connection> {
        match self.url.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                diesel::SqliteConnection::establish(&self.sqlite_uri()).map(Connection::Sqlite)
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let conn = diesel::PgConnection::establish(&self.postgres_url(timeout))?;
                let mut connection = Connection::Postgres(conn);
                if self.settings.prepares {
                    let is_read_only = !self.chooses_by_writability();
                    connection
                        .execute(&self.settings.after_connecting_to_postgres(is_read_only))
                        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                } else {
                    connection.forget_statements();
                }
                Ok(connection)
            }
            #[cfg(feature = "mysql")]
            Backend::Mysql => {
                let mut conn = diesel::MysqlConnection::establish(self.url.target())?;
                set_on_mysql(&mut conn)
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(Connection::Mysql(conn))
            }
            // `DatabaseUrl::parse` refuses a backend that is not built in, with a sentence for the operator.
            #[allow(unreachable_patterns)]
            other => Err(diesel::ConnectionError::BadConnection(format!(
                "this build has no {}",
                other.feature()
            ))),
        }
    }

    /// An SQLite URI that never creates the file.
    #[cfg(feature = "sqlite")]
    fn sqlite_uri(&self) -> String {
        use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
        const NOT_IN_A_URI_PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');
        let path = utf8_percent_encode(self.url.target(), NOT_IN_A_URI_PATH);
        let mode = if self.writable { "rw" } else { "ro" };
        format!("file:{path}?mode={mode}")
    }

    /// Whether libpq chooses one of several hosts by whether a new session may write there
    /// (`target_session_attrs=read-write`, `read-only`). The session must not be made read-only before libpq has chosen, or
    /// libpq would take none of the hosts, or any.
    #[cfg(feature = "postgres")]
    fn chooses_by_writability(&self) -> bool {
        self.url.target().contains("target_session_attrs=read-")
    }

    /// The URL with defaults for what the operator has not set: timeouts, a name for `pg_stat_activity`, and the settings
    /// of the session.
    #[cfg(feature = "postgres")]
    fn postgres_url(&self, timeout: Duration) -> zeroize::Zeroizing<String> {
        let mut url = zeroize::Zeroizing::new(self.url.target().to_owned());
        let connect_timeout = timeout.as_secs().to_string();
        for (name, value) in [
            ("connect_timeout", connect_timeout.as_str()),
            // With these, a server that vanished silently is noticed within half a minute.
            ("keepalives_idle", "10"),
            ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
            ("tcp_user_timeout", "15000"),
            ("fallback_application_name", "watchtower-sidecar"),
        ] {
            if !url.contains(&format!("{name}=")) {
                let separator = if url.contains('?') { '&' } else { '?' };
                url.push_str(&format!("{separator}{name}={value}"));
            }
        }
        if self.settings.prepares {
            // The operator's own options come later, and so override these.
            let ours = self
                .settings
                .postgres_options(!self.chooses_by_writability());
            match url.find("?options=").or_else(|| url.find("&options=")) {
                Some(start) => url.insert_str(start + "?options=".len(), &format!("{ours}%20")),
                // The URL has a query string by now.
                None => url.push_str(&format!("&options={ours}")),
            }
        }
        url
    }
}
