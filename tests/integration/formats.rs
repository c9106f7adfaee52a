//! export-users as CSV and as JSON lines, and with filters.

use serde_json::{Value, json};

use crate::app::{App, KEY, insert_session};
use crate::client::Answer;
use crate::database::Database;

const EXPORT: &str = "/api/admin/export-users/";

/// What would break a table, or run in a spreadsheet.
const HOSTILE: &str = "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, \
    is_active, date_joined, is_tv_user, is_movie_user) VALUES \
    (50, '', false, '=HYPERLINK(\"x\")', 'a,b', 'say \"hi\"', '@x', false, true, '2021-01-01 00:00:00', true, false), \
    (51, '', false, 'two\nlines', '-1', '+1', 'é, \u{1f600}', false, true, '2021-01-01 00:00:00.000001', true, true)";

pub struct World {
    pub database: Database,
    app: App,
    cookie: String,
}

impl World {
    pub fn over(database: Database) -> World {
        let session = insert_session(&database, "admin", "1", KEY);
        World {
            app: App::over(&database),
            cookie: format!("sessionid={session}"),
            database,
        }
    }

    fn of_every_kind() -> Vec<World> {
        let databases = Database::of_every_kind().into_iter();
        databases.map(World::over).collect()
    }

    pub fn get(&self, query: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("Cookie", self.cookie.as_str())], headers].concat();
        self.app.get(&format!("{EXPORT}{query}"), &headers)
    }

    fn users(&self, query: &str) -> Vec<Value> {
        let answer = self.get(query, &[]);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let json = answer.json();
        let users = json["users"].as_array().unwrap().clone();
        assert_eq!(json["count"], users.len());
        users
    }

    fn ids(&self, query: &str) -> Vec<i64> {
        let users = self.users(query);
        users
            .iter()
            .map(|user| user["id"].as_i64().unwrap())
            .collect()
    }
}

/// The rows of a file as RFC 4180 has it, which ends with a line's end.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => cell.push(letters.next().unwrap()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted => {
                assert_eq!(letters.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
    }
    assert!(row.is_empty() && cell.is_empty() && !is_quoted);
    rows
}

const KEYS: [&str; 9] = [
    "id",
    "username",
    "email",
    "first_name",
    "last_name",
    "tv_service",
    "movie_service",
    "is_active",
    "date_joined",
];

fn as_cells(user: &Value) -> Vec<String> {
    let cell = |key: &&str| match &user[*key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    KEYS.iter().map(cell).collect()
}

#[test]
fn a_table_holds_what_the_json_holds() {
    for world in World::of_every_kind() {
        world.database.execute(HOSTILE);
        let answer = world.get("?format=csv&formulas=keep", &[]);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            Some("text/csv; charset=utf-8; header=present")
        );
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
        let file = answer.header("content-disposition").unwrap();
        let day = file
            .strip_prefix("attachment; filename=\"watchtower-users-")
            .unwrap();
        let day = day.strip_suffix(".csv\"").unwrap();
        assert!(day.len() == 10 && day.starts_with("20"), "{file}");

        let users = world.users("");
        assert_eq!(users.len(), 4);
        let expected = std::iter::once(KEYS.map(str::to_owned).to_vec());
        let expected: Vec<_> = expected.chain(users.iter().map(as_cells)).collect();
        assert_eq!(
            read_csv(answer.text()),
            expected,
            "{}",
            world.database.name()
        );
        assert_eq!(
            read_csv(world.get("", &[("Accept", "text/csv")]).text()).len(),
            5
        );
    }
}

#[test]
fn a_cell_that_a_spreadsheet_would_run_is_a_text() {
    let world = World::over(Database::filled_sqlite());
    world.database.execute(HOSTILE);
    let rows = read_csv(world.get("?format=csv", &[]).text());
    let row = |id: &str| rows.iter().find(|row| row[0] == id).unwrap().clone();
    assert_eq!(
        row("50")[1..5],
        ["'=HYPERLINK(\"x\")", "'@x", "a,b", "say \"hi\""]
    );
    assert_eq!(
        row("51")[1..5],
        ["two\nlines", "é, \u{1f600}", "'-1", "'+1"]
    );
    let with_bom = world.get("?format=csv&bom=1", &[]);
    let without = world.get("?format=csv&bom=0", &[]);
    assert_eq!(
        with_bom.text().strip_prefix('\u{feff}'),
        Some(without.text())
    );
}

#[test]
fn a_user_a_line_is_the_json_between_the_commas() {
    for world in World::of_every_kind() {
        world.database.execute(HOSTILE);
        let answer = world.get("?format=ndjson", &[]);
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let json = world.get("", &[]);
        let inside = json.text().split_once("\"users\":[").unwrap().1;
        let inside = inside.rsplit_once("],\"message\"").unwrap().0;
        assert_eq!(answer.text().replace("}\n", "},"), format!("{inside},"));
        assert_eq!(answer.text().lines().count(), 4);
    }
}

