//! Columns that are not as Django's own migrations make them: other types, collations and character sets, computed ones,
//! ones that the model has taken away, unsigned keys. `tests/differential/test_columns.py` asks a live Django.

use crate::app::{App, KEY, insert_session};
use crate::check::check;
use crate::client::basic;
use crate::database::{Database, PASSWORD};

const EXPORT: &str = "/api/admin/export-users/";
const PAGE: &str = "/api/admin/";

/// Databases whose texts have no character outside of Latin-1.
fn latin1() -> Vec<Database> {
    let postgres = Database::postgres_with("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let mysql = Database::mysql();
    if let Some(mysql) = &mysql {
        for table in ["auth_user", "django_session"] {
            mysql.execute(&format!(
                "ALTER TABLE {table} CONVERT TO CHARACTER SET latin1"
            ));
        }
    }
    let databases = postgres.into_iter().chain(mysql);
    databases
        .inspect(Database::insert_the_usual_users)
        .collect()
}

#[test]
fn a_name_outside_of_the_databases_character_set_is_no_user() {
    for database in latin1() {
        let session = insert_session(&database, "admin", "1", KEY);
        let name = database.name();
        for prepares in ["on", "off"] {
            let variables = [
                ("SIDECAR_LOGIN_RATE", "3/min"),
                ("SIDECAR_PREPARED_STATEMENTS", prepares),
            ];
            let app = App::with(&database, &variables);
            let search = |text: &str| {
                let cookie = format!("sessionid={session}");
                let page = app.get(&format!("{PAGE}?q={text}"), &[("Cookie", &cookie)]);
                (page.status, page.text().contains("scope=\"row\">björn<"))
            };
            // ł, and then ö.
            assert_eq!(search("%C5%82ukasz"), (200, false), "{name}");
            assert_eq!(search("bj%C3%B6rn"), (200, true), "{name}");

            let outside = app.get(EXPORT, &[("Cookie", "sessionid=łłłłłłłłłł")]);
            assert_eq!(outside.status, 403, "{name}");
            assert_eq!(
                outside.cookie("sessionid").as_deref(),
                Some("\"\""),
                "{name}"
            );
            let login = app.login("admin", PASSWORD, Some("łłłłłłłłłł"));
            assert_eq!(login.status, 200, "{name}: {}", login.text());
            let headers = [
                ("Cookie", "sessionid=łłłłłłłłłł"),
                ("Content-Type", "application/json"),
            ];
            let logout = app.send("POST", "/api/logout/", &headers, "");
            assert_eq!(logout.status, 200, "{name}: {}", logout.text());

            // As many wrong passwords as there may be.
            let statuses = ["łukasz", "łukasz", "łucja", "admin"].map(|username| {
                let credentials = basic(username, PASSWORD);
                app.get(EXPORT, &[("Authorization", &credentials)]).status
            });
            assert_eq!(statuses, [403, 403, 403, 429], "{name}");
        }
    }
}

#[test]
fn a_name_outside_of_the_character_set_is_refused_at_login() {
    let model = "django.contrib.auth.backends.ModelBackend";
    let names = r#"["username","username-lower","username-any-case"]"#;
    let in_any_case = format!(r#"[{{"backend":"{model}","names":{names}}}]"#);
    for database in latin1() {
        for variables in [
            vec![],
            vec![("DJANGO_PASSWORD_BACKENDS", in_any_case.as_str())],
        ] {
            let app = App::with(&database, &variables);
            for (name, status) in [("łukasz", 401), ("ŁUKASZ", 401), ("admin", 200)] {
                let login = app.login(name, PASSWORD, None);
                assert_eq!(login.status, status, "{} {name}", database.name());
            }
        }
    }
}

#[test]
fn types_of_postgres_decide_who_is_meant() {
    let Some(database) = Database::postgres() else {
        return;
    };
    database.insert_the_usual_users();
    database.execute(
        "CREATE EXTENSION citext; CREATE DOMAIN login AS citext; CREATE DOMAIN user_id AS bigint; \
         CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         ALTER TABLE auth_user ALTER username TYPE login, ALTER id DROP IDENTITY; ALTER TABLE auth_user ALTER id TYPE user_id, \
         ALTER email TYPE varchar(254) COLLATE caseless; ALTER TABLE django_session ALTER session_key TYPE citext",
    );
    let checked = check(&database.reading_url, &[]);
    assert_eq!(checked.ids("error"), [""; 0], "{}", checked.text);
    checked.finding("ok", "users.table");
    let app = App::over(&database);
    let session = insert_session(&database, "admin", "1", KEY).to_uppercase();
    assert_eq!(app.export_as(&session).status, 200);
    assert_eq!(app.login("ADMIN", PASSWORD, None).status, 200);
    // PostgreSQL 15 refuses LIKE on the column's own collation.
    let cookie = format!("sessionid={session}");
    for (search, expected) in [("B@EXAM", true), ("nobody@", false)] {
        let page = app.get(&format!("{PAGE}?q={search}"), &[("Cookie", &cookie)]);
        assert_eq!(page.status, 200, "{}", page.text());
        assert_eq!(
            page.text().contains("scope=\"row\">björn<"),
            expected,
            "{search}"
        );
    }
}

#[test]
fn a_column_that_sqlite_computes_is_a_column() {
    let database = Database::filled_sqlite();
    database.execute(
        "ALTER TABLE auth_user DROP COLUMN is_tv_user; ALTER TABLE auth_user DROP COLUMN is_staff; \
         ALTER TABLE auth_user ADD COLUMN is_tv_user bool GENERATED ALWAYS AS (id = 3) VIRTUAL; \
         ALTER TABLE auth_user ADD COLUMN is_staff bool GENERATED ALWAYS AS (id = 1) VIRTUAL",
    );
    let checked = check(&database.url, &[]);
    assert_eq!(checked.ids("error"), [""; 0], "{}", checked.text);
    checked.finding("ok", "users.table");
    let checked = check(&database.url, &[("DJANGO_USER_TABLE", "people")]);
    let (_, advice) = checked.finding("error", "users.table");
    assert!(advice.ends_with("look like one: auth_user"), "{advice}");
    let session = insert_session(&database, "admin", "1", KEY);
    let answer = App::over(&database).export_as(&session);
    assert_eq!(
        answer.json()["users"][0]["username"],
        "plain",
        "{}",
        answer.text()
    );
}

#[test]
fn fields_that_the_model_has_set_to_none_are_empty_in_every_format() {
    for database in Database::of_every_kind() {
        for column in ["username", "first_name", "last_name"] {
            database.execute(&format!(
                "ALTER TABLE auth_user RENAME COLUMN {column} TO other_{column}"
            ));
        }
        let by_email = ("DJANGO_USERNAME_FIELD", "email");
        let checked = check(&database.reading_url, &[by_email]);
        let (text, advice) = checked.finding("warning", "users.export-columns");
        assert!(
            text.contains("where the model sets the field to None it exports null"),
            "{text}"
        );
        let none = (
            "DJANGO_USER_FIELDS_NONE",
            r#"["username","first_name","last_name"]"#,
        );
        assert!(
            advice.contains(&format!("{}='{}'", none.0, none.1)),
            "{advice}"
        );
        let checked = check(&database.reading_url, &[by_email, none]);
        assert!(
            !checked.ids("warning").contains(&"users.export-columns"),
            "{}",
            checked.text
        );

        let app = App::with(&database, &[by_email, none]);
        let login = app.login("admin@example.com", PASSWORD, None);
        assert_eq!(login.status, 200, "{}", database.name());
        let cookie = format!("sessionid={}", login.cookie("sessionid").unwrap());
        let get = |target: &str| {
            let answer = app.get(target, &[("Cookie", &cookie)]);
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            answer.text().to_owned()
        };
        let json = r#"{"id":4,"username":null,"email":"b@example.com","first_name":null,"last_name":null,"#;
        assert!(get(EXPORT).contains(json));
        assert!(get(&format!("{EXPORT}?format=ndjson")).starts_with(json));
        assert!(get(&format!("{EXPORT}?format=csv")).contains("\r\n4,,b@example.com,,,true,"));
        assert!(get(&format!("{EXPORT}?limit=1&after_id=3")).contains(json));
        assert!(get(&format!("{PAGE}?q=B@EXAMPLE")).contains("b@example.com"));
    }
}

#[test]
fn pages_of_users_go_on_behind_unsigned_keys() {
    let Some(database) = Database::mysql() else {
        return;
    };
    database.insert_the_usual_users();
    database.execute("ALTER TABLE auth_user MODIFY id bigint unsigned NOT NULL");
    let big: Vec<u64> = (u64::MAX - 25..=u64::MAX).collect();
    database.insert_users(big.iter().copied(), |_| "2021-01-01 00:00:00".to_owned());
    database.execute(&format!("UPDATE auth_user SET is_staff = true, password = (SELECT password FROM (SELECT * FROM auth_user) AS u WHERE id = 1) WHERE id = {}", u64::MAX));
    let session = insert_session(&database, "big", &u64::MAX.to_string(), KEY);
    let app = App::over(&database);
    let users = |query: &str| {
        let answer = app.get(
            &format!("{EXPORT}{query}"),
            &[("Cookie", &format!("sessionid={session}"))],
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        let users = answer.json()["users"].as_array().unwrap().clone();
        users
            .iter()
            .map(|user| user["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(users(&format!("?after_id={}", u64::MAX - 2)), big[24..]);
    assert_eq!(users("?after_id=9223372036854775807"), big);
    assert_eq!(users("").len(), 28);
    let page = app.get(
        &format!("{PAGE}?after={}", u64::MAX - 3),
        &[("Cookie", &format!("sessionid={session}"))],
    );
    assert_eq!(page.text().matches("scope=\"row\">user").count(), 3);
    let login = app.login(&format!("user{}", u64::MAX), PASSWORD, None);
    assert_eq!(login.json()["user"]["id"], u64::MAX);
}

#[test]
fn the_page_shows_users_where_the_statistics_fail() {
    let database = Database::filled_sqlite();
    database.execute("ALTER TABLE auth_user DROP COLUMN is_movie_user");
    let app = App::with(
        &database,
        &[("DJANGO_USER_FIELDS_NONE", r#"["is_movie_user"]"#)],
    );
    let login = app.login("admin", PASSWORD, None);
    let cookie = format!("sessionid={}", login.cookie("sessionid").unwrap());
    let get = |target: &str| {
        let answer = app.get(target, &[("Cookie", &cookie), ("Accept", "text/html")]);
        (answer.status, answer.text().contains("b@example.com"))
    };
    assert_eq!(get(PAGE), (200, true));
    assert_eq!(get(EXPORT), (200, true));
    assert_eq!(get("/api/admin/export-stats/"), (500, false));
    let json = app.get(EXPORT, &[("Cookie", &cookie)]);
    assert!(
        json.text().contains(r#""movie_service":null"#),
        "{}",
        json.text()
    );
}
