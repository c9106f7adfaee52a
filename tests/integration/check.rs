//! `check`: what it finds on real databases, that what it advises mends it, and that it decides as the service does.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use watchtower_sidecar::django::sessions::{
    AUTH_HASH_NAME, BACKEND_NAME, SessionData, USER_ID_NAME, session_auth_hash,
};
use watchtower_sidecar::django::signing::{SecretKey, SecretKeys};

use crate::app::{KEY, OLD_KEY, insert_session};
use crate::database::{Database, ENCODED, PASSWORD};
use crate::program::PROGRAM;

mod callers;
mod names;
mod rows;
mod tables;

/// What a run of `check --format json` said.
pub struct Checked {
    code: i32,
    findings: Vec<Value>,
    pub text: String,
}

impl Checked {
    fn of(output: Output) -> Checked {
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "", "{text}");
        for secret in [KEY, OLD_KEY, "of-the-role", ENCODED, PASSWORD] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let report: Value = serde_json::from_str(&text).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        let errors = findings
            .iter()
            .filter(|finding| finding["level"] == "error")
            .count();
        assert_eq!(report["errors"], errors, "{text}");
        assert_eq!(report["good"], errors == 0, "{text}");
        Checked {
            code: output.status.code().unwrap(),
            findings,
            text,
        }
    }

    /// The ids of this level.
    pub fn ids(&self, level: &str) -> Vec<&str> {
        let found = self
            .findings
            .iter()
            .filter(|finding| finding["level"] == level);
        found
            .map(|finding| finding["id"].as_str().unwrap())
            .collect()
    }

    /// The only finding with this id, which must be of this level: its text and its advice.
    pub fn finding(&self, level: &str, id: &str) -> (&str, &str) {
        let found: Vec<&Value> = self
            .findings
            .iter()
            .filter(|finding| finding["id"] == id)
            .collect();
        assert!(
            found.len() == 1 && found[0]["level"] == level,
            "{level} {id}: {}",
            self.text
        );
        (
            found[0]["text"].as_str().unwrap(),
            found[0]["advice"].as_str().unwrap(),
        )
    }

    fn assert_error(&self, id: &str, words: &str) {
        let (text, advice) = self.finding("error", id);
        assert!(
            !advice.is_empty() && text.contains(words),
            "{words}: {}",
            self.text
        );
        assert_eq!(self.code, 1, "{}", self.text);
    }

    fn assert_warning(&self, id: &str, words: &str) {
        let (text, advice) = self.finding("warning", id);
        assert!(
            !advice.is_empty() && text.contains(words),
            "{words}: {}",
            self.text
        );
    }
}

fn command(url: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["check", "--format", "json"])
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", url)
        .env("DJANGO_SECRET_KEY", KEY)
        .env("DJANGO_ALLOWED_HOSTS", r#"["*"]"#)
        .env("DJANGO_PBKDF2_ITERATIONS", "1")
        .envs(variables.iter().copied());
    command
}

pub fn check(url: &str, variables: &[(&str, &str)]) -> Checked {
    Checked::of(command(url, variables, &[]).output().unwrap())
}

