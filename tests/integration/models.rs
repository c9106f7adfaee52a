//! Custom user models: other tables, other keys, other username columns.

use crate::app::{App, KEY, insert_session};
use crate::database::{Database, PASSWORD};

const ID: &str = "0c5e2b1e-7a3f-4d0a-9c5b-2f4d8e6a1b3c";

/// A user table named `Accounts "user"` with a UUID key and an e-mail address for a name, next to Django's sessions.
fn with_uuid_users() -> Vec<Database> {
    let databases = Database::of_every_kind();
    for database in &databases {
        let (table, key_type, key) = match database.name() {
            "postgres" => ("\"Accounts user\"", "uuid", ID.to_owned()),
            "mysql" => ("`Accounts user`", "char(32)", ID.replace('-', "")),
            _ => ("\"Accounts user\"", "char(32)", ID.replace('-', "")),
        };
        let columns = "username, email, first_name, last_name, password, is_staff, is_active, is_tv_user, is_movie_user, last_login, date_joined";
        database.execute(&format!(
            "CREATE TABLE {table} AS SELECT {columns} FROM auth_user WHERE id = 1"
        ));
        database.execute(&format!("ALTER TABLE {table} ADD COLUMN id {key_type}"));
        database.execute(&format!(
            "UPDATE {table} SET id = '{key}', is_tv_user = true"
        ));
        database.grant("Accounts user");
    }
    databases
}

#[test]
fn mariadbs_own_uuid_type_is_a_uuid_key() {
    let databases = with_uuid_users();
    let Some(database) = databases.iter().find(|database| database.name() == "mysql") else {
        return;
    };
    database.execute("ALTER TABLE `Accounts user` MODIFY id uuid");
    let app = App::with(database, &VARIABLES);
    let session = insert_session(database, "uuid", ID, KEY);
    let answer = app.export_as(&session);
    assert_eq!(
        (answer.status, &answer.json()["users"][0]["id"]),
        (200, &serde_json::json!(ID))
    );
}

const VARIABLES: [(&str, &str); 2] = [
    ("DJANGO_USER_TABLE", "Accounts user"),
    ("DJANGO_USERNAME_FIELD", "email"),
];

#[test]
fn users_with_uuid_keys_in_another_table_are_recognised_and_exported() {
    for database in with_uuid_users() {
        let app = App::with(&database, &VARIABLES);
        let session = insert_session(&database, "uuid", ID, KEY);
        let answer = app.export_as(&session);
        assert_eq!(answer.status, 200, "{}", database.name());
        assert_eq!(answer.json()["users"][0]["id"], ID, "{}", database.name());
    }
}

#[test]
fn users_log_in_by_the_configured_column() {
    for database in with_uuid_users() {
        let app = App::with(&database, &VARIABLES);
        let answer = app.login("admin@example.com", PASSWORD, None);
        assert_eq!(answer.status, 200, "{}", database.name());
        assert_eq!(answer.json()["user"]["id"], ID);
        assert_eq!(
            app.export_as(&answer.cookie("sessionid").unwrap()).status,
            200
        );
        assert_eq!(app.login("admin", PASSWORD, None).status, 401);
    }
}

#[test]
fn big_integer_keys_print_as_numbers() {
    let database = Database::filled_sqlite();
    database.execute("UPDATE auth_user SET id = 9007199254740993 WHERE id = 3");
    let session = insert_session(&database, "admin", "1", KEY);
    let answer = App::over(&database).export_as(&session);
    assert!(
        answer
            .text()
            .contains(r#"{"id":9007199254740993,"username":"plain""#),
        "{}",
        answer.text()
    );
}
