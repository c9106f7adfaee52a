//! What operators see: figures, an access line for each request, an audit line for each export, request ids; and settings
//! that change while it runs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::{KEY, OLD_KEY, insert_session};
use crate::client::{Answer, basic, send};
use crate::database::{Database, PASSWORD};
use crate::ports::free_address;
use crate::program::Program;

pub const STATS: &str = "/api/admin/export-stats/";
pub const EXPORT: &str = "/api/admin/export-users/";

/// Waits until this holds, for as long as no sane machine takes.
pub fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// The lines of JSON of one logger, once there are `count`.
pub fn lines(program: &Program, logger: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} lines of {logger}"), || {
        let said = program.said();
        let lines = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines: Vec<Value> = lines
            .filter(|line: &Value| line["logger"] == logger)
            .collect();
        (lines.len() >= count).then_some(lines)
    })
}

pub fn get(address: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, "GET", target, headers, "")
}

#[test]
fn the_figures_count_what_happens_and_hold_nothing_that_a_client_sent() {
    let database = Database::filled_sqlite();
    let ops = free_address();
    let variables = [("SIDECAR_OPS_BIND", ops.as_str()), ("SIDECAR_LOGIN", "on")];
    let program = Program::serve(&database, &variables);
    let cookie = format!(
        "sessionid={}",
        insert_session(&database, "figures", "1", KEY)
    );
    let dead = [("Cookie", "sessionid=nobodys-session-key")];
    let session = [("Cookie", cookie.as_str())];
    let rows = get(&program.address, EXPORT, &session);
    assert_eq!(rows.status, 200);
    assert_eq!(get(&program.address, STATS, &session).status, 200);
    assert_eq!(get(&program.address, STATS, &dead).status, 403);
    assert_eq!(get(&program.address, STATS, &[]).status, 403);
    let wrong = basic("admin", "wrong");
    assert_eq!(
        get(&program.address, STATS, &[("Authorization", &wrong)]).status,
        403
    );
    assert_eq!(get(&program.address, "/of-a-client/", &[]).status, 404);
    assert_eq!(
        send(&program.address, "BREW", STATS, &session, "").status,
        403
    );
    assert_eq!(get(&program.address, "/metrics", &[]).status, 404);

    let count = rows.json()["count"].as_u64().unwrap();
    let expected = [
        format!("sidecar_export_rows_total {count}"),
        format!("sidecar_export_bytes_total {}", rows.body.len()),
        r#"sidecar_exports_total{outcome="sent"} 1"#.into(),
        r#"sidecar_exports_total{outcome="busy"} 0"#.into(),
        r#"sidecar_http_requests_total{method="GET",route="export-users",status="200"} 1"#.into(),
        r#"sidecar_http_requests_total{method="GET",route="export-stats",status="403"} 3"#.into(),
        r#"sidecar_http_requests_total{method="other",route="export-stats",status="403"} 1"#.into(),
        r#"sidecar_http_requests_total{method="GET",route="other",status="404"} 2"#.into(),
        r#"sidecar_http_request_duration_seconds_count{route="export-users"} 1"#.into(),
        r#"sidecar_authentications_total{authenticator="session",outcome="admitted"} 2"#.into(),
        r#"sidecar_authentications_total{authenticator="session",outcome="no_session"} 1"#.into(),
        r#"sidecar_authentications_total{authenticator="session",outcome="csrf"} 1"#.into(),
        r#"sidecar_authentications_total{authenticator="none",outcome="anonymous"} 2"#.into(),
        r#"sidecar_authentications_total{authenticator="basic",outcome="refused"} 1"#.into(),
        "sidecar_password_hash_seconds_count 1".into(),
        "sidecar_password_queue_length 0".into(),
        "sidecar_statistics_questions_total 1".into(),
        "sidecar_statistics_queries_total 1".into(),
        r#"sidecar_database_up{database="primary"} 1"#.into(),
        r#"sidecar_database_connections{database="primary",state="used"} 0"#.into(),
        format!(r#"version="{}""#, env!("CARGO_PKG_VERSION")),
    ];
    // A request is counted when its answer has been taken from us, which may be a little after it has come.
    let figures = eventually("all requests are counted", || {
        let figures = get(&ops, "/metrics", &[]);
        assert_eq!(figures.status, 200);
        assert_eq!(
            figures.header("content-type"),
            Some("text/plain; version=0.0.4")
        );
        let text = figures.text().to_owned();
        let wanted = expected.iter().take(9);
        let there = wanted.filter(|line| text.contains(*line)).count();
        (there == 9).then_some(text)
    });
    for line in &expected {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    for sent in ["of-a-client", "BREW", "nobodys", "127.0.0.1", "admin\""] {
        assert!(!figures.contains(sent), "{sent} is in\n{figures}");
    }
}

#[test]
fn every_request_has_one_line_of_json_but_health_checks_only_when_they_fail() {
    let database = Database::filled_sqlite();
    let program = Program::serve(&database, &[("SIDECAR_LOG_FORMAT", "json")]);
    let cookie = format!("sessionid={}", insert_session(&database, "lines", "1", KEY));
    let session = [
        ("Cookie", cookie.as_str()),
        ("X-Forwarded-For", "203.0.113.7"),
    ];
    let answer = get(&program.address, EXPORT, &session);
    assert_eq!(get(&program.address, "/healthz", &[]).status, 200);
    assert_eq!(get(&program.address, "/readyz", &[]).status, 200);
    let authorization = basic("admin", PASSWORD);
    let by_password = [("Authorization", authorization.as_str())];
    assert_eq!(get(&program.address, STATS, &by_password).status, 200);
    assert_eq!(
        get(&program.address, "/secret-of-a-client/?a=b", &[]).status,
        404
    );
    database.execute("ALTER TABLE django_session RENAME TO elsewhere");
    assert_eq!(get(&program.address, "/readyz", &[]).status, 503);

    let lines = lines(&program, "access", 4);
    let [export, stats, unknown, unready] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(export["level"], "INFO");
    assert_eq!(export["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(export["address"], "203.0.113.7");
    assert_eq!(export["user"], "1");
    assert_eq!(export["method"], "GET");
    assert_eq!(export["route"], "export-users");
    assert_eq!(export["status"], 200);
    assert_eq!(export["bytes"], answer.body.len());
    assert_eq!(export["is_cut"], false);
    let number = |line: &Value, name: &str| line[name].as_f64().unwrap();
    assert!(number(export, "database_ms") > 0.0, "{export}");
    assert!(
        number(export, "ms") >= number(export, "database_ms"),
        "{export}"
    );
    assert_eq!(number(export, "hashing_ms"), 0.0);
    let time: jiff::Timestamp = export["time"].as_str().unwrap().parse().unwrap();
    assert!(
        jiff::Timestamp::now().duration_since(time).as_secs() < 60,
        "{export}"
    );
    assert_eq!(stats["address"], "127.0.0.1");
    assert!(number(stats, "hashing_ms") > 0.0, "{stats}");
    assert_eq!(
        (&unknown["route"], &unknown["status"]),
        (&"other".into(), &404.into())
    );
    assert_eq!(unknown.get("user"), None);
    assert_eq!(
        (&unready["route"], &unready["level"]),
        (&"readyz".into(), &"WARN".into())
    );
    assert!(!program.said().contains("secret-of-a-client"));
}

#[test]
fn lines_of_text_have_the_same_fields() {
    let database = Database::filled_sqlite();
    let program = Program::serve(&database, &[]);
    let answer = get(
        &program.address,
        STATS,
        &[("X-Request-ID", "of-the-proxy.1")],
    );
    assert_eq!(answer.header("x-request-id"), Some("of-the-proxy.1"));
    let line = eventually("an access line", || {
        let said = program.said();
        said.lines()
            .find(|line| line.contains(" access: "))
            .map(str::to_owned)
    });
    let fields = "INFO access: request request_id=of-the-proxy.1 address=127.0.0.1 method=GET route=export-stats \
        status=403 bytes=58 is_cut=false ms=";
    assert!(line.contains(fields), "{line}");
}

#[test]
fn a_request_id_is_a_proxys_or_our_own() {
    let database = Database::filled_sqlite();
    let program = Program::serve(&database, &[("SIDECAR_TRUSTED_PROXIES", "none")]);
    let trusting = Program::serve(&database, &[]);
    let id_of = |program: &Program, id: &str| {
        let answer = get(&program.address, STATS, &[("X-Request-ID", id)]);
        answer.header("x-request-id").unwrap().to_owned()
    };
    let is_ours = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(id_of(&trusting, "abc-1"), "abc-1");
    assert!(is_ours(&id_of(&program, "abc-1")));
    assert!(is_ours(&id_of(&trusting, "a\" forged=line")));
    assert!(is_ours(&id_of(&trusting, &"x".repeat(1000))));
    assert_ne!(id_of(&program, ""), id_of(&program, ""));
}

#[test]
fn an_export_leaves_a_line_that_tells_who_got_what() {
    let database = Database::filled_sqlite();
    let program = Program::serve(&database, &[("SIDECAR_LOG_FORMAT", "json")]);
    let cookie = format!("sessionid={}", insert_session(&database, "audit", "1", KEY));
    let answer = get(&program.address, EXPORT, &[("Cookie", &cookie)]);
    let tag = answer.header("etag").unwrap();
    let known = [("Cookie", cookie.as_str()), ("If-None-Match", tag)];
    assert_eq!(get(&program.address, EXPORT, &known).status, 304);
    // Statistics, a refusal and the head of a page show no users.
    get(&program.address, STATS, &[("Cookie", &cookie)]);
    get(&program.address, EXPORT, &[]);
    let session = [("Cookie", cookie.as_str())];
    send(&program.address, "HEAD", "/api/admin/", &session, "");
    let page = [("Cookie", cookie.as_str()), ("Accept", "text/html")];
    assert_eq!(get(&program.address, EXPORT, &page).status, 200);
    let search = get(&program.address, "/api/admin/?q=typed-by-admin", &session);
    assert_eq!(search.status, 200);
    lines(&program, "access", 7);
    let [line, again, page, search] = &lines(&program, "audit", 4)[..] else {
        panic!("more than four audit lines");
    };
    let shown = |line: &Value| {
        [
            &line["message"],
            &line["user"],
            &line["users"],
            &line["is_search"],
        ]
        .map(Value::to_string)
    };
    assert_eq!(shown(page), ["\"page of users\"", "\"1\"", "2", "false"]);
    assert_eq!(shown(search), ["\"page of users\"", "\"1\"", "0", "true"]);
    assert!(!program.said().contains("typed-by-admin"));
    assert_eq!(
        (&line["is_known"], &again["is_known"]),
        (&false.into(), &true.into())
    );
    assert_eq!(line["user"], "1");
    assert_eq!(line["username"], "admin");
    assert_eq!(line["users"], answer.json()["count"]);
    assert_eq!(line["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(tag, line["digest"].to_string());
}

#[test]
fn sighup_reads_keys_and_hosts_again_and_a_mistake_changes_nothing() {
    let database = Database::filled_sqlite();
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = write("key", "a-first-key-that-nobody-will-guess\n");
    let fallbacks = write("fallbacks", "[]");
    let hosts = write("hosts", r#"["127.0.0.1"]"#);
    let program = Program::serve(
        &database,
        &[
            ("DJANGO_SECRET_KEY", ""),
            ("DJANGO_SECRET_KEY_FILE", &key),
            ("DJANGO_SECRET_KEY_FALLBACKS_FILE", &fallbacks),
            ("DJANGO_ALLOWED_HOSTS", ""),
            ("DJANGO_ALLOWED_HOSTS_FILE", &hosts),
        ],
    );
    let session = insert_session(&database, "hup", "1", KEY);
    let old = insert_session(&database, "hup-old", "1", OLD_KEY);
    let status = |session: &str, host: &str| {
        let cookie = format!("sessionid={session}");
        get(
            &program.address,
            STATS,
            &[("Cookie", &cookie), ("Host", host)],
        )
        .status
    };
    let reload = |said: &str| {
        let before = program.said().matches(said).count();
        program.signal("HUP");
        eventually(said, || {
            (program.said().matches(said).count() > before).then_some(())
        });
    };
    assert_eq!(status(&session, "127.0.0.1"), 403);
    assert_eq!(status(&session, "new.example.com"), 400);

    write("key", KEY);
    write("fallbacks", &format!(r#"["{OLD_KEY}"]"#));
    write("hosts", r#"["new.example.com"]"#);
    assert_eq!(status(&session, "127.0.0.1"), 403);
    reload("keys and hosts were read again");
    assert_eq!(status(&session, "new.example.com"), 200);
    assert_eq!(status(&old, "new.example.com"), 200);
    assert_eq!(status(&session, "127.0.0.1"), 400);

    write("key", "another-key-that-nobody-will-guess");
    write("hosts", "no JSON at all");
    reload("the configuration stays as it was");
    assert!(
        program
            .said()
            .contains("DJANGO_ALLOWED_HOSTS is not a JSON array")
    );
    assert_eq!(status(&session, "new.example.com"), 200);
    std::fs::remove_file(Path::new(&hosts)).unwrap();
    reload("the configuration stays as it was");
    assert_eq!(status(&session, "new.example.com"), 200);
    assert!(!program.said().contains("nobody-will-guess"));
}
