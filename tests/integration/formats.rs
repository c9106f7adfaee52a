//! export-users as CSV and as JSON lines.

use serde_json::Value;

use crate::app::{App, KEY, insert_session};
use crate::client::Answer;
use crate::database::Database;

pub const EXPORT: &str = "/api/admin/export-users/";

/// What would break a table, or run in a spreadsheet.
pub const HOSTILE: &str = "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, \
    is_active, date_joined, is_tv_user, is_movie_user) VALUES \
    (50, '', false, '=HYPERLINK(\"x\")', 'a,b', 'say \"hi\"', '@x', false, true, '2021-01-01 00:00:00', true, false), \
    (51, '', false, 'two\nlines', '-1', '+1', 'é, \u{1f600}', false, true, '2021-01-01 00:00:00.000001', true, true)";

/// A service over this database, and an administrator's session.
pub struct Scenario {
    pub database: Database,
    pub app: App,
    pub cookie: String,
}

impl Scenario {
    pub fn over(database: Database) -> Scenario {
        let session = insert_session(&database, "admin", "1", KEY);
        Scenario {
            app: App::over(&database),
            cookie: format!("sessionid={session}"),
            database,
        }
    }

    pub fn of_every_kind() -> Vec<Scenario> {
        let databases = Database::of_every_kind().into_iter();
        databases.map(Scenario::over).collect()
    }

    pub fn get(&self, query: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("Cookie", self.cookie.as_str())], headers].concat();
        self.app.get(&format!("{EXPORT}{query}"), &headers)
    }

    pub fn users(&self, query: &str) -> Vec<Value> {
        let answer = self.get(query, &[]);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let json = answer.json();
        let users = json["users"].as_array().unwrap().clone();
        assert_eq!(json["count"], users.len());
        users
    }

    pub fn ids(&self, query: &str) -> Vec<i64> {
        let users = self.users(query);
        users
            .iter()
            .map(|user| user["id"].as_i64().unwrap())
            .collect()
    }
}

/// The rows of a file as RFC 4180 has it, which ends with a line's end.
pub fn read_csv(text: &str) -> Vec<Vec<String>> {
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
    for scenario in Scenario::of_every_kind() {
        scenario.database.execute(HOSTILE);
        let answer = scenario.get("?format=csv&formulas=keep", &[]);
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

        let users = scenario.users("");
        assert_eq!(users.len(), 4);
        let expected = std::iter::once(KEYS.map(str::to_owned).to_vec());
        let expected: Vec<_> = expected.chain(users.iter().map(as_cells)).collect();
        assert_eq!(
            read_csv(answer.text()),
            expected,
            "{}",
            scenario.database.name()
        );
        assert_eq!(
            read_csv(scenario.get("", &[("Accept", "text/csv")]).text()).len(),
            5
        );
    }
}

#[test]
fn a_cell_that_a_spreadsheet_would_run_becomes_text() {
    let scenario = Scenario::over(Database::filled_sqlite());
    scenario.database.execute(HOSTILE);
    let rows = read_csv(scenario.get("?format=csv", &[]).text());
    let row = |id: &str| rows.iter().find(|row| row[0] == id).unwrap().clone();
    assert_eq!(
        row("50")[1..5],
        ["'=HYPERLINK(\"x\")", "'@x", "a,b", "say \"hi\""]
    );
    assert_eq!(
        row("51")[1..5],
        ["two\nlines", "é, \u{1f600}", "'-1", "'+1"]
    );
    let with_bom = scenario.get("?format=csv&bom=1", &[]);
    let without = scenario.get("?format=csv&bom=0", &[]);
    assert_eq!(
        with_bom.text().strip_prefix('\u{feff}'),
        Some(without.text())
    );
}

#[test]
fn each_json_line_is_a_user_of_the_json() {
    for scenario in Scenario::of_every_kind() {
        scenario.database.execute(HOSTILE);
        let answer = scenario.get("?format=ndjson", &[]);
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let json = scenario.get("", &[]);
        let inside = json.text().split_once("\"users\":[").unwrap().1;
        let inside = inside.rsplit_once("],\"message\"").unwrap().0;
        assert_eq!(answer.text().replace("}\n", "},"), format!("{inside},"));
        assert_eq!(answer.text().lines().count(), 4);
    }
}

#[test]
fn an_export_larger_than_the_spools_memory_arrives_whole() {
    for scenario in Scenario::of_every_kind() {
        let many = |_| "2021-01-01 00:00:00".into();
        scenario.database.insert_users(100..25_100, many);
        let users = scenario.users("");
        for format in ["csv", "ndjson"] {
            let answer = scenario.get(&format!("?format={format}"), &[]);
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("content-length"), Some(length.as_str()));
            let packed = scenario.get(&format!("?format={format}"), &[("Accept-Encoding", "gzip")]);
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
            assert!(ids == expected, "{format} on {}", scenario.database.name());
        }
    }
}

#[test]
fn each_format_has_its_own_entity_tag() {
    let scenario = Scenario::over(Database::filled_sqlite());
    let queries = ["", "?format=csv", "?format=csv&bom=1", "?format=ndjson"];
    let tags = queries.map(|query| scenario.get(query, &[]).header("etag").unwrap().to_owned());
    for (query, tag) in queries.iter().zip(&tags) {
        for known in &tags {
            let status = scenario.get(query, &[("If-None-Match", known)]).status;
            assert_eq!(status, if known == tag { 304 } else { 200 }, "{query}");
        }
    }
}
