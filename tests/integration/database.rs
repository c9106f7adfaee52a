//! A database of its own for every test, with Django's tables and a few users.

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName, RunQueryDsl};
use tempfile::TempDir;

/// The password of every user that has one, cheap to check.
pub const PASSWORD: &str = "correct horse";

/// Django's encoding of [`PASSWORD`] with 1 iteration (`PBKDF2PasswordHasher().encode("correct horse", "salt", 1)`).
pub const ENCODED: &str = "pbkdf2_sha256$1$salt$xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=";

/// A database, gone with the test that asked for it.
pub struct Database {
    kind: Kind,
    pub url: String,
    _folder: Option<TempDir>,
}

enum Kind {
    Sqlite(String),
    Postgres,
    #[cfg(feature = "mysql")]
    Mysql,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Database {
    /// One of each kind that is to be had here, with Django's tables and [`USERS`].
    pub fn of_every_kind() -> Vec<Database> {
        let mut databases = vec![Database::sqlite()];
        databases.extend(Database::postgres());
        databases.extend(Database::mysql());
        for database in &databases {
            database.execute(&database.schema());
            database.execute(USERS);
        }
        databases
    }

    /// SQLite with the tables and the users.
    pub fn filled_sqlite() -> Database {
        let database = Database::sqlite();
        database.execute(&database.schema());
        database.execute(USERS);
        database
    }

    /// An empty SQLite file.
    pub fn sqlite() -> Database {
        let folder = TempDir::new().unwrap();
        let path = folder
            .path()
            .join("db.sqlite3")
            .to_str()
            .unwrap()
            .to_owned();
        std::fs::File::create(&path).unwrap();
        Database {
            url: format!("sqlite:///{path}"),
            kind: Kind::Sqlite(path),
            _folder: Some(folder),
        }
    }

    /// An empty PostgreSQL database, where there is a server.
    pub fn postgres() -> Option<Database> {
        let server = server("TEST_POSTGRES_URL")?;
        let name = unique_name();
        let mut admin = diesel::PgConnection::establish(&server).unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        Some(Database {
            kind: Kind::Postgres,
            url: with_database(&server, &name),
            _folder: None,
        })
    }

    /// An empty MariaDB database, where there is a server.
    #[cfg(feature = "mysql")]
    pub fn mysql() -> Option<Database> {
        let server = server("TEST_MYSQL_URL")?;
        let name = unique_name();
        let mut admin = diesel::MysqlConnection::establish(&server).unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))
            .unwrap();
        Some(Database {
            kind: Kind::Mysql,
            url: with_database(&server, &name),
            _folder: None,
        })
    }

    #[cfg(not(feature = "mysql"))]
    pub fn mysql() -> Option<Database> {
        println!("skipped on MariaDB: this build has no feature mysql");
        None
    }

    /// Django's own DDL for this kind.
    pub fn schema(&self) -> String {
        match self.kind {
            Kind::Sqlite(_) => include_str!("../../schema/sqlite.sql").to_owned(),
            Kind::Postgres => include_str!("../../schema/postgres.sql").to_owned(),
            #[cfg(feature = "mysql")]
            Kind::Mysql => include_str!("../../schema/mysql.sql").to_owned(),
        }
    }

    /// Which kind it is, for messages and for SQL that differs.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite(_) => "sqlite",
            Kind::Postgres => "postgres",
            #[cfg(feature = "mysql")]
            Kind::Mysql => "mysql",
        }
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        self.connect()(sql);
    }

    /// A connection that runs statements.
    pub fn connect(&self) -> Box<dyn FnMut(&str)> {
        match &self.kind {
            Kind::Sqlite(path) => {
                let mut conn = diesel::SqliteConnection::establish(path).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 20000; PRAGMA synchronous = OFF")
                    .unwrap();
                Box::new(move |sql| conn.batch_execute(sql).unwrap())
            }
            Kind::Postgres => {
                let mut conn = diesel::PgConnection::establish(&self.url).unwrap();
                Box::new(move |sql| conn.batch_execute(sql).unwrap())
            }
            #[cfg(feature = "mysql")]
            Kind::Mysql => {
                let mut conn = diesel::MysqlConnection::establish(&self.url).unwrap();
                Box::new(move |sql| conn.batch_execute(sql).unwrap())
            }
        }
    }

    /// Inserts an active TV user with a long name for each of these keys, joined when `joined` says.
    pub fn insert_users(&self, ids: impl Iterator<Item = u64>, joined: impl Fn(u64) -> String) {
        let mut execute = self.connect();
        let ids: Vec<u64> = ids.collect();
        let long_name = "x".repeat(150);
        for block in ids.chunks(1000) {
            let rows: Vec<String> = block
                .iter()
                .map(|id| {
                    let joined = joined(*id);
                    format!(
                        "({id}, 'user{id}', '{long_name}', '', 'user{id}@example.com', '!', false, false, true, true, false, '{joined}')"
                    )
                })
                .collect();
            execute(&format!(
                "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active, is_tv_user, is_movie_user, date_joined) VALUES {}",
                rows.join(", ")
            ));
        }
    }

    /// The keys of the exportable users in the order in which the database gives them.
    pub fn ids_by_date(&self) -> Vec<i64> {
        let integer = match self.name() {
            "mysql" => "SIGNED",
            _ => "BIGINT",
        };
        let query = diesel::sql_query(format!(
            "SELECT CAST(id AS {integer}) AS count, username, email, first_name, last_name, date_joined FROM auth_user \
             WHERE is_active AND is_tv_user ORDER BY date_joined"
        ));
        let rows: Vec<Count> = match &self.kind {
            Kind::Sqlite(path) => query
                .get_results(&mut diesel::SqliteConnection::establish(path).unwrap())
                .unwrap(),
            Kind::Postgres => query
                .get_results(&mut diesel::PgConnection::establish(&self.url).unwrap())
                .unwrap(),
            #[cfg(feature = "mysql")]
            Kind::Mysql => query
                .get_results(&mut diesel::MysqlConnection::establish(&self.url).unwrap())
                .unwrap(),
        };
        rows.into_iter().map(|row| row.count).collect()
    }

    /// `SELECT COUNT(*) FROM {from}`
    pub fn count(&self, from: &str) -> i64 {
        let query = diesel::sql_query(format!("SELECT COUNT(*) AS count FROM {from}"));
        let count: Count = match &self.kind {
            Kind::Sqlite(path) => query
                .get_result(&mut diesel::SqliteConnection::establish(path).unwrap())
                .unwrap(),
            Kind::Postgres => query
                .get_result(&mut diesel::PgConnection::establish(&self.url).unwrap())
                .unwrap(),
            #[cfg(feature = "mysql")]
            Kind::Mysql => query
                .get_result(&mut diesel::MysqlConnection::establish(&self.url).unwrap())
                .unwrap(),
        };
        count.count
    }
}

