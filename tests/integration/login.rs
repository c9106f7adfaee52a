//! `POST /api/login/` and `POST /api/logout/`.

use crate::app::{App, KEY, insert_session};
use crate::database::{Database, PASSWORD};

#[test]
fn login_makes_a_session_that_opens_the_export_and_logout_ends_it() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let answer = app.login("admin", PASSWORD, None);
        let expected = r#"{"success":true,"user":{"id":1,"username":"admin","is_staff":true}}"#;
        assert_eq!(
            (answer.status, answer.text()),
            (200, expected),
            "{}",
            database.name()
        );
        let key = answer.cookie("sessionid").unwrap();
        assert!(
            key.len() == 32
                && key
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "{key}"
        );
        let set = answer.header("set-cookie").unwrap();
        assert!(
            set.contains("; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"),
            "{set}"
        );
        assert_eq!(database.count("auth_user WHERE last_login IS NOT NULL"), 1);
        assert_eq!(app.export_as(&key).status, 200);

        let cookie = format!("sessionid={key}");
        let logout = app.send("POST", "/api/logout/", &[("Cookie", &cookie)], "");
        assert_eq!((logout.status, logout.text()), (200, r#"{"success":true}"#));
        assert!(
            logout
                .header("set-cookie")
                .unwrap()
                .starts_with("sessionid=\"\"; expires=Thu, 01 Jan 1970")
        );
        assert_eq!(database.count("django_session"), 0, "{}", database.name());
        assert_eq!(app.export_as(&key).status, 403);
    }
}

#[test]
fn login_replaces_an_old_session_and_keeps_only_its_own_users_data() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let first = app
            .login("admin", PASSWORD, None)
            .cookie("sessionid")
            .unwrap();
        let second = app
            .login("admin", PASSWORD, Some(&first))
            .cookie("sessionid")
            .unwrap();
        assert_ne!(first, second);
        assert_eq!(database.count("django_session"), 1, "{}", database.name());
        assert_eq!(
            (app.export_as(&first).status, app.export_as(&second).status),
            (403, 200)
        );
        let third = app
            .login("plain", PASSWORD, Some(&second))
            .cookie("sessionid")
            .unwrap();
        assert_eq!(database.count("django_session"), 1, "{}", database.name());
        assert_eq!(
            (app.export_as(&second).status, app.export_as(&third).status),
            (403, 403)
        );
    }
}

#[test]
fn a_refused_login_writes_nothing_and_says_why() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let json = [("Content-Type", "application/json")];
    let good = format!(r#"{{"username": "admin", "password": "{PASSWORD}"}}"#);
    let ask = |method: &str, headers: &[(&str, &str)], body: &str| {
        app.send(method, "/api/login/", headers, body)
    };

    for (name, password) in [
        ("admin", "wrong"),
        ("nobody", PASSWORD),
        ("dormant", PASSWORD),
        ("", ""),
    ] {
        let answer = app.login(name, password, None);
        assert_eq!(
            (answer.status, answer.text()),
            (401, r#"{"success":false,"error":"Invalid credentials"}"#)
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(ask("GET", &[], "").status, 405);
    assert_eq!(ask("POST", &[], &good).status, 415);
    assert_eq!(
        ask(
            "POST",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            "username=admin"
        )
        .status,
        415
    );
    assert_eq!(ask("POST", &json, &"x".repeat(16 * 1024 + 1)).status, 413);
    for malformed in [
        "",
        "{",
        "[]",
        "null",
        r#"{"username": 1, "password": "x"}"#,
        r#"{"username": "admin"}"#,
    ] {
        let answer = ask("POST", &json, malformed);
        assert_eq!(answer.status, 400, "{malformed}");
        assert_eq!(answer.json()["success"], false);
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "https://localhost:80",
        "http://localhost:443",
    ] {
        assert_eq!(
            ask("POST", &[json[0], ("Origin", origin)], &good).status,
            403,
            "{origin}"
        );
        assert_eq!(
            app.send("POST", "/api/logout/", &[("Origin", origin)], "")
                .status,
            403,
            "{origin}"
        );
    }
    assert_eq!(
        ask("POST", &[json[0], ("Sec-Fetch-Site", "cross-site")], &good).status,
        403
    );
    assert_eq!(database.count("django_session"), 0);
    assert_eq!(database.count("auth_user WHERE last_login IS NOT NULL"), 0);
    assert_eq!(
        ask("POST", &[json[0], ("Origin", "https://localhost")], &good).status,
        200
    );
}

#[test]
fn without_login_both_paths_are_unknown_and_the_database_is_opened_read_only() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::with(&database, &[("SIDECAR_LOGIN", "off")]);
    assert_eq!(app.login("admin", PASSWORD, None).status, 404);
    assert_eq!(app.send("POST", "/api/logout/", &[], "").status, 404);
    assert_eq!(app.export_as(&session).status, 200);
}

#[test]
fn many_logins_at_once_with_old_cookies_all_succeed() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let login = |cookie: Option<&str>| app.login("admin", PASSWORD, cookie);
        let old: Vec<String> = (0..20)
            .map(|_| login(None).cookie("sessionid").unwrap())
            .collect();
        std::thread::scope(|scope| {
            for key in &old {
                scope.spawn(|| assert_eq!(login(Some(key)).status, 200, "{}", database.name()));
            }
        });
        assert_eq!(database.count("django_session"), 20, "{}", database.name());
    }
}
