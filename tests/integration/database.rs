//! A new database for every test, with Django's tables and a few users.
//!
//! On a server the service gets a role that the real `deploy/grants-*.sql` has made, for this database alone.

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName, RunQueryDsl};
use tempfile::TempDir;

/// The password of every user that has one, cheap to check.
pub const PASSWORD: &str = "correct horse";

/// Django's encoding of [`PASSWORD`] with 1 iteration (`PBKDF2PasswordHasher().encode("correct horse", "salt", 1)`).
pub const ENCODED: &str = "pbkdf2_sha256$1$salt$xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=";

/// What the service reads of each table.
pub const READ_OF_SESSIONS: [&str; 3] = ["session_key", "session_data", "expire_date"];
pub const READ_OF_USERS: [&str; 11] = [
    "id",
    "username",
    "password",
    "is_active",
    "is_staff",
    "is_tv_user",
    "is_movie_user",
    "email",
    "first_name",
    "last_name",
    "date_joined",
];

/// A database, gone with the test that asked for it.
pub struct Database {
    kind: Kind,
    /// As the service with login connects
    pub url: String,
    /// As the service without login connects
    pub reading_url: String,
    _folder: Option<TempDir>,
}

/// With the file's path, or the administrator's URL.
enum Kind {
    Sqlite(String),
    Postgres(String),
    #[cfg(feature = "mysql")]
    Mysql(String),
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Database {
    /// One of each kind that is to be had here, with Django's tables and [`USERS`].
    pub fn of_every_kind() -> Vec<Database> {
        let servers = Database::postgres().into_iter().chain(Database::mysql());
        let servers = servers.inspect(Database::insert_the_usual_users);
        [Database::filled_sqlite()]
            .into_iter()
            .chain(servers)
            .collect()
    }

    /// Inserts [`USERS`].
    pub fn insert_the_usual_users(&self) {
        self.execute(USERS);
    }

    /// SQLite with the tables and the users.
    pub fn filled_sqlite() -> Database {
        let database = Database::sqlite();
        database.execute(include_str!("../../schema/sqlite.sql"));
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
            reading_url: format!("sqlite:///{path}"),
            kind: Kind::Sqlite(path),
            _folder: Some(folder),
        }
    }

    /// A PostgreSQL database with the tables, where there is a server.
    pub fn postgres() -> Option<Database> {
        Database::postgres_with("")
    }

    /// The same, made with these options.
    pub fn postgres_with(options: &str) -> Option<Database> {
        let server = server("TEST_POSTGRES_URL")?;
        let name = unique_name();
        let mut admin = diesel::PgConnection::establish(&server).unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .unwrap();
        let kind = Kind::Postgres(with_database(&server, &name));
        let schema = include_str!("../../schema/postgres.sql");
        Some(Database::on_server(kind, &server, &name, schema))
    }