/// An administrator, a member of staff who is inactive, a plain user; TV and movie users.
const USERS: &str = "
INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active,
                       is_tv_user, is_movie_user, date_joined) VALUES
(1, 'admin', 'Ada', 'Admin', 'admin@example.com', 'pbkdf2_sha256$1$salt$xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=',
 true, true, true, false, false, '2020-01-01 00:00:00'),
(2, 'dormant', '', '', '', 'pbkdf2_sha256$1$salt$xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=',
 false, true, false, true, false, '2020-01-02 00:00:00'),
(3, 'plain', '', '', '', 'pbkdf2_sha256$1$salt$xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=',
 false, false, true, true, true, '2020-01-04 00:00:00.250000'),
(4, 'björn', 'B \"x\"', '<O''Brien>', 'b@example.com', '!', false, false, true, true, false, '2020-01-03 12:30:00');
";

fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        println!("skipped on this database: {variable} is not set");
    }
    url
}

fn with_database(server: &str, name: &str) -> String {
    let (before_query, query) = match server.split_once('?') {
        Some((before, query)) => (before, format!("?{query}")),
        None => (server, String::new()),
    };
    let authority = before_query.rsplit_once('/').unwrap().0;
    format!("{authority}/{name}{query}")
}

fn unique_name() -> String {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).unwrap();
    format!("test_{:016x}", u64::from_ne_bytes(random))
}
