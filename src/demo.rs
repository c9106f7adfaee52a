//! `watchtower-sidecar demo`: a SQLite database with exactly Django's tables, one administrator with a real PBKDF2 hash, and
//! some hundred plausible users who joined in the last three years. It is deleted when the program ends.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{Bool, Text};
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use tempfile::TempDir;

/// Django's own DDL, as its migrations create it.
const SCHEMA: &str = include_str!("../schema/sqlite.sql");

/// How many users join in each month, besides the administrator. The last of these months is the one before this month.
const JOINED_PER_MONTH: [usize; 36] = [
    3, 2, 3, 4, 3, 2, 2, 3, 4, 5, 6, 4, // the first year
    4, 4, 5, 6, 5, 4, 3, 5, 7, 8, 9, 6, // the second
    7, 8, 9, 11, 10, 8, 7, 10, 13, 16, 19, 15, // the third
];

/// The administrator's username.
pub const USERNAME: &str = "admin";

/// The administrator's password. It is good for this database of made-up people alone.
pub const PASSWORD: &str = "watchtower-demo";

/// First names, and how a username spells them.
const FIRST_NAMES: [(&str, &str); 16] = [
    ("Ana", "ana"),
    ("Björn", "bjorn"),
    ("Chloé", "chloe"),
    ("Dmitri", "dmitri"),
    ("Élodie", "elodie"),
    ("Fatima", "fatima"),
    ("George", "george"),
    ("Hiroshi", "hiroshi"),
    ("Ingrid", "ingrid"),
    ("José", "jose"),
    ("Katarzyna", "katarzyna"),
    ("Łukasz", "lukasz"),
    ("美咲", "misaki"),
    ("Nadia", "nadia"),
    ("Øystein", "oystein"),
    ("Παύλος", "pavlos"),
];

/// Last names, and how a username spells them.
const LAST_NAMES: [(&str, &str); 15] = [
    ("Almeida", "almeida"),
    ("Brontë", "bronte"),
    ("Castro", "castro"),
    ("Dvořák", "dvorak"),
    ("Eriksen", "eriksen"),
    ("Fischer", "fischer"),
    ("García", "garcia"),
    ("Håkansson", "hakansson"),
    ("Ito", "ito"),
    ("Jónsdóttir", "jonsdottir"),
    ("Kowalski", "kowalski"),
    ("Lindqvist", "lindqvist"),
    ("Müller", "muller"),
    ("Nowak", "nowak"),
    ("O'Brien", "obrien"),
];

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

/// How to open the page, and the customer's own commands, ready to paste.
pub fn instructions(base_url: &str) -> String {
    let users: usize = JOINED_PER_MONTH.iter().sum();
    format!(
        r#"The demo is running at {base_url} with {users} made-up users.
Open {base_url}/api/admin/ in a browser, and log in as {USERNAME} with the password {PASSWORD}

Or paste these lines into another terminal:

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
    /// When the user joined, as Django stores it in SQLite
    date_joined: String,
}

fn fill(connection: &mut SqliteConnection, password: &str) -> diesel::QueryResult<()> {
    let this_month = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let this_month = this_month.first_of_month();
    let months = (1..=JOINED_PER_MONTH.len() as i32).rev();
    let months = months.map(|ago| this_month.saturating_sub(ago.months()));
    let administrator = Row {
        username: USERNAME,
        first_name: "Ada",
        last_name: "Admin",
        password,
        is_staff: true,
        is_active: true,
        is_tv_user: false,
        is_movie_user: false,
        date_joined: joined(months.clone().next().unwrap_or(this_month), 0, 0),
    };
    insert(connection, &administrator)?;
    let mut number = 0;
    for (month, count) in months.zip(JOINED_PER_MONTH) {
        for nth in 0..count {
            // The days from the 2nd to the 28th
            let day = 1 + nth * 27 / count;
            insert_user(connection, number, joined(month, day as i64, number))?;
            number += 1;
        }
    }
    Ok(())
}

/// Inserts one of the made-up users, of whom `number` joined before. Fixed strides mix names and services without randomness,
/// so that each run has the same users.
fn insert_user(
    connection: &mut SqliteConnection,
    number: usize,
    date_joined: String,
) -> diesel::QueryResult<()> {
    let (first_name, first) = FIRST_NAMES[number % FIRST_NAMES.len()];
    let (last_name, last) = LAST_NAMES[number * 7 % LAST_NAMES.len()];
    let user = Row {
        username: &format!("{first}.{last}"),
        first_name,
        last_name,
        // Django's mark for an account without a usable password (`make_password(None)`).
        password: &format!("!{number:040}"),
        is_staff: false,
        is_active: !number.is_multiple_of(11),
        is_tv_user: number * 37 % 100 < 62,
        // Movies become more popular: from 30 of 100 users to 70.
        is_movie_user: number * 71 % 100 < 30 + number / 6,
        date_joined,
    };
    insert(connection, &user)
}

/// A time in the month that begins with `month`, `days` later, as Django stores it in SQLite.
fn joined(month: Date, days: i64, number: usize) -> String {
    let (hour, minute, second) = (7 + number * 5 % 15, number * 17 % 60, number * 29 % 60);
    let day = month.saturating_add(days.days());
    format!(
        "{day} {hour:02}:{minute:02}:{second:02}.{:06}",
        number * 104_729 % 1_000_000
    )
}

/// `PBKDF2PasswordHasher.encode` (Django 5.2).
fn encode(password: &str, salt: &str, iterations: u32) -> String {
    let hash =
        pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt.as_bytes(), iterations);
    let hash = STANDARD.encode(hash);
    format!("pbkdf2_sha256${iterations}${salt}${hash}")
}

fn insert(connection: &mut SqliteConnection, row: &Row<'_>) -> diesel::QueryResult<()> {
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
    .bind::<Text, _>(&row.date_joined)
    .execute(connection)
    .map(drop)
}
