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

use crate::app::{App, KEY, OLD_KEY, insert_session};
use crate::database::{Database, ENCODED, PASSWORD};
use crate::program::PROGRAM;

/// What a run of `check --format json` said.
struct Checked {
    code: i32,
    findings: Vec<Value>,
    text: String,
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
    fn ids(&self, level: &str) -> Vec<&str> {
        let found = self
            .findings
            .iter()
            .filter(|finding| finding["level"] == level);
        found
            .map(|finding| finding["id"].as_str().unwrap())
            .collect()
    }

    /// The only finding with this id, which must be of this level: its text and its advice.
    fn finding(&self, level: &str, id: &str) -> (&str, &str) {
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

fn check(url: &str, variables: &[(&str, &str)]) -> Checked {
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
            (&database.url, &[LOGIN]),
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
                "nobody listens there",
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
        checked.assert_error("replica.unreachable", "nobody listens there");
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
    // The files beside it stay while somebody has it open.
    let mut writer = database.connect();
    writer("UPDATE auth_user SET is_staff = is_staff");
    match command.output() {
        Ok(output) => {
            let checked = Checked::of(output);
            checked.assert_error("sqlite.journal-mode", "can't be written by this account");
            checked.assert_error("sqlite.read-only", "every login fails");
        }
        Err(error) => println!("skipped: the program is not for everybody to run: {error}"),
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_key_that_is_not_djangos_is_an_error() {
    for database in Database::of_every_kind() {
        check(&database.reading_url, &[]).assert_warning("session.none", "no living session");
        insert_session(&database, "old", "1", OLD_KEY);
        let checked = check(&database.reading_url, &[]);
        checked.assert_error("session.wrong-key", "none of 1 living session");
        let fallbacks = format!(r#"["{OLD_KEY}"]"#);
        let with_fallback = [("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str())];
        let checked = check(&database.reading_url, &with_fallback);
        checked.assert_warning("session.fallback-only", "1 of 1 living session");
        assert_eq!(checked.code, 0);
        insert_session(&database, "new", "1", KEY);
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning("session.other-key", "1 of 2 living sessions");
        let checked = check(&database.reading_url, &with_fallback);
        assert_eq!(
            checked.finding("ok", "session.key").0,
            "of 2 living sessions 1 were signed by DJANGO_SECRET_KEY, 1 by a fallback"
        );
    }
}

#[test]
fn sessions_that_fit_no_user_are_told_apart() {
    let database = Database::filled_sqlite();
    let insert = |data: &SessionData| {
        database.execute("DELETE FROM django_session");
        insert_data(&database, "one", data);
        check(&database.reading_url, &[])
    };
    let mut data = session_of("1");
    data.set_str(AUTH_HASH_NAME, "of-another-password");
    insert(&data).assert_error("session.auth-hash", "1 session decode");
    insert(&session_of("77")).assert_error("session.user-gone", "not in the configured user table");
    insert(&session_of("a-name")).assert_error("session.user-gone", "Integers");
    let mut data = session_of("1");
    data.set_str(BACKEND_NAME, "accounts.backends.ByEmail");
    insert(&data).assert_error("session.backend", "accounts.backends.ByEmail");
    let mut data = SessionData::new();
    data.set_str("cart", "full");
    insert(&data).assert_warning("session.nobody", "no living session is an active user's");
    database.execute("DELETE FROM django_session");
    let keys = SecretKeys::new(SecretKey::new(KEY.to_owned()), Vec::new());
    let pickled = watchtower_sidecar::django::signing::sign_object(
        b"\x80\x04}q\x00.",
        "django.contrib.sessions.SessionStore",
        keys.current(),
        1_700_000_000,
    );
    insert_row(&database, "pickled", &pickled, "2999-01-01");
    check(&database.reading_url, &[]).assert_error("session.serializer", "hold no JSON object");
}

#[test]
fn a_user_table_of_another_name_is_suggested() {
    for database in Database::of_every_kind() {
        let variables = [("DJANGO_USER_TABLE", "accounts_user")];
        let checked = check(&database.reading_url, &variables);
        checked.assert_error("users.table", "there is no table accounts_user");
        let (_, advice) = checked.finding("error", "users.table");
        assert!(
            advice.ends_with("these tables look like one: auth_user"),
            "{advice}"
        );
        let checked = check(
            &database.reading_url,
            &[("DJANGO_USERNAME_FIELD", "login_name")],
        );
        checked.assert_error("users.columns", "has no column login_name");
        database.execute("DROP TABLE django_session");
        check(&database.reading_url, &[])
            .assert_error("sessions.table", "there is no table django_session");
    }
}

#[test]
fn a_column_that_the_views_read_and_a_type_that_they_cannot_are_named() {
    for database in Database::of_every_kind() {
        let column = match database.name() {
            "postgres" => {
                "ALTER TABLE auth_user ALTER is_staff TYPE integer USING is_staff::integer"
            }
            "mysql" => "ALTER TABLE auth_user MODIFY is_staff varchar(5)",
            // A type of SQLite's can't be changed.
            _ => {
                "ALTER TABLE auth_user DROP COLUMN is_tv_user; ALTER TABLE auth_user ADD COLUMN is_tv_user text"
            }
        };
        database.execute(column);
        let checked = check(&database.reading_url, &[]);
        checked.assert_error("users.types", "is not a boolean but");
        database.execute("ALTER TABLE auth_user DROP COLUMN is_tv_user");
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning("users.export-columns", "has no column is_tv_user");
    }
}

#[test]
fn tables_in_a_schema_that_the_role_does_not_search_are_found() {
    let Some(database) = Database::postgres() else {
        return;
    };
    database.execute("CREATE SCHEMA elsewhere; ALTER TABLE auth_user SET SCHEMA elsewhere");
    let checked = check(&database.reading_url, &[]);
    checked.assert_error(
        "users.table",
        "stands in the schema elsewhere, which may not be looked into",
    );
    let role = format!("{}_reads", database.database_name());
    let (_, advice) = checked.finding("error", "users.table");
    database.execute(&advice.replace("...", &role));
    let checked = check(&database.reading_url, &[]);
    checked.assert_error("users.table", "is not in the role's search path");
    let (_, advice) = checked.finding("error", "users.table");
    database.execute(&advice.replace("...", &role));
    check(&database.reading_url, &[]).finding("ok", "users.table");
}

#[test]
fn the_grants_that_are_printed_are_those_that_are_missing() {
    for database in [Database::postgres(), Database::mysql()]
        .into_iter()
        .flatten()
    {
        let role = database.role();
        match database.name() {
            "mysql" => {
                database.execute(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {role}"))
            }
            _ => database.execute(&format!(
                "REVOKE ALL ON auth_user, django_session FROM {role}"
            )),
        }
        // Without any right MySQL does not even let an account into the database.
        if database.name() == "mysql" {
            database.execute(&format!("GRANT SELECT (id) ON auth_user TO {role}"));
        }
        let checked = check(&database.url, &[LOGIN]);
        let grants: Vec<&str> = checked
            .findings
            .iter()
            .filter(|finding| finding["id"] == "role.missing-grant")
            .map(|finding| finding["advice"].as_str().unwrap())
            .collect();
        let privileges: Vec<&str> = grants
            .iter()
            .map(|grant| grant.split([' ', '(']).nth(1).unwrap())
            .collect();
        let lacking = ["SELECT", "SELECT", "UPDATE", "SELECT", "INSERT", "DELETE"];
        let names = ["REFERENCES"]
            .into_iter()
            .filter(|_| database.name() == "mysql");
        let lacking: Vec<&str> = names.chain(lacking).collect();
        assert_eq!(privileges, lacking, "{grants:?}");
        assert_eq!(checked.code, 1);
        for grant in &grants {
            database.execute(grant);
        }
        let checked = check(&database.url, &[LOGIN]);
        assert_eq!(checked.ids("error"), [""; 0], "{}", checked.text);
        let app = App::over(&database);
        insert_admin(&database);
        assert_eq!(app.login("admin", PASSWORD, None).status, 200);

        // One column among many.
        database.execute(&format!("REVOKE SELECT (email) ON auth_user FROM {role}"));
        let checked = check(&database.url, &[LOGIN]);
        let (_, grant) = checked.finding("error", "role.missing-grant");
        let column = grant.split(" ON ").next().unwrap();
        assert_eq!(column.replace(['"', '`'], ""), "GRANT SELECT (email)");
        database.execute(grant);
        assert_eq!(check(&database.url, &[LOGIN]).ids("error"), [""; 0]);
    }
}

fn insert_admin(database: &Database) {
    database.execute(&format!(
        "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active, \
         is_tv_user, is_movie_user, date_joined) VALUES \
         (1, 'admin', '', '', '', '{ENCODED}', true, true, true, false, false, '2020-01-01 00:00:00')"
    ));
}

#[test]
fn a_role_that_may_do_too_much_or_connect_too_seldom_is_warned_about() {
    for database in [Database::postgres(), Database::mysql()]
        .into_iter()
        .flatten()
    {
        let checked = check(database.admin_url(), &[]);
        checked.assert_warning("role.too-powerful", "which the sidecar never needs");
        let role = database.role();
        let limit = match database.name() {
            "mysql" => format!("ALTER USER {role} WITH MAX_USER_CONNECTIONS 3"),
            _ => format!("ALTER ROLE {role} CONNECTION LIMIT 3"),
        };
        database.execute(&limit);
        let checked = check(&database.url, &[LOGIN]);
        checked.assert_warning(
            "role.connection-limit",
            "the role may have 3 connections, fewer than the 15",
        );
    }
}

#[test]
fn passwords_that_nobody_can_use_are_counted() {
    for database in Database::of_every_kind() {
        let set = |id: u8, password: &str| {
            database.execute(&format!(
                "UPDATE auth_user SET password = '{password}' WHERE id = {id}"
            ));
        };
        set(3, "pbkdf2_sha256$99999999$salt$hash");
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning(
            "passwords.too-costly",
            "the passwords of 1 user (of these 0 active staff)",
        );
        set(1, "pbkdf2_sha256$99999999$salt$hash");
        let checked = check(&database.reading_url, &[]);
        checked.assert_error(
            "passwords.too-costly",
            "the passwords of 2 users (of these 1 active staff)",
        );
        set(1, "md5$salt$hash");
        set(3, "bcrypt$broken");
        let checked = check(
            &database.reading_url,
            &[("DJANGO_PBKDF2_ITERATIONS", "1000000")],
        );
        checked.assert_error(
            "passwords.unknown-hasher",
            "the passwords of 1 user (of these 1 active staff)",
        );
        checked.assert_warning("passwords.malformed", "the passwords of 1 user");
        checked.assert_warning(
            "passwords.iterations",
            "has 1 iterations, DJANGO_PBKDF2_ITERATIONS is 1000000",
        );
        database.execute("UPDATE auth_user SET date_joined = '2999-01-01 00:00:00' WHERE id = 2");
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning("settings.time-zone", "1 users joined in the future");
    }
}

#[test]
fn many_passwords_are_read_in_pieces() {
    for database in Database::of_every_kind() {
        // More than two pieces of MySQL's.
        database.insert_users(100..45_100, |_| "2021-01-01 00:00:00".to_owned());
        let checked = check(&database.reading_url, &[]);
        assert_eq!(
            checked.finding("ok", "passwords.hashers").0,
            "users by hasher: pbkdf2_sha256 with 1 iterations 3; without a password 45001"
        );
    }
}

#[test]
fn a_replica_of_something_else_is_noticed() {
    let (database, other) = (Database::filled_sqlite(), Database::filled_sqlite());
    other.insert_users(100..400, |_| "2021-01-01 00:00:00".to_owned());
    let checked = check(&database.url, &[("DATABASE_READ_URL", &database.url)]);
    checked.finding("ok", "replica.users.table");
    assert_eq!(checked.code, 0);
    let checked = check(&database.url, &[("DATABASE_READ_URL", &other.url)]);
    checked.assert_warning("replica.data", "the replica has 304 users, the primary 4");
    other.execute("ALTER TABLE auth_user RENAME TO people");
    let checked = check(&database.url, &[("DATABASE_READ_URL", &other.url)]);
    checked.assert_error("replica.users.table", "there is no table auth_user");
}

/// A session of this user, as Django makes it.
fn session_of(user_id: &str) -> SessionData {
    let mut data = SessionData::new();
    data.set_str(USER_ID_NAME, user_id);
    data.set_str(BACKEND_NAME, "django.contrib.auth.backends.ModelBackend");
    let key = SecretKey::new(KEY.to_owned());
    data.set_str(AUTH_HASH_NAME, &session_auth_hash(ENCODED, &key));
    data
}

fn insert_data(database: &Database, name: &str, data: &SessionData) -> String {
    let keys = SecretKeys::new(SecretKey::new(KEY.to_owned()), Vec::new());
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
        "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('{key}', '{data}', '{ends} 00:00:00')"
    ));
    key
}

#[test]
fn a_sessions_caller_is_refused_at_the_step_that_refuses_the_request() {
    for database in Database::of_every_kind() {
        let with = |name: &str, text: &str| {
            let mut data = session_of("1");
            data.set_str(name, text);
            data
        };
        let app = App::with(&database, &[("SIDECAR_LOGIN", "off")]);
        let good = insert_data(&database, "good", &session_of("1"));
        let encoded = session_of("1").encode(
            &SecretKeys::new(SecretKey::new(KEY.to_owned()), Vec::new()),
            1_700_000_000,
        );
        let ended = insert_row(&database, "ended", &encoded, "2020-01-01");
        let changed = insert_row(
            &database,
            "changed",
            &encoded.replacen('e', "f", 1),
            "2999-01-01",
        );
        let foreign = insert_session(
            &database,
            "foreign",
            "1",
            "a-key-of-somebody-elses-application",
        );
        let old = insert_session(&database, "fallback", "1", OLD_KEY);
        let anonymous = insert_data(&database, "anonymous", &SessionData::new());
        let bad_id = insert_data(&database, "bad-id", &with(USER_ID_NAME, "x"));
        let backend = insert_data(&database, "backend", &with(BACKEND_NAME, "some.Backend"));
        let gone = insert_data(&database, "gone", &with(USER_ID_NAME, "99"));
        let inactive = insert_data(&database, "inactive", &session_of("2"));
        let hash = insert_data(&database, "hash", &with(AUTH_HASH_NAME, "0"));
        let plain = insert_data(&database, "plain", &session_of("3"));
        for (key, step, words) in [
            ("abc-123", "key", "fewer than 8 characters"),
            ("there-is-no-such-session", "row", "no session of this key"),
            (
                &ended,
                "expired",
                "the session ended at 2020-01-01 00:00:00",
            ),
            (&changed, "data", "signed by none"),
            (&foreign, "data", "signed by none"),
            (&anonymous, "user-id", "nobody has logged in"),
            (&bad_id, "user-id", "no Integer key"),
            (&backend, "backend", "not in DJANGO_AUTHENTICATION_BACKENDS"),
            (&gone, "user", "no longer in the user table"),
            (&inactive, "inactive", "not active"),
            (&hash, "auth-hash", "another password"),
            (
                &plain,
                "staff",
                "plain is recognised, but no member of staff",
            ),
            (&good, "", "admin is a member of staff: admitted"),
            (
                &old,
                "",
                "admin is a member of staff, its auth hash made under a fallback key: admitted",
            ),
        ] {
            let fallbacks = format!(r#"["{OLD_KEY}"]"#);
            let variables = [("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str())];
            let checked = check_with(&database.reading_url, &variables, &["--session", "-"], key);
            assert!(!checked.text.contains(key), "{}", checked.text);
            let served = app.export_as(key).status;
            match step {
                "" => {
                    let (text, _) = checked.finding("ok", "session.staff");
                    assert!(text.starts_with(words), "{text}");
                    assert_eq!((checked.code, served), (0, 200), "{}", checked.text);
                }
                step => {
                    checked.assert_error(&format!("session.refused.{step}"), words);
                    assert_eq!(served, 403, "{step}");
                }
            }
            let by_argument = Checked::of(
                command(&database.reading_url, &variables, &["--session", key])
                    .output()
                    .unwrap(),
            );
            assert_eq!(by_argument.findings, checked.findings);
        }
    }
}

#[test]
fn a_users_refusal_is_explained_and_a_password_comes_by_standard_input() {
    for database in Database::of_every_kind() {
        database.execute(
            "UPDATE auth_user SET password = 'md5$salt$hash', is_staff = true WHERE id = 4",
        );
        let user = |name: &str| {
            let output = command(&database.reading_url, &[], &["--user", name]).output();
            Checked::of(output.unwrap())
        };
        let checked = user("admin");
        checked.finding("ok", "user.staff");
        assert_eq!(
            checked.finding("ok", "user.password").0,
            "pbkdf2_sha256 with 1 iterations"
        );
        assert_eq!(checked.code, 0);
        user("nobody").assert_error("user.refused.name", "there is no such user");
        user("dormant").assert_error("user.refused.inactive", "who is not active");
        user("plain").assert_error("user.refused.staff", "no member of staff");
        let checked = user("björn");
        checked.assert_error("user.refused.password", "outside Django's defaults");
        // MySQL's collation holds them for the same, and so does Django there.
        if database.name() != "mysql" {
            let checked = user("Admin");
            checked.assert_error("user.refused.name", "upper and lower case count");
            assert_eq!(
                checked.finding("error", "user.refused.name").1,
                "there is: admin"
            );
        }
        let with_password = |password: &str| {
            let arguments = ["--user", "admin", "--password-stdin"];
            check_with(&database.reading_url, &[], &arguments, password)
        };
        let checked = with_password(PASSWORD);
        checked.finding("ok", "user.given-password");
        assert_eq!(checked.code, 0, "{}", checked.text);
        let checked = with_password("another");
        checked.finding("error", "user.refused.given-password");
        assert_eq!(checked.code, 1);
    }
}
