//! The answers of the two views.

use std::fs;

use crate::app::{App, KEY, insert_session};
use crate::client::Answer;
use crate::database::Database;

const TWO_USERS: &str = concat!(
    r#"{"success":true,"count":2,"users":["#,
    r#"{"id":4,"username":"björn","email":"b@example.com","first_name":"B \"x\"","last_name":"<O'Brien>","tv_service":true,"#,
    r#""movie_service":false,"is_active":true,"date_joined":"2020-01-03T12:30:00+00:00"},"#,
    r#"{"id":3,"username":"plain","email":"","first_name":"","last_name":"","tv_service":true,"#,
    r#""movie_service":true,"is_active":true,"date_joined":"2020-01-04T00:00:00.250000+00:00"}"#,
    r#"],"message":"Successfully exported 2 TV users"}"#
);

#[test]
fn the_export_holds_active_tv_users_oldest_first() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        let answer = app.export_as(&session);
        assert_eq!(
            (answer.status, answer.text()),
            (200, TWO_USERS),
            "{}",
            database.name()
        );
        assert_eq!(
            answer.header("content-length"),
            Some(TWO_USERS.len().to_string().as_str())
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn the_statistics_count_active_users() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        let cookie = format!("sessionid={session}");
        let answer = app.get("/api/admin/export-stats/", &[("Cookie", &cookie)]);
        let expected = r#"{"success":true,"stats":{"total_active_users":3,"tv_users":2,"movie_users":1,"exportable_users":2}}"#;
        assert_eq!(
            (answer.status, answer.text()),
            (200, expected),
            "{}",
            database.name()
        );
    }
}

#[test]
fn an_export_larger_than_the_spools_memory_arrives_whole() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        database.insert_users(100..25_100, |_| "2021-01-01 00:00:00".into());
        let answer = app.export_as(&session);
        assert!(answer.body.len() > 8 * 1024 * 1024, "{}", database.name());
        assert_eq!(
            answer.header("content-length"),
            Some(answer.body.len().to_string().as_str())
        );
        let json = answer.json();
        assert_eq!(
            (
                json["count"].as_u64(),
                json["users"].as_array().unwrap().len()
            ),
            (Some(25_002), 25_002)
        );

        let cookie = format!("sessionid={session}");
        let indented = app.get(
            "/api/admin/export-users/",
            &[
                ("Cookie", &cookie),
                ("Accept", "application/json; indent=4"),
            ],
        );
        assert!(indented.text().starts_with(
            "{\n    \"success\": true,\n    \"count\": 25002,\n    \"users\": [\n        {\n"
        ));
        assert_eq!(indented.json(), json);
    }
}

fn ids(answer: &Answer) -> Vec<i64> {
    let json = answer.json();
    let users = json["users"].as_array().unwrap().iter();
    users.map(|user| user["id"].as_i64().unwrap()).collect()
}

#[test]
fn many_users_who_joined_in_any_order_stand_oldest_first_and_then_by_key() {
    // Distinct by the second up to a year, each shared by three users.
    let second = |id: u64| id * 7919 % 10_000;
    let joined = |id: u64| {
        let second = second(id);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!(
            "2022-01-01 {hour:02}:{minute:02}:{second:02}.{:06}",
            second + 1
        )
    };
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        database.insert_users(100..30_100, joined);
        let mut expected: Vec<u64> = (100..30_100).collect();
        expected.sort_by_key(|id| (second(*id), *id));
        let expected: Vec<i64> = [4, 3]
            .into_iter()
            .chain(expected.into_iter().map(|id| id as i64))
            .collect();
        assert!(
            ids(&app.export_as(&session)) == expected,
            "{}",
            database.name()
        );
    }
}

#[test]
fn users_of_equal_dates_stand_by_key() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        let dates = ["2022-01-01 00:00:00", "2022-01-02 00:00:00"];
        database.insert_users((100..1_100).rev(), |id| {
            dates[(id * 31 % 7 % 2) as usize].into()
        });
        let expected = database.ids_by_date();
        assert_eq!(expected.len(), 1_002);
        assert!(
            ids(&app.export_as(&session)) == expected,
            "{}",
            database.name()
        );
    }
}

