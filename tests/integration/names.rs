//! The names by which users log in: `DJANGO_PASSWORD_BACKENDS`, with allauth's ways to find a user.

use crate::app::{App, KEY, insert_session};
use crate::client::{Wire, basic};
use crate::database::{Database, ENCODED, PASSWORD};
use crate::ports::free_address;
use crate::telemetry::{eventually, get};

const ALLAUTH: &str = "allauth.account.auth_backends.AuthenticationBackend";

/// Users whose names and addresses differ in case alone, share an address, or are not active.
const MORE_USERS: [(u8, &str, &str, bool); 9] = [
    (11, "Carol", "carol@example.com", true),
    (12, "Dave", "Mixed@Example.com", true),
    (13, "eve", "eve@example.com", true),
    (14, "frank", "shared@example.com", false),
    (15, "grace", "shared@example.com", true),
    (16, "heidi_", "heidi@example.com", true),
    (17, "heidix", "", true),
    (18, "mallory", "admin2@example.com", true),
    (19, "ÅSA", "åsa@example.com", true),
];

/// allauth's table with an address of the administrator that is verified, and one of `eve` that is not; `mallory` has the
/// administrator's second address in her own column.
pub fn with_addresses() -> Vec<Database> {
    let databases = Database::of_every_kind();
    for database in &databases {
        database.execute(
            "CREATE TABLE account_emailaddress (id integer PRIMARY KEY, email varchar(254) NOT NULL, \
             verified bool NOT NULL, \"primary\" bool NOT NULL, user_id bigint NOT NULL)"
                .replace('"', if database.name() == "mysql" { "`" } else { "\"" })
                .as_str(),
        );
        database.execute(
            "INSERT INTO account_emailaddress VALUES (1, 'admin2@example.com', true, true, 1), \
             (2, 'eve2@example.com', false, true, 13), (3, 'eve2@example.com', false, false, 3)",
        );
        for (id, name, email, is_active) in MORE_USERS {
            database.execute(&format!(
                "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, \
                 is_active, is_tv_user, is_movie_user, date_joined) VALUES ({id}, '{name}', '', '', '{email}', \
                 '{ENCODED}', false, true, {is_active}, false, false, '2020-01-01 00:00:00')"
            ));
        }
        database.grant_addresses();
    }
    databases
}

