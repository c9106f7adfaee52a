//! The parameters of export-users: `joined_after`, `after_id`, `limit`.

use serde_json::json;

use crate::app::App;
use crate::database::Database;
use crate::formats::{EXPORT, HOSTILE, Scenario, read_csv};

#[test]
fn a_bad_parameter_is_reported_only_to_callers_who_may_export() {
    let scenario = Scenario::over(Database::filled_sqlite());
    for (query, name) in [
        ("?joined_after=", "joined_after"),
        ("?joined_after=yesterday", "joined_after"),
        ("?joined_after=2021-02-30", "joined_after"),
        ("?joined_after=2021-01-01T24:00", "joined_after"),
        ("?joined_after=0000-12-31", "joined_after"),
        ("?joined_after=10000-01-01", "joined_after"),
        ("?joined_after=-000001-01-01", "joined_after"),
        ("?joined_after=2021-01-01T00:00%2B24:00", "joined_after"),
        ("?joined_after=2021-01-01T00:00Z[UTC]", "joined_after"),
        ("?joined_after=12:00", "joined_after"),
        ("?limit=", "limit"),
        ("?limit=0", "limit"),
        ("?limit=10001", "limit"),
        ("?limit=%2B5", "limit"),
        ("?limit=1&limit=x", "limit"),
        ("?after_id=", "after_id"),
        ("?after_id=x", "after_id"),
        ("?after_id=12345678123456781234567812345678", "after_id"),
        ("?format=csv&bom=2", "bom"),
        ("?format=csv&formulas=off", "formulas"),
    ] {
        let answer = scenario.get(query, &[]);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            detail.starts_with(name) && detail.ends_with('.'),
            "{query}: {detail}"
        );
        assert_eq!(
            scenario.app.get(&format!("{EXPORT}{query}"), &[]).status,
            403
        );
    }
    // Of other layouts they are no parameters.
    assert_eq!(scenario.get("?bom=2&formulas=off", &[]).status, 200);
    assert_eq!(scenario.get("?format=xml", &[]).status, 404);
    let stats = |query: &str| {
        let target = format!("/api/admin/export-stats/{query}");
        scenario
            .app
            .get(&target, &[("Cookie", &scenario.cookie)])
            .status
    };
    assert_eq!((stats("?format=csv"), stats("?limit=x")), (404, 200));
}

#[test]
fn joined_after_compares_to_the_microsecond() {
    for scenario in Scenario::of_every_kind() {
        scenario.database.execute(HOSTILE);
        for (after, expected) in [
            ("2020-01-03", vec![4, 3, 50, 51]),
            ("2020-01-03T12:30:00Z", vec![3, 50, 51]),
            ("2020-01-03T14:30:00+02:00", vec![3, 50, 51]),
            ("2020-01-03T14:29:59.999999%2B02:00", vec![4, 3, 50, 51]),
            ("2020-12-31T23:59:59", vec![50, 51]),
            ("2021-01-01T00:00:00", vec![51]),
            ("2021-01-01T00:00:00.000001", vec![]),
            ("9999-12-30", vec![]),
        ] {
            let ids = scenario.ids(&format!("?joined_after={after}"));
            assert_eq!(ids, expected, "{after} on {}", scenario.database.name());
        }
        assert_eq!(
            scenario.ids("?joined_after=2020-01-04T00:00:00.25Z&limit=1"),
            [50]
        );
    }
}