#[test]
fn a_browser_gets_a_page_with_everything_escaped() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let session = insert_session(&database, "admin", "1", KEY);
    let cookie = format!("sessionid={session}");
    let headers = [
        ("Cookie", cookie.as_str()),
        ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ];
    let answer = app.get("/api/admin/export-users/", &headers);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(answer.text().contains("O&#39;Brien&#62;") && !answer.text().contains("<O'Brien>"));
    let refused = app.get("/api/admin/export-users/", &[("Accept", "text/html")]);
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .text()
            .contains("Authentication credentials were not provided.")
    );
}

#[test]
fn a_model_without_is_tv_user_gets_the_documented_errors() {
    for database in Database::of_every_kind() {
        database.execute("ALTER TABLE auth_user DROP COLUMN is_tv_user");
        let session = insert_session(&database, "admin", "1", KEY);
        let cookie = format!("sessionid={session}");
        let app = App::over(&database);
        let export = app.export_as(&session);
        let expected = r#"{"success":false,"error":"Failed to export users. Please try again.","details":null}"#;
        assert_eq!(
            (export.status, export.text()),
            (500, expected),
            "{}",
            database.name()
        );
        let stats = app.get("/api/admin/export-stats/", &[("Cookie", &cookie)]);
        let expected = r#"{"success":false,"error":"Failed to get export statistics"}"#;
        assert_eq!(
            (stats.status, stats.text()),
            (500, expected),
            "{}",
            database.name()
        );

        let debug = App::with(&database, &[("DJANGO_DEBUG", "true")])
            .export_as(&session)
            .json();
        let details = debug["details"].as_str().unwrap();
        assert!(
            details.starts_with(
                "Cannot resolve keyword 'is_tv_user' into field. Choices are: date_joined, "
            ),
            "{details}"
        );
    }
}

#[test]
fn a_model_without_is_movie_user_has_no_movie_users() {
    for database in Database::of_every_kind() {
        database.execute("ALTER TABLE auth_user DROP COLUMN is_movie_user");
        let session = insert_session(&database, "admin", "1", KEY);
        let app = App::over(&database);
        let users = app.export_as(&session).json();
        assert_eq!(
            users["users"][1]["movie_service"],
            serde_json::json!(false),
            "{}",
            database.name()
        );
        let cookie = format!("sessionid={session}");
        let stats = app
            .get("/api/admin/export-stats/", &[("Cookie", &cookie)])
            .json();
        assert_eq!(
            stats["stats"]["movie_users"],
            serde_json::json!(0),
            "{}",
            database.name()
        );
    }
}

#[test]
fn without_use_tz_dates_are_naive_and_on_postgres_in_the_time_zone() {
    for database in Database::of_every_kind() {
        let session = insert_session(&database, "admin", "1", KEY);
        let app = App::with(
            &database,
            &[
                ("DJANGO_USE_TZ", "false"),
                ("DJANGO_TIME_ZONE", "Europe/Berlin"),
            ],
        );
        let joined = app.export_as(&session).json()["users"][0]["date_joined"].clone();
        let expected = match database.name() {
            "postgres" => "2020-01-03T13:30:00",
            _ => "2020-01-03T12:30:00",
        };
        assert_eq!(joined, expected, "{}", database.name());
    }
}

#[test]
fn the_views_log_lines_reach_the_log_file_under_their_own_name() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let folder = tempfile::TempDir::new().unwrap();
    let log_file = folder.path().join("watchtower.log");
    let program = crate::program::Program::serve(
        &database,
        &[("SIDECAR_LOG_FILE", log_file.to_str().unwrap())],
    );
    let cookie = format!("sessionid={session}");
    let answer = crate::client::send(
        &program.address,
        "GET",
        "/api/admin/export-users/",
        &[("Cookie", &cookie)],
        "",
    );
    assert_eq!(answer.status, 200);
    drop(program);
    let log = fs::read_to_string(&log_file).unwrap();
    for line in [
        "INFO api.views.admin.admin_views: Admin user admin requesting user export for TwentyFour/Seven",
        "INFO api.views.admin.admin_views: Found 2 active TV users for export",
        "INFO api.views.admin.admin_views: Successfully exported 2 TV users for TwentyFour/Seven import",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert!(
        !log.contains(&session) && !log.contains(KEY) && !log.contains("b@example.com"),
        "{log}"
    );
}
