//! The roles that `deploy/grants-*.sql` make: the database refuses every statement that the service does not need. All
//! other tests on a server use these roles. And the warning about a role that may do more.

use crate::app::KEY;
use crate::client::send;
use crate::database::{Database, READ_OF_SESSIONS, READ_OF_USERS};
use crate::program::Program;

fn on_servers() -> impl Iterator<Item = Database> {
    [Database::postgres(), Database::mysql()]
        .into_iter()
        .flatten()
}

/// What no role of ours may do.
const NEVER: [&str; 14] = [
    "SELECT is_superuser FROM auth_user",
    "SELECT last_login FROM auth_user",
    "SELECT * FROM auth_user",
    "SELECT id FROM another_table",
    "UPDATE auth_user SET password = 'x'",
    "UPDATE auth_user SET is_staff = true",
    "UPDATE auth_user SET id = 2",
    "INSERT INTO auth_user (id, username) VALUES (2, 'x')",
    "DELETE FROM auth_user",
    "UPDATE django_session SET session_data = 'x'",
    "CREATE TABLE mine (id integer)",
    "ALTER TABLE auth_user ADD COLUMN mine integer",
    "DROP TABLE django_session",
    "TRUNCATE TABLE django_session",
];

/// What login does.
const LOGIN: [&str; 3] = [
    "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('k', 'd', '2999-01-01')",
    "DELETE FROM django_session WHERE session_key = 'k'",
    "UPDATE auth_user SET last_login = '2021-01-01' WHERE id = 1",
];

fn assert_refused(database: &Database, url: &str, statement: &str) {
    let refusal = database.try_as(url, statement).expect_err(statement);
    let words = match database.name() {
        "postgres" => ["permission denied for ", "must be owner of table "],
        _ => [" command denied to user ", "Access denied; you need "],
    };
    assert!(
        words.iter().any(|words| refusal.contains(words)),
        "{statement}: {refusal}"
    );
}

#[test]
fn what_the_service_does_not_do_is_refused_by_the_database() {
    for database in on_servers() {
        database.execute("CREATE TABLE another_table (id integer)");
        for statement in NEVER {
            assert_refused(&database, &database.url, statement);
            assert_refused(&database, &database.reading_url, statement);
        }
        for statement in LOGIN {
            assert_eq!(database.try_as(&database.url, statement), Ok(()));
            assert_refused(&database, &database.reading_url, statement);
        }
    }
}

/// What the database itself has on file for `role`: privileges on columns, by column, and those on whole tables.
fn on_file(database: &Database, role: &str) -> (i64, i64) {
    match database.name() {
        "postgres" => (
            database.count(&format!(
                "pg_attribute, aclexplode(attacl) WHERE grantee = '{role}'::regrole"
            )),
            database.count(&format!(
                "pg_class, aclexplode(relacl) WHERE grantee = '{role}'::regrole"
            )),
        ),
        _ => {
            let of_role = format!("WHERE grantee = '''{role}''@''%'''");
            (
                database.count(&format!("information_schema.column_privileges {of_role}")),
                database.count(&format!("information_schema.table_privileges {of_role}")),
            )
        }
    }
}

#[test]
fn the_grants_are_those_of_the_columns_that_are_read_and_written_and_no_more() {
    let read = (READ_OF_USERS.len() + READ_OF_SESSIONS.len()) as i64;
    // A session's three columns, and `last_login`.
    let written = 4;
    for database in on_servers() {
        // On MySQL, to see the names of all columns.
        let names = i64::from(database.name() == "mysql");
        let name = database.database_name();
        let (reads, login) = (format!("{name}_reads"), format!("{name}_login"));
        for _ in 0..2 {
            assert_eq!(on_file(&database, &reads), (read, names));
            // A session is deleted whole.
            assert_eq!(on_file(&database, &login), (read + written, names + 1));
            // The file takes back what it does not name.
            for role in [&reads, &login] {
                let role = match database.name() {
                    "mysql" => format!("'{role}'@'%'"),
                    _ => role.clone(),
                };
                database.execute(&format!(
                    "GRANT UPDATE (password) ON auth_user TO {role}; GRANT INSERT ON django_session TO {role}"
                ));
            }
            assert_ne!(on_file(&database, &reads), (read, names));
            database.grant("auth_user");
        }
    }
}

/// The lines of the log that name a file of grants, after a few callers have come at once.
fn warnings(database: &Database, url: &str) -> Vec<String> {
    let folder = tempfile::TempDir::new().unwrap();
    let log_file = folder.path().join("log");
    let variables = [
        ("DATABASE_URL", url),
        ("SIDECAR_LOG_FILE", log_file.to_str().unwrap()),
    ];
    let program = Program::serve(database, &variables);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cookie = [("Cookie", "sessionid=nobodys-session")];
                let answer = send(
                    &program.address,
                    "GET",
                    "/api/admin/export-users/",
                    &cookie,
                    "",
                );
                assert_eq!(answer.status, 403);
            });
        }
    });
    // At its end all lines are written.
    drop(program);
    let log = std::fs::read_to_string(&log_file).unwrap();
    assert!(!log.contains(KEY) && !log.contains("IDENTIFIED"), "{log}");
    let lines = log.lines().filter(|line| line.contains("deploy/grants-"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_role_that_may_do_too_much_is_warned_about_once() {
    for database in on_servers() {
        let kind = database.name();
        let assert_warned = |url: &str, power: &str| {
            let found = warnings(&database, url);
            let expected = format!(
                "the database role {power}, which the sidecar never needs: give it a role of its own with deploy/grants-{kind}.sql"
            );
            assert!(
                found.len() == 1 && found[0].contains("WARN") && found[0].ends_with(&expected),
                "{found:?}"
            );
        };
        assert_eq!(warnings(&database, &database.url), [""; 0]);
        assert_eq!(warnings(&database, &database.reading_url), [""; 0]);
        let admin = match kind {
            "mysql" => "may do everything",
            _ => "is a superuser",
        };
        assert_warned(database.admin_url(), admin);

        let role = database.role();
        for privileges in ["INSERT (password)", "UPDATE (password)", "UPDATE"] {
            database.grant("auth_user");
            database.execute(&format!("GRANT {privileges} ON auth_user TO {role}"));
            assert_warned(&database.url, "may write passwords");
        }
        let (more, power) = match kind {
            "mysql" => (
                format!("GRANT CREATE USER ON *.* TO {role}"),
                "may create users",
            ),
            _ => (format!("ALTER ROLE {role} CREATEROLE"), "may create roles"),
        };
        database.execute(&more);
        assert_warned(&database.url, power);

        if kind == "mysql" {
            database.grant("auth_user");
            let bundle = format!("{}_role", database.database_name());
            database.execute(&format!(
                "CREATE ROLE {bundle}; GRANT SUPER ON *.* TO {bundle}; GRANT {bundle} TO {role}; \
                 SET DEFAULT ROLE {bundle} FOR {role}"
            ));
            assert_warned(&database.url, "is a superuser");
        }
    }
}