/// Each is a date and time that README and openapi.json name as valid. The earliest user joined when the year 1 began, the
/// last one when the year 9999 ended.
#[test]
fn joined_after_takes_every_date_and_time_from_year_1_to_9999() {
    const EXTREMES: &str = "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, \
        is_active, date_joined, is_tv_user, is_movie_user) VALUES \
        (60, '', false, 'first', '', '', '', false, true, '0001-01-01 00:00:00+00:00', true, false), \
        (61, '', false, 'last', '', '', '', false, true, '9999-12-31 23:59:59.999999+00:00', true, false)";
    for database in Database::of_every_kind() {
        let is_postgres = database.name() == "postgres";
        let extremes = match is_postgres {
            true => EXTREMES.to_owned(),
            false => EXTREMES.replace("+00:00", ""),
        };
        database.execute(&extremes);
        let mut scenario = Scenario::over(database);
        for (after, expected) in [
            ("0001-01-01T00:00:00%2B14:00", vec![60, 4, 3, 61]),
            ("0001-01-01T00:00:00.000001%2B00:00:01", vec![60, 4, 3, 61]),
            ("0001-01-01", vec![4, 3, 61]),
            ("0001-01-01T00:00:00-23:59:59", vec![4, 3, 61]),
            ("0999-12-31T23:59:59Z", vec![4, 3, 61]),
            ("2020-01-03 12:30:00", vec![3, 61]),
            ("2020-01-03t12:30:00.000000999z", vec![3, 61]),
            ("20200103T143000 0200", vec![3, 61]),
            ("2020-01-03 14:30 02:00", vec![3, 61]),
            ("2020-01-03T14:30:00 02", vec![3, 61]),
            ("2020-02-29", vec![61]),
            ("9999-12-31", vec![61]),
            ("9999-12-31T23:59:59.999998", vec![61]),
            ("9999-12-31T23:59:59.999999", vec![]),
            ("9999-12-31T23:59:60Z", vec![61]),
            ("9999-12-31T23:59:59.999999%2B00:00:01", vec![61]),
            ("9999-12-31T23:59:59.999999-12:00", vec![]),
        ] {
            let ids = scenario.ids(&format!("?joined_after={}", after.replace(' ', "%20")));
            assert_eq!(ids, expected, "{after} on {}", scenario.database.name());
        }
        if is_postgres {
            // In these zones their years are 0 and 10000.
            scenario
                .database
                .execute("DELETE FROM auth_user WHERE id IN (60, 61)");
        }
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let settings = [("DJANGO_USE_TZ", "false"), ("DJANGO_TIME_ZONE", zone)];
            scenario.app = App::with(&scenario.database, &settings);
            for (after, mut expected) in [
                ("0001-01-01T00:00:00%2B14:00", vec![60, 4, 3, 61]),
                ("0001-01-01", vec![4, 3, 61]),
                ("9999-12-31", vec![61]),
                ("9999-12-31T23:59:59.999998", vec![61]),
                ("9999-12-31T23:59:59.999999", vec![]),
                ("9999-12-31T23:59:59.999999-12:00", vec![]),
            ] {
                expected.retain(|id| !is_postgres || *id < 60);
                let ids = scenario.ids(&format!("?joined_after={after}"));
                assert_eq!(
                    ids,
                    expected,
                    "{after} in {zone} on {}",
                    scenario.database.name()
                );
            }
        }
    }
}

#[test]
fn pages_by_after_id_hold_every_user_once() {
    for scenario in Scenario::of_every_kind() {
        scenario.database.insert_users(100..150, |id| {
            format!("20{:02}-01-01 00:00:00", 49 - (id - 100) % 7)
        });
        let mut expected = scenario.ids("");
        expected.sort_unstable();
        let (mut found, mut query) = (Vec::new(), "?limit=7&format=json".to_owned());
        loop {
            let answer = scenario.get(&query, &[]);
            let users = answer.json()["users"].as_array().unwrap().clone();
            found.extend(users.iter().map(|user| user["id"].as_i64().unwrap()));
            let Some(link) = answer.header("link") else {
                assert!(users.len() < 7);
                break;
            };
            let next = link
                .strip_prefix('<')
                .and_then(|link| link.split_once(">; rel=\"next\""));
            query = next.unwrap().0.to_owned();
        }
        assert_eq!(found, expected, "{}", scenario.database.name());
        assert_eq!(scenario.ids("?after_id=147"), [148, 149]);
        assert_eq!(scenario.ids("?after_id=-5&limit=2"), [3, 4]);
        let table = scenario.get("?after_id=147&limit=1&format=csv", &[]);
        assert_eq!(read_csv(table.text())[1][0], "148");
        assert_eq!(
            table.header("link").unwrap(),
            "<?limit=1&format=csv&after_id=148>; rel=\"next\""
        );
    }
}

#[test]
fn unknown_parameters_change_nothing() {
    let scenario = Scenario::over(Database::filled_sqlite());
    let plain = scenario.get("", &[]);
    for query in ["?page=2", "?format=json", "?format=", "?Limit=1&AFTER_ID=9"] {
        assert_eq!(scenario.get(query, &[]).body, plain.body, "{query}");
    }
    for accept in ["text/csv, */*", "text/csv, application/json"] {
        let answer = scenario.get("", &[("Accept", accept)]);
        assert_eq!(answer.body, plain.body, "{accept}");
    }
    assert_eq!(plain.json()["users"][0]["tv_service"], json!(true));
}