/// With a line on standard input.
fn check_with(url: &str, variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Checked {
    let mut child = command(url, variables, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{input}\n").as_bytes())
        .unwrap();
    Checked::of(child.wait_with_output().unwrap())
}

/// The file of an SQLite database.
fn path(database: &Database) -> &str {
    database.url.strip_prefix("sqlite:///").unwrap()
}

const LOGIN: (&str, &str) = ("SIDECAR_LOGIN", "on");

#[test]
fn where_all_is_right_nothing_is_wrong() {
    for database in Database::of_every_kind() {
        if database.name() == "sqlite" {
            std::fs::set_permissions(path(&database), PermissionsExt::from_mode(0o600)).unwrap();
        }
        insert_session(&database, "admin", "1", KEY);
        for (url, variables) in [
            (&database.reading_url, [].as_slice()),
            (
                &database.url,
                &[LOGIN, ("DJANGO_SESSION_COOKIE_SECURE", "true")],
            ),
        ] {
            let checked = check(url, variables);
            assert_eq!(checked.code, 0, "{}", checked.text);
            assert_eq!(checked.ids("error"), [""; 0], "{}", checked.text);
            assert_eq!(checked.ids("warning"), [""; 0], "{}", checked.text);
            for id in [
                "database.reachable",
                "users.table",
                "sessions.table",
                "session.key",
                "session.users",
            ] {
                checked.finding("ok", id);
            }
            let (hashers, _) = checked.finding("ok", "passwords.hashers");
            assert_eq!(
                hashers,
                "users by hasher: pbkdf2_sha256 with 1 iterations 3; without a password 1"
            );
        }
    }
}

#[test]
fn the_text_form_says_the_same_to_people() {
    let database = Database::filled_sqlite();
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("DJANGO_SECRET_KEY", "short"),
    ];
    let output = crate::program::run(&["check"], &variables);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let weak = text
        .lines()
        .position(|line| line.starts_with("WARNING  configuration.django-secret-key: "));
    let advice = text.lines().nth(weak.unwrap() + 1).unwrap();
    assert!(
        advice.starts_with("         -> give Django a new SECRET_KEY"),
        "{text}"
    );
    assert!(
        text.contains("\nWARNING  configuration.django-allowed-hosts: ")
            || text.starts_with("WARNING"),
        "{text}"
    );
    assert!(text.ends_with("\n0 errors, 5 warnings\n"), "{text}");
}

#[test]
fn what_login_does_not_ask_for_is_a_finding_and_a_second_factor_wants_a_second_word() {
    let database = Database::filled_sqlite();
    let backends = r#"["axes.backends.AxesBackend", "django.contrib.auth.backends.ModelBackend"]"#;
    let with_login = |login: &str| {
        let variables = [
            ("DJANGO_AUTHENTICATION_BACKENDS", backends),
            ("DJANGO_SECOND_FACTOR", r#"["allauth.mfa"]"#),
            ("SIDECAR_LOGIN", login),
        ];
        check(&database.url, &variables)
    };
    let allowed = with_login("without-second-factor");
    for (id, words) in [
        ("django-authentication-backends", "locks accounts"),
        ("django-second-factor", "the whole site"),
        ("django-session-cookie-secure", "plain HTTP"),
    ] {
        allowed.assert_warning(&format!("configuration.{id}"), words);
    }
    let refused = with_login("on");
    let (text, _) = refused.finding("error", "configuration.invalid");
    assert!(
        refused.code == 64 && text.contains("allauth.mfa"),
        "{}",
        refused.text
    );
}

#[test]
fn a_bad_configuration_is_64_in_both_forms() {
    let output = crate::program::run(&["check"], &[("DJANGO_DEBUG", "maybe")]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("3 mistakes in the configuration:\n")
    );
    let checked = check("oracle://x:hunter2@db/x", &[("DJANGO_DEBUG", "maybe")]);
    assert_eq!(
        (checked.code, checked.ids("error")),
        (64, vec!["configuration.invalid"; 2])
    );
    assert!(!checked.text.contains("hunter2"));
}

#[test]
fn a_database_that_cannot_be_reached_is_explained() {
    for database in [Database::postgres(), Database::mysql()]
        .into_iter()
        .flatten()
    {
        let (scheme, rest) = database.url.split_once("://").unwrap();
        let (credentials, place) = rest.rsplit_once('@').unwrap();
        let (role, _) = credentials.split_once(':').unwrap();
        let (host, _) = place.rsplit_once('/').unwrap();
        for (url, words) in [
            (
                format!("{scheme}://{role}:hunter2@{place}"),
                "refuses the role's name or password",
            ),
            (
                format!("{scheme}://{credentials}@watchtower.invalid/x"),
                "host's name is not known",
            ),
            (
                format!("{scheme}://{credentials}@127.0.0.1:1/x"),
                "no server listens there",
            ),
        ] {
            let checked = check(&url, &[]);
            checked.assert_error("database.unreachable", words);
            assert!(!checked.text.contains("hunter2"), "{}", checked.text);
        }
        let (admin, _) = database.admin_url().rsplit_once('/').unwrap();
        let checked = check(&format!("{admin}/nowhere"), &[]);
        checked.assert_error("database.unreachable", "no database of this name");
        // MySQL says of a database that the account may not enter, or that is not there, that access is denied.
        let checked = check(&format!("{scheme}://{credentials}@{host}/nowhere"), &[]);
        checked.assert_error(
            "database.unreachable",
            match scheme {
                "mysql" => "may not enter this database",
                _ => "no database of this name",
            },
        );
        let replica = format!("{scheme}://{credentials}@127.0.0.1:1/x");
        let checked = check(&database.reading_url, &[("DATABASE_READ_URL", &replica)]);
        checked.assert_error("replica.unreachable", "no server listens there");
    }
}

#[test]
fn what_is_no_database_file_is_told_from_one() {
    let database = Database::sqlite();
    check(&database.url, &[]).assert_error("database.unreachable", "holds nothing");
    std::fs::write(
        path(&database),
        "some text that is longer than the head of a database",
    )
    .unwrap();
    check(&database.url, &[]).assert_error("database.unreachable", "is no SQLite database");
    std::fs::remove_file(path(&database)).unwrap();
    check(&database.url, &[]).assert_error("database.unreachable", "is not there");
}

#[test]
fn sqlite_in_wal_mode_wants_a_folder_that_can_be_written() {
    let database = Database::filled_sqlite();
    database.execute("PRAGMA journal_mode = wal");
    let checked = check(&database.url, &[]);
    assert_eq!(
        checked.finding("ok", "sqlite.journal-mode").0,
        "wal, and the folder can be written"
    );
    checked.assert_warning("sqlite.permissions", "password hashes");

    let folder = std::path::Path::new(path(&database)).parent().unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o555)).unwrap();
    let mut command = command(&database.url, &[LOGIN], &[]);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root may write everywhere.
        command.uid(65_534).gid(65_534);
    }
    // The files beside it stay while a connection is open.
    let mut writer = database.connect();
    writer("UPDATE auth_user SET is_staff = is_staff");
    match command.output() {
        Ok(output) => {
            let checked = Checked::of(output);
            checked.assert_error("sqlite.journal-mode", "can't be written by this account");
            checked.assert_error("sqlite.read-only", "every login fails");
            // Without Django's connection the files beside it are gone, and no query is answered.
            drop(writer);
            let checked = Checked::of(command.output().unwrap());
            checked.assert_error("sqlite.read-only", "every login fails");
            checked.assert_warning("sqlite.permissions", "password hashes");
        }
        Err(error) => println!("skipped: the program is not for everybody to run: {error}"),
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A session of this user, as Django makes it.
fn session_of(user_id: &str) -> SessionData {
    let mut data = SessionData::default();
    data.set_str(USER_ID_NAME, user_id);
    data.set_str(BACKEND_NAME, "django.contrib.auth.backends.ModelBackend");
    let key = SecretKey::new(KEY.to_owned());
    data.set_str(AUTH_HASH_NAME, &session_auth_hash(ENCODED, &key));
    data
}

fn insert_data(database: &Database, name: &str, data: &SessionData) -> String {
    let keys = SecretKeys {
        current: SecretKey::new(KEY.to_owned()),
        fallbacks: Vec::new(),
    };
    insert_row(
        database,
        name,
        &data.encode(&keys, 1_700_000_000),
        "2999-01-01",
    )
}

fn insert_row(database: &Database, name: &str, data: &str, ends: &str) -> String {
    let key = format!("session-of-the-test-{name}");
    database.execute(&format!(
        "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('{key}', '{data}', '{ends} \
         00:00:00')"
    ));
    key
}
