//! One connection to any of the three databases, and what opens it for r2d2.
//!
//! The backend is known from the URL, so a failed connection reports its own error; Diesel's derived
//! `MultiConnection::establish` would try every backend in turn and hide it.

use diesel::connection::Connection as _;
#[cfg(feature = "sqlite")]
use diesel::connection::SimpleConnection;
use diesel::r2d2::{ManageConnection, R2D2Connection};

use crate::config::{Backend, DatabaseUrl};

/// A connection to the database that `DATABASE_URL` names.
#[non_exhaustive]
pub enum Connection {
    /// SQLite
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::SqliteConnection),
    /// PostgreSQL
    #[cfg(feature = "postgres")]
    Postgres(diesel::PgConnection),
    /// MySQL or MariaDB
    #[cfg(feature = "mysql")]
    Mysql(diesel::MysqlConnection),
}

/// Runs one expression with whichever connection it is. A function can't: the expression's type bounds differ by backend.
macro_rules! with_connection {
    ($connection:expr, $conn:ident => $body:expr) => {
        match $connection {
            #[cfg(feature = "sqlite")]
            $crate::db::connection::Connection::Sqlite($conn) => $body,
            #[cfg(feature = "postgres")]
            $crate::db::connection::Connection::Postgres($conn) => $body,
            #[cfg(feature = "mysql")]
            $crate::db::connection::Connection::Mysql($conn) => $body,
        }
    };
}
pub(super) use with_connection;

impl Connection {
    /// Asks the server for a sign of life.
    pub(super) fn is_alive(&mut self) -> bool {
        with_connection!(self, conn => conn.ping().is_ok())
    }

    /// Whether rows can be had one by one: MySQL's client stores all of a result before the first.
    pub fn streams_rows(&self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            Connection::Mysql(_) => false,
            #[allow(unreachable_patterns)]
            _ => true,
        }
    }
}

/// A pooled connection and whether an error has shown that it is dead.
pub struct Pooled {
    pub(super) connection: Connection,
    pub(super) dead: bool,
}

/// Opens connections for r2d2.
pub struct ConnectionOpener {
    url: DatabaseUrl,
    writable: bool,
}

impl ConnectionOpener {
    /// Opens connections to `url`; without `writable`, SQLite's file is opened read-only.
    pub fn new(url: DatabaseUrl, writable: bool) -> Self {
        ConnectionOpener { url, writable }
    }

    fn establish(&self) -> diesel::ConnectionResult<Connection> {
        match self.url.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let mut conn = diesel::SqliteConnection::establish(&self.sqlite_uri())?;
                // Django's own writers hold the file for moments; its default patience is five seconds.
                conn.batch_execute("PRAGMA busy_timeout = 5000")
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(Connection::Sqlite(conn))
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                diesel::PgConnection::establish(&self.postgres_url()).map(Connection::Postgres)
            }
            #[cfg(feature = "mysql")]
            Backend::Mysql => {
                diesel::MysqlConnection::establish(self.url.target()).map(Connection::Mysql)
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

    /// The URL with a limit to the time a connection may take, unless the operator set one, and a name for
    /// `pg_stat_activity`.
    #[cfg(feature = "postgres")]
    fn postgres_url(&self) -> zeroize::Zeroizing<String> {
        let mut url = zeroize::Zeroizing::new(self.url.target().to_owned());
        for (name, value) in [
            ("connect_timeout", "5"),
            // A server that vanished without a word is noticed within half a minute.
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
        url
    }
}

impl ManageConnection for ConnectionOpener {
    type Connection = Pooled;
    type Error = diesel::ConnectionError;

    fn connect(&self) -> Result<Pooled, diesel::ConnectionError> {
        self.establish().map(|connection| Pooled {
            connection,
            dead: false,
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), diesel::ConnectionError> {
        match pooled.connection.is_alive() {
            true => Ok(()),
            false => Err(diesel::ConnectionError::BadConnection(
                "the connection is dead".into(),
            )),
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        // A panic may have left a transaction open that Diesel does not know of.
        pooled.dead
            || std::thread::panicking()
            || with_connection!(&mut pooled.connection, conn => conn.is_broken())
    }
}
