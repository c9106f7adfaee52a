//! `watchtower-sidecar demo`: a SQLite database with exactly Django's tables, one administrator with a real PBKDF2 hash, and
//! some hundred plausible users. It is deleted when the program ends.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{Bool, Text};
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use tempfile::TempDir;

/// Django's own DDL, as its migrations create it.
const SCHEMA: &str = include_str!("../schema/sqlite.sql");

/// 2021-03-01 09:00:00 UTC
const FIRST_JOINED: Timestamp = Timestamp::constant(1_614_589_200, 0);

/// The number of users besides the administrator.
const USERS: usize = 240;

/// The administrator's username.
pub const USERNAME: &str = "admin";

/// The administrator's password. It is good for this database of made-up people alone.
pub const PASSWORD: &str = "watchtower-demo";

const FIRST_NAMES: &str = "Ana Björn Chloé Dmitri Élodie Fatima George Hiroshi Ingrid José Katarzyna Łukasz 美咲 Nadia \
                           Øystein Παύλος";

const LAST_NAMES: &str = "Almeida Brontë Castro Dvořák Eriksen Fischer García Håkansson Ito Jónsdóttir Kowalski Lindqvist \
                          Müller Nowak O'Brien";

/// The database, in its own folder. Dropping this deletes both.
pub struct Demo {
    folder: TempDir,
}

impl Demo {
    /// Makes the folder, the tables and the users.
    pub fn create(pbkdf2_iterations: u32) -> Result<Demo, Box<dyn std::error::Error>> {
        // Hashing takes a while. It comes before there is a folder that a signal could leave behind.
        let password = encode(PASSWORD, "watchtowerdemosalt0000", pbkdf2_iterations);
        let demo = Demo {
            folder: TempDir::with_prefix("watchtower-demo-")?,
        };
        let mut connection = SqliteConnection::establish(&demo.path().to_string_lossy())?;
        connection.batch_execute(SCHEMA)?;
        connection.transaction(|connection| fill(connection, &password))?;
        Ok(demo)
    }

    /// Its `DATABASE_URL`.
    pub fn database_url(&self) -> String {
        const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');
        let path = self.path().to_string_lossy().into_owned();
        format!("sqlite:///{}", utf8_percent_encode(&path, ESCAPED))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("db.sqlite3")
    }
}

/// The customer's own commands, ready to paste.
pub fn instructions(base_url: &str) -> String {
    format!(
        r#"The demo is running at {base_url} with {USERS} made-up users. Paste these lines into another terminal:

# First login to get session, in a file that others can't read
umask 077
curl -X POST {base_url}/api/login/ \
  -H "Content-Type: application/json" \
  -d '{{"username": "{USERNAME}", "password": "{PASSWORD}"}}' \
  -c cookies.txt

# Then test the export endpoint
curl -X GET {base_url}/api/admin/export-users/ \
  -b cookies.txt

# And look at the numbers, with HTTP Basic
curl -u {USERNAME}:{PASSWORD} {base_url}/api/admin/export-stats/

Ctrl-C ends it and deletes the database."#
    )
}

/// One row of the user table.
struct Row<'a> {
    username: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    password: &'a str,
    is_staff: bool,
    is_active: bool,
    is_tv_user: bool,
    is_movie_user: bool,
    /// The number of users who joined before
    number: usize,
}

fn fill(connection: &mut SqliteConnection, password: &str) -> diesel::QueryResult<()> {
    let administrator = Row {
        username: USERNAME,
        first_name: "Ada",
        last_name: "Admin",
        password,
        is_staff: true,
        is_active: true,
        is_tv_user: false,
        is_movie_user: false,
        number: 0,
    };
    insert(connection, &administrator)?;
    // Fixed strides through the lists mix the names without randomness, so that each run has the same users.
    let first_names = FIRST_NAMES.split(' ').cycle();
    let last_names = LAST_NAMES.split(' ').cycle().step_by(7);
    for (number, (first_name, last_name)) in (0..USERS).zip(first_names.zip(last_names)) {
        let user = Row {
            username: &format!("user{number:03}"),
            first_name,
            last_name,
            // Django's mark for an account without a usable password (`make_password(None)`).
            password: &format!("!{number:040}"),
            is_staff: false,
            is_active: number % 11 != 0,
            is_tv_user: number % 3 != 0,
            is_movie_user: number % 4 == 0,
            number,
        };
        insert(connection, &user)?;
    }
    Ok(())
}

/// `PBKDF2PasswordHasher.encode` (Django 5.2).
fn encode(password: &str, salt: &str, iterations: u32) -> String {
    let hash =
        pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt.as_bytes(), iterations);
    let hash = STANDARD.encode(hash);
    format!("pbkdf2_sha256${iterations}${salt}${hash}")
}

fn insert(connection: &mut SqliteConnection, row: &Row<'_>) -> diesel::QueryResult<()> {
    // A week and some seconds after the user before.
    let joined = FIRST_JOINED + SignedDuration::from_micros(612_347_004_099) * row.number as i32;
    diesel::sql_query(
        "INSERT INTO auth_user (username, first_name, last_name, email, password, is_superuser, is_staff, is_active, \
         is_tv_user, is_movie_user, date_joined) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
    )
    .bind::<Text, _>(row.username)
    .bind::<Text, _>(row.first_name)
    .bind::<Text, _>(row.last_name)
    .bind::<Text, _>(format!("{}@example.com", row.username))
    .bind::<Text, _>(row.password)
    .bind::<Bool, _>(row.is_staff)
    .bind::<Bool, _>(row.is_active)
    .bind::<Bool, _>(row.is_tv_user)
    .bind::<Bool, _>(row.is_movie_user)
    .bind::<Text, _>(joined.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
    .execute(connection)
    .map(drop)
}