pub fn backends(names: &str) -> [(&'static str, String); 2] {
    [
        (
            "DJANGO_AUTHENTICATION_BACKENDS",
            format!(r#"["{ALLAUTH}"]"#),
        ),
        (
            "DJANGO_PASSWORD_BACKENDS",
            format!(r#"[{{"backend":"{ALLAUTH}","names":{names}}}]"#),
        ),
    ]
}

fn app(database: &Database, names: &str) -> App {
    let variables = backends(names);
    App::with(
        database,
        &variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str())),
    )
}

/// The name of the user who logs in.
fn who(app: &App, name: &str, password: &str) -> Option<String> {
    let answer = app.login(name, password, None);
    assert!(
        [200, 401].contains(&answer.status),
        "{name}: {}",
        answer.text()
    );
    let user = &answer.json()["user"]["username"];
    user.as_str().map(str::to_owned)
}

#[test]
fn an_address_is_looked_up_as_allauth_does() {
    for database in with_addresses() {
        let app = app(&database, r#"["email"]"#);
        for (name, user) in [
            ("admin@example.com", Some("admin")),
            ("ADMIN@Example.COM", Some("admin")),
            // A verified address counts alone, whoever has it in a column.
            ("admin2@example.com", Some("admin")),
            // One that is not verified counts like a column. Of its two users, the first by key is `plain`.
            ("eve2@example.com", Some("plain")),
            ("ÅSA@example.com", Some("ÅSA")),
            // Of two users, the active one.
            ("shared@example.com", Some("grace")),
            ("admin", None),
            ("nobody@example.com", None),
            // The users without an address have the empty one.
            ("", None),
        ] {
            assert_eq!(
                who(&app, name, PASSWORD).as_deref(),
                user,
                "{} {name}",
                database.name()
            );
        }
        // allauth looks for the address in lower case; only a collation that ignores case finds this one.
        let mixed = (database.name() == "mysql").then_some("Dave");
        assert_eq!(
            who(&app, "mixed@example.com", PASSWORD).as_deref(),
            mixed,
            "{}",
            database.name()
        );
        assert_eq!(who(&app, "admin@example.com", "wrong"), None);
        assert_eq!(who(&app, "admin@example.com", ""), None);
        database
            .execute("UPDATE auth_user SET email = 'crowd@example.com' WHERE id > 10 AND id < 16");
        assert_eq!(
            who(&app, "crowd@example.com", PASSWORD),
            None,
            "{}",
            database.name()
        );
    }
}

#[test]
fn a_name_is_looked_up_in_any_case_or_in_lower_case() {
    for database in with_addresses() {
        let (any, lower) = (
            app(&database, r#"["username-any-case"]"#),
            app(&database, r#"["username-lower"]"#),
        );
        let ignores_case = database.name() == "mysql";
        for (name, by_any, by_lower) in [
            ("admin", Some("admin"), Some("admin")),
            ("ADMIN", Some("admin"), Some("admin")),
            ("carol", Some("Carol"), ignores_case.then_some("Carol")),
            // Neither is a pattern.
            ("heidi_", Some("heidi_"), Some("heidi_")),
            ("%", None, None),
            ("dormant", None, None),
            ("admin@example.com", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                who(&any, name, PASSWORD).as_deref(),
                by_any,
                "{} {name}",
                database.name()
            );
            assert_eq!(
                who(&lower, name, PASSWORD).as_deref(),
                by_lower,
                "{} {name}",
                database.name()
            );
        }
        // SQLite's LIKE knows the case of ASCII alone.
        let other_case = (database.name() != "sqlite").then_some("ÅSA");
        assert_eq!(
            who(&any, "åsa", PASSWORD).as_deref(),
            other_case,
            "{}",
            database.name()
        );
        if !ignores_case {
            database.execute("UPDATE auth_user SET username = 'CAROL' WHERE id = 12");
            assert_eq!(
                who(&any, "carol", PASSWORD),
                None,
                "two users differ in case alone"
            );
            assert_eq!(
                who(&any, "Carol", PASSWORD),
                None,
                "two users differ in case alone"
            );
        }
    }
}

#[test]
fn the_first_way_whose_password_is_right_decides() {
    let database = &with_addresses()[0];
    database
        .execute("UPDATE auth_user SET username = 'eve@example.com', password = '!' WHERE id = 11");
    let both = app(database, r#"["username-any-case","email"]"#);
    assert_eq!(
        who(&both, "EVE@example.com", PASSWORD).as_deref(),
        Some("eve")
    );
    database.execute(&format!(
        "UPDATE auth_user SET password = '{ENCODED}' WHERE id = 11"
    ));
    assert_eq!(
        who(&both, "EVE@example.com", PASSWORD).as_deref(),
        Some("eve@example.com")
    );
    assert_eq!(who(&both, "EVE@example.com", "wrong"), None);
}

#[test]
fn where_no_backend_takes_a_password_basic_refuses_and_sessions_stay_good() {
    let remote = "django.contrib.auth.backends.RemoteUserBackend";
    let both = format!(r#"["{remote}", "django.contrib.auth.backends.ModelBackend"]"#);
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let variables = [
        ("DJANGO_AUTHENTICATION_BACKENDS", both.as_str()),
        ("DJANGO_PASSWORD_BACKENDS", "[]"),
        ("SIDECAR_LOGIN", "off"),
        ("SIDECAR_LOGIN_RATE", "1/hour"),
    ];
    let app = App::with(&database, &variables);
    let basic = [("Authorization", "Basic YWRtaW46Y29ycmVjdCBob3JzZQ==")];
    let answer = app.get("/api/admin/export-users/", &basic);
    assert_eq!(
        (answer.status, answer.text()),
        (403, r#"{"detail":"Invalid username/password."}"#)
    );
    let second = app.get("/api/admin/export-users/", &basic);
    assert_eq!(second.status, 429);
    assert_eq!(app.export_as(&session).status, 200);
}

/// Waits until this many passwords are being checked, or wait.
fn wait_for_queue(ops: &str, length: usize) {
    let line = format!("\nsidecar_password_queue_length {length}\n");
    eventually(&line, || {
        let metrics = get(ops, "/metrics", &[]);
        metrics.text().contains(&line).then_some(())
    });
}

#[test]
fn clients_that_leave_start_no_more_looks_through_the_table_than_two_and_count_as_failed() {
    let Some(database) = Database::postgres() else {
        return;
    };
    database.insert_the_usual_users();
    let mut variables = backends(r#"["username-any-case"]"#).to_vec();
    let ops = free_address();
    variables.push(("SIDECAR_OPS_BIND", ops.clone()));
    variables.push(("SIDECAR_LOGIN_RATE", "3/hour".to_owned()));
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let app = App::with(&database, &variables);
    assert_eq!(who(&app, "admin", PASSWORD).as_deref(), Some("admin"));
    let mut locker = database.connect();
    locker("BEGIN; LOCK TABLE auth_user");
    // The body that never comes lets the server see that its client is gone.
    let request = |name: &str| {
        format!(
            "GET /api/admin/export-stats/ HTTP/1.1\r\nHost: testserver\r\nAuthorization: {}\r\nContent-Length: 9\r\n\r\n",
            basic(name, "wrong")
        )
    };
    let ask = |name: &str| {
        let mut client = Wire::to(&app.address);
        assert!(client.say(request(name)));
        client
    };
    let looks = || {
        database.count(
            "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
    };
    let clients = ["a", "b", "c", "d"].map(ask);
    wait_for_queue(&ops, 4);
    eventually("two looks", || (looks() == 2).then_some(()));
    clients.into_iter().for_each(Wire::reset);
    wait_for_queue(&ops, 0);
    // The two statements go on, so that the next client waits.
    let mut next = ask("e");
    wait_for_queue(&ops, 1);
    assert_eq!(looks(), 2);
    locker("ROLLBACK");
    next.say("123456789");
    assert_eq!(next.answer().unwrap().status, 403);
    let basic = basic("admin", PASSWORD);
    let answer = app.get(
        "/api/admin/export-stats/",
        &[("Authorization", basic.as_str())],
    );
    assert_eq!(answer.status, 429, "{}", answer.text());
}

#[test]
fn login_moves_to_its_mount() {
    let database = Database::filled_sqlite();
    let app = App::with(
        &database,
        &[
            ("SIDECAR_LOGIN_MOUNT", "/shop/api/"),
            ("SIDECAR_MOUNT", "/shop/api/admin"),
        ],
    );
    let json = [("Content-Type", "application/json")];
    let body = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
    assert_eq!(app.send("POST", "/api/login/", &json, &body).status, 404);
    let answer = app.send("POST", "/shop/api/login/", &json, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cookie = format!("sessionid={}", answer.cookie("sessionid").unwrap());
    let redirect = app.get("/shop/api/login", &[]);
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (301, Some("/shop/api/login/"))
    );
    let logout = app.send("POST", "/shop/api/logout/", &[("Cookie", &cookie)], "");
    assert_eq!(logout.status, 200);
    let described = app.get("/shop/api/admin/openapi.json", &[]).json();
    for path in [
        "/shop/api/login/",
        "/shop/api/logout/",
        "/shop/api/admin/export-users/",
    ] {
        assert!(described["paths"][path].is_object(), "{path}");
    }
    assert!(described["paths"]["/api/login/"].is_null());
    let root = App::with(&database, &[("SIDECAR_LOGIN_MOUNT", "/")]);
    assert_eq!(root.send("POST", "/login/", &json, &body).status, 200);
}

#[test]
fn without_allauths_table_no_address_gets_in_and_the_service_is_not_ready() {
    let database = Database::filled_sqlite();
    let app = app(&database, r#"["email"]"#);
    let answer = app.login("admin@example.com", PASSWORD, None);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(app.get("/readyz", &[]).status, 503);
}