#[test]
fn what_is_larger_than_the_spools_memory_arrives_whole() {
    for world in World::of_every_kind() {
        let many = |_| "2021-01-01 00:00:00".into();
        world.database.insert_users(100..25_100, many);
        let users = world.users("");
        for format in ["csv", "ndjson"] {
            let answer = world.get(&format!("?format={format}"), &[]);
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("content-length"), Some(length.as_str()));
            let packed = world.get(&format!("?format={format}"), &[("Accept-Encoding", "gzip")]);
            assert!(packed.body.len() < answer.body.len() / 3);
            assert_eq!(packed.decompressed(), answer.body);
            let ids: Vec<String> = match format {
                "csv" => read_csv(answer.text())[1..]
                    .iter()
                    .map(|row| row[0].clone())
                    .collect(),
                _ => {
                    let lines = answer.text().lines();
                    let users = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
                    users.map(|user| user["id"].to_string()).collect()
                }
            };
            let expected: Vec<_> = users.iter().map(|user| user["id"].to_string()).collect();
            assert!(ids == expected, "{format} on {}", world.database.name());
        }
    }
}

#[test]
fn each_layout_has_a_tag_of_its_own() {
    let world = World::over(Database::filled_sqlite());
    let queries = ["", "?format=csv", "?format=csv&bom=1", "?format=ndjson"];
    let tags = queries.map(|query| world.get(query, &[]).header("etag").unwrap().to_owned());
    for (query, tag) in queries.iter().zip(&tags) {
        for known in &tags {
            let status = world.get(query, &[("If-None-Match", known)]).status;
            assert_eq!(status, if known == tag { 304 } else { 200 }, "{query}");
        }
    }
}

#[test]
fn only_who_may_export_hears_what_is_wrong_with_a_parameter() {
    let world = World::over(Database::filled_sqlite());
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
        let answer = world.get(query, &[]);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            detail.starts_with(name) && detail.ends_with('.'),
            "{query}: {detail}"
        );
        assert_eq!(world.app.get(&format!("{EXPORT}{query}"), &[]).status, 403);
    }
    // Of other layouts they are no parameters.
    assert_eq!(world.get("?bom=2&formulas=off", &[]).status, 200);
    assert_eq!(world.get("?format=xml", &[]).status, 404);
    let stats = |query: &str| {
        let target = format!("/api/admin/export-stats/{query}");
        world.app.get(&target, &[("Cookie", &world.cookie)]).status
    };
    assert_eq!((stats("?format=csv"), stats("?limit=x")), (404, 200));
}

#[test]
fn who_joined_later_is_told_to_the_microsecond() {
    for world in World::of_every_kind() {
        world.database.execute(HOSTILE);
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
            let ids = world.ids(&format!("?joined_after={after}"));
            assert_eq!(ids, expected, "{after} on {}", world.database.name());
        }
        assert_eq!(
            world.ids("?joined_after=2020-01-04T00:00:00.25Z&limit=1"),
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
        let mut world = World::over(database);
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
            let ids = world.ids(&format!("?joined_after={}", after.replace(' ', "%20")));
            assert_eq!(ids, expected, "{after} on {}", world.database.name());
        }
        if is_postgres {
            // In these zones their years are 0 and 10000.
            world
                .database
                .execute("DELETE FROM auth_user WHERE id IN (60, 61)");
        }
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let settings = [("DJANGO_USE_TZ", "false"), ("DJANGO_TIME_ZONE", zone)];
            world.app = App::with(&world.database, &settings);
            for (after, mut expected) in [
                ("0001-01-01T00:00:00%2B14:00", vec![60, 4, 3, 61]),
                ("0001-01-01", vec![4, 3, 61]),
                ("9999-12-31", vec![61]),
                ("9999-12-31T23:59:59.999998", vec![61]),
                ("9999-12-31T23:59:59.999999", vec![]),
                ("9999-12-31T23:59:59.999999-12:00", vec![]),
            ] {
                expected.retain(|id| !is_postgres || *id < 60);
                let ids = world.ids(&format!("?joined_after={after}"));
                assert_eq!(
                    ids,
                    expected,
                    "{after} in {zone} on {}",
                    world.database.name()
                );
            }
        }
    }
}

#[test]
fn pages_by_key_hold_every_user_once() {
    for world in World::of_every_kind() {
        world.database.insert_users(100..150, |id| {
            format!("20{:02}-01-01 00:00:00", 49 - (id - 100) % 7)
        });
        let mut expected = world.ids("");
        expected.sort_unstable();
        let (mut found, mut query) = (Vec::new(), "?limit=7&format=json".to_owned());
        loop {
            let answer = world.get(&query, &[]);
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
        assert_eq!(found, expected, "{}", world.database.name());
        assert_eq!(world.ids("?after_id=147"), [148, 149]);
        assert_eq!(world.ids("?after_id=-5&limit=2"), [3, 4]);
        let table = world.get("?after_id=147&limit=1&format=csv", &[]);
        assert_eq!(read_csv(table.text())[1][0], "148");
        assert_eq!(
            table.header("link").unwrap(),
            "<?limit=1&format=csv&after_id=148>; rel=\"next\""
        );
    }
}

#[test]
fn unknown_parameters_change_nothing() {
    let world = World::over(Database::filled_sqlite());
    let plain = world.get("", &[]);
    for query in ["?page=2", "?format=json", "?format=", "?Limit=1&AFTER_ID=9"] {
        assert_eq!(world.get(query, &[]).body, plain.body, "{query}");
    }
    for accept in ["text/csv, */*", "text/csv, application/json"] {
        let answer = world.get("", &[("Accept", accept)]);
        assert_eq!(answer.body, plain.body, "{accept}");
    }
    assert_eq!(plain.json()["users"][0]["tv_service"], json!(true));
}
