//! What `check` finds of tables, roles and replicas; the statements that it prints mend it.

use super::{LOGIN, check};
use crate::app::App;
use crate::database::{Database, ENCODED, PASSWORD};

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
fn the_table_of_tokens_is_checked_where_an_authenticator_reads_it() {
    let tokens = r#"[{"kind": "token", "challenge": null, "keyword": "Token", "table": "authtoken_token", "key": "key",
        "user": "user_id"}]"#;
    let variables = [("DJANGO_REST_AUTHENTICATION", tokens)];
    for database in Database::of_every_kind() {
        // MySQL refuses an account without rights on a table in the same words whether or not the table exists.
        if database.name() != "mysql" {
            let checked = check(&database.reading_url, &variables);
            checked.assert_error("tokens.table", "there is no table authtoken_token");
        }
        let key = match database.name() {
            "mysql" => "`key`",
            _ => "key",
        };
        database.execute(&format!(
            "CREATE TABLE authtoken_token ({key} varchar(40) PRIMARY KEY, created varchar(40), user_id integer)"
        ));
        if database.name() != "sqlite" {
            let checked = check(&database.reading_url, &variables);
            let (_, statement) = checked.finding("error", "role.missing-grant");
            assert!(statement.contains("SELECT"), "{statement}");
            database.execute(statement);
        }
        let checked = check(&database.reading_url, &variables);
        checked.finding("ok", "tokens.table");
        database.execute("ALTER TABLE authtoken_token DROP COLUMN user_id");
        let checked = check(&database.reading_url, &variables);
        checked.assert_error("tokens.columns", "has no column user_id");
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

        // MySQL takes the name of a database for a pattern.
        if database.name() == "mysql" {
            let name = database.database_name();
            let pattern = name.replace('_', "\\_");
            database.execute(&format!(
                "REVOKE DELETE ON django_session FROM {role}; GRANT DELETE ON `{pattern}`.* TO {role}"
            ));
            assert_eq!(check(&database.url, &[LOGIN]).ids("error"), [""; 0]);
        }

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
        "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, \
         is_active, is_tv_user, is_movie_user, date_joined) VALUES \
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
            "the role may have 3 connections, fewer than the 17",
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