    /// A MariaDB database with the tables, where there is a server.
    #[cfg(feature = "mysql")]
    pub fn mysql() -> Option<Database> {
        let server = server("TEST_MYSQL_URL")?;
        let name = unique_name();
        let mut admin = diesel::MysqlConnection::establish(&server).unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))
            .unwrap();
        let kind = Kind::Mysql(with_database(&server, &name));
        let schema = include_str!("../../schema/mysql.sql");
        Some(Database::on_server(kind, &server, &name, schema))
    }

    #[cfg(not(feature = "mysql"))]
    pub fn mysql() -> Option<Database> {
        println!("skipped on MariaDB: this build has no feature mysql");
        None
    }

    fn on_server(kind: Kind, server: &str, name: &str, schema: &str) -> Database {
        let url = |role: &str| {
            let (scheme, rest) = server.split_once("://").unwrap();
            let place = rest.rsplit_once('@').unwrap().1;
            with_database(&format!("{scheme}://{role}:{ROLE_PASSWORD}@{place}"), name)
        };
        let database = Database {
            kind,
            url: url(&login_role(name)),
            reading_url: url(&reading_role(name)),
            _folder: None,
        };
        database.execute(schema);
        database.grant("auth_user");
        database
    }

    /// The name of a database on a server.
    pub fn database_name(&self) -> &str {
        let path = self.url.split('?').next().unwrap();
        path.rsplit('/').next().unwrap()
    }

    /// Runs the operator's file for both roles, over this user table. New tables want it once more.
    pub fn grant(&self, user_table: &str) {
        self.grant_with(user_table, None);
    }

    /// The same, with what the file has for allauth's table of addresses.
    pub fn grant_addresses(&self) {
        self.grant_with("auth_user", Some("-- GRANT SELECT (email"));
    }

    fn grant_with(&self, user_table: &str, optional: Option<&str>) {
        let name = self.database_name();
        let (file, password) = match self.kind {
            Kind::Sqlite(_) => return,
            Kind::Postgres(_) => (
                include_str!("../../deploy/grants-postgres.sql"),
                format!("ALTER ROLE \"sidecar\" PASSWORD '{ROLE_PASSWORD}'"),
            ),
            #[cfg(feature = "mysql")]
            Kind::Mysql(_) => (
                include_str!("../../deploy/grants-mysql.sql"),
                format!(
                    "ALTER USER 'sidecar'@'127.0.0.1' IDENTIFIED BY '{ROLE_PASSWORD}' ACCOUNT UNLOCK"
                ),
            ),
        };
        for (role, login) in [(login_role(name), true), (reading_role(name), false)] {
            let mut sql = file.to_owned();
            if let Some(line) = optional {
                sql = sql.replace(line, line.trim_start_matches("-- "));
            }
            if login {
                sql = sql.replace("-- GRANT INSERT", "GRANT INSERT");
                sql = sql.replace("-- GRANT UPDATE", "GRANT UPDATE");
            }
            let lines = sql.lines().filter(|line| !line.starts_with("--"));
            let mut sql = lines.collect::<Vec<_>>().join("\n");
            sql.push_str(&password);
            for quote in ['"', '`', '\''] {
                for (placeholder, value) in [
                    ("sidecar", role.as_str()),
                    ("watchtower", name),
                    ("auth_user", user_table),
                    ("127.0.0.1", "%"),
                ] {
                    let quoted = |text| format!("{quote}{text}{quote}");
                    sql = sql.replace(&quoted(placeholder), &quoted(value));
                }
            }
            self.execute(&sql);
        }
    }

    /// The role of [`Database::url`] as the database writes it.
    pub fn role(&self) -> String {
        let role = login_role(self.database_name());
        match self.name() {
            "mysql" => format!("'{role}'@'%'"),
            _ => role,
        }
    }

    /// How an administrator connects.
    pub fn admin_url(&self) -> &str {
        match &self.kind {
            Kind::Sqlite(_) => &self.url,
            Kind::Postgres(url) => url,
            #[cfg(feature = "mysql")]
            Kind::Mysql(url) => url,
        }
    }

    /// Which kind it is, for messages and for SQL that differs.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite(_) => "sqlite",
            Kind::Postgres(_) => "postgres",
            #[cfg(feature = "mysql")]
            Kind::Mysql(_) => "mysql",
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
            Kind::Postgres(_) => {
                let mut conn = diesel::PgConnection::establish(self.admin_url()).unwrap();
                Box::new(move |sql| conn.batch_execute(sql).unwrap())
            }
            #[cfg(feature = "mysql")]
            Kind::Mysql(_) => {
                let mut conn = diesel::MysqlConnection::establish(self.admin_url()).unwrap();
                Box::new(move |sql| conn.batch_execute(sql).unwrap())
            }
        }
    }

    /// Runs statements as the role in the URL; the server's refusal is an error.
    pub fn try_as(&self, url: &str, sql: &str) -> Result<(), String> {
        let done = match &self.kind {
            Kind::Sqlite(path) => diesel::SqliteConnection::establish(path)
                .unwrap()
                .batch_execute(sql),
            Kind::Postgres(_) => diesel::PgConnection::establish(url)
                .unwrap()
                .batch_execute(sql),
            #[cfg(feature = "mysql")]
            Kind::Mysql(_) => diesel::MysqlConnection::establish(url)
                .unwrap()
                .batch_execute(sql),
        };
        done.map_err(|error| error.to_string())
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
             WHERE is_active AND is_tv_user ORDER BY date_joined, id"
        ));
        let rows: Vec<Count> = match &self.kind {
            Kind::Sqlite(path) => query
                .get_results(&mut diesel::SqliteConnection::establish(path).unwrap())
                .unwrap(),
            Kind::Postgres(_) => query
                .get_results(&mut diesel::PgConnection::establish(self.admin_url()).unwrap())
                .unwrap(),
            #[cfg(feature = "mysql")]
            Kind::Mysql(_) => query
                .get_results(&mut diesel::MysqlConnection::establish(self.admin_url()).unwrap())
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
            Kind::Postgres(_) => query
                .get_result(&mut diesel::PgConnection::establish(self.admin_url()).unwrap())
                .unwrap(),
            #[cfg(feature = "mysql")]
            Kind::Mysql(_) => query
                .get_result(&mut diesel::MysqlConnection::establish(self.admin_url()).unwrap())
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

/// Of the roles that the tests make, which may enter one database each.
const ROLE_PASSWORD: &str = "of-the-role";

fn login_role(database: &str) -> String {
    format!("{database}_login")
}

fn reading_role(database: &str) -> String {
    format!("{database}_reads")
}

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
