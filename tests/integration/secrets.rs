//! Secrets never reach standard error, the log file, an answer or another process.

use base64::Engine as _;

use crate::app::{KEY, OLD_KEY, insert_session};
use crate::client::{Answer, basic, send};
use crate::database::{Database, PASSWORD};
use crate::program::{Program, run};

const STATS: &str = "/api/admin/export-stats/";
const EXPORT: &str = "/api/admin/export-users/";
const DATABASE_PASSWORD: &str = "hunter2-of-the-database";
const GUESS: &str = "a-guess-at-a-password";
const SESSION: &str = "session-of-the-test-kept-secret";

/// Every secret of these tests, in the forms in which one might slip out.
fn secrets() -> Vec<String> {
    let mut secrets: Vec<String> = [
        KEY,
        OLD_KEY,
        DATABASE_PASSWORD,
        "hunter2%2Dof",
        GUESS,
        PASSWORD,
        SESSION,
        // Of the encoded passwords and of the session's data.
        "xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek",
        "pbkdf2_sha256$1$",
        "_auth_user_hash",
    ]
    .map(str::to_owned)
    .into();
    for (name, password) in [("admin", PASSWORD), ("admin", GUESS), ("nobody", GUESS)] {
        secrets.push(basic(name, password).replace("Basic ", ""));
    }
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
    secrets.extend([KEY, DATABASE_PASSWORD, GUESS].map(|secret| base64.encode(secret)));
    secrets
}

fn assert_tells_nothing(what: &str, text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{what} holds {secret}:\n{text}");
    }
}

/// Everything that goes right or wrong with credentials; what comes back.
fn drive(program: &Program) -> Vec<Answer> {
    let cookie = format!("sessionid={SESSION}");
    let (right, wrong) = (basic("admin", PASSWORD), basic("admin", GUESS));
    let unknown = basic("nobody", GUESS);
    let garbage = format!("Basic {}!", basic("admin", GUESS));
    let bearer = format!("Bearer {GUESS}");
    let get =
        |target: &str, headers: &[(&str, &str)]| send(&program.address, "GET", target, headers, "");
    let post = |target: &str, headers: &[(&str, &str)], body: &str| {
        let json = [("Content-Type", "application/json")];
        send(
            &program.address,
            "POST",
            target,
            &[&json[..], headers].concat(),
            body,
        )
    };
    let credentials = |password: &str| format!(r#"{{"username":"admin","password":"{password}"}}"#);
    let mut answers = vec![
        get("/readyz", &[]),
        get(&format!("/api/admin/export-users/?password={GUESS}"), &[]),
        get(&format!("/{GUESS}"), &[("Referer", GUESS)]),
        post("/api/login/", &[], &credentials(GUESS)),
        post("/api/login/", &[], &credentials(PASSWORD)),
        post("/api/login/", &[("Cookie", &cookie)], &credentials(GUESS)),
        post("/api/login/", &[], &credentials(GUESS).replace('}', "")),
        post(
            "/api/login/",
            &[],
            &format!(r#"{{"username":"{GUESS}","password":["{GUESS}"]}}"#),
        ),
        post(
            "/api/login/",
            &[],
            &format!(r#"{{"{GUESS}":"\ud800{GUESS}"}}"#),
        ),
        post(
            "/api/login/",
            &[("Origin", "https://evil.com")],
            &credentials(GUESS),
        ),
        post(
            "/api/logout/",
            &[("Cookie", "sessionid=another-session")],
            "",
        ),
        send(
            &program.address,
            "POST",
            "/api/login/",
            &[("Content-Type", "text/plain")],
            &credentials(GUESS),
        ),
        send(
            &program.address,
            "POST",
            EXPORT,
            &[("Cookie", &cookie)],
            &credentials(GUESS),
        ),
    ];
    for target in [EXPORT, STATS] {
        answers.push(get(target, &[("Cookie", &cookie)]));
        for authorization in [&right, &wrong, &unknown, &garbage, &bearer] {
            answers.push(get(target, &[("Authorization", authorization)]));
        }
    }
    answers
}

/// Drives a program over `database`, with these variables on top, and looks at all that it has said.
fn assert_program_tells_nothing(database: &Database, variables: &[(&str, &str)]) -> Vec<u16> {
    let folder = tempfile::TempDir::new().unwrap();
    let log_file = folder.path().join("watchtower.log");
    let fallbacks = format!(r#"["{OLD_KEY}"]"#);
    let own = [
        ("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str()),
        ("SIDECAR_LOG", "trace"),
        ("SIDECAR_LOG_FILE", log_file.to_str().unwrap()),
        ("SIDECAR_LOGIN", "on"),
        ("SIDECAR_LOGIN_RATE", "off"),
        ("RUST_BACKTRACE", "full"),
    ];
    let program = Program::serve(database, &[&own[..], variables].concat());
    let answers = drive(&program);
    let statuses = answers.iter().map(|answer| answer.status).collect();
    for answer in answers {
        // A login's cookie is for the one who logged in, and is not among the secrets here.
        assert_tells_nothing(
            "an answer",
            &(answer.head() + &String::from_utf8_lossy(&answer.body)),
        );
    }
    assert_tells_nothing("standard error", &program.said());
    let command_line = std::fs::read(format!("/proc/{}/cmdline", program.id())).unwrap();
    assert_tells_nothing("the command line", &String::from_utf8_lossy(&command_line));
    // At its end all lines are written.
    drop(program);
    let log = std::fs::read_to_string(&log_file).unwrap();
    assert!(log.contains("listening on"), "{log}");
    assert_tells_nothing("the log file", &log);
    statuses
}

#[test]
fn logins_good_and_failed_leave_no_secret_in_the_log() {
    for database in Database::of_every_kind() {
        insert_session(&database, "kept-secret", "1", KEY);
        let statuses = assert_program_tells_nothing(&database, &[]);
        for status in [200, 400, 401, 403, 404, 415] {
            assert!(statuses.contains(&status), "{status}: {statuses:?}");
        }
    }
}

#[test]
fn a_database_that_is_away_leaves_none_either() {
    let database = Database::filled_sqlite();
    // Port 1 has no listener.
    let url = format!("postgres://sidecar:{DATABASE_PASSWORD}@127.0.0.1:1/site");
    let statuses = assert_program_tells_nothing(&database, &[("DATABASE_URL", &url)]);
    assert!(statuses.contains(&503), "{statuses:?}");
    #[cfg(feature = "mysql")]
    assert_program_tells_nothing(
        &database,
        &[("DATABASE_URL", &url.replace("postgres", "mysql"))],
    );
    let absent = format!("sqlite:////nowhere/{DATABASE_PASSWORD}/db.sqlite3");
    // A path is no secret; here nothing but the answers is looked at.
    let program = Program::serve(&database, &[("DATABASE_URL", &absent)]);
    for answer in drive(&program) {
        assert_tells_nothing(
            "an answer",
            &(answer.head() + &String::from_utf8_lossy(&answer.body)),
        );
    }
}

#[test]
fn a_mistake_in_the_configuration_is_told_without_the_value_of_a_secret() {
    let database_urls = [
        format!("oracle://sidecar:{DATABASE_PASSWORD}@db/site"),
        format!("postgres://sidecar:{DATABASE_PASSWORD}@db:port/site"),
        format!("postgres://sidecar:{DATABASE_PASSWORD}%@db/site"),
        format!("postgres:{DATABASE_PASSWORD}"),
        format!("mysql://{DATABASE_PASSWORD}@"),
        format!("postgres://sidecar@db/site?sslpassword={DATABASE_PASSWORD}%zz"),
        format!("postgres://sidecar:%00{DATABASE_PASSWORD}@db/site"),
        format!("postgres://sidecar@db/site?password=x&{DATABASE_PASSWORD}"),
        format!("postgres://sidecar:1/{DATABASE_PASSWORD}@db/site"),
        DATABASE_PASSWORD.to_owned(),
    ];
    for url in &database_urls {
        let fallbacks = format!(r#"["{OLD_KEY}", {OLD_KEY}"#);
        let variables = [
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_READ_URL", url.as_str()),
            ("DJANGO_SECRET_KEY", KEY),
            ("DJANGO_SECRET_KEY_FILE", "/dev/null"),
            ("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str()),
        ];
        for arguments in [
            &["serve"][..],
            &["--help"],
            &["serve", "--help"],
            &["check"],
            &["--nonsense"],
            &[],
        ] {
            let output = run(arguments, &variables);
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!text.is_empty());
            assert_tells_nothing(&format!("{arguments:?}"), &text);
        }
        assert_eq!(run(&[], &variables).status.code(), Some(64), "{url}");
    }
}

#[test]
fn a_value_on_the_command_line_that_is_not_expected_is_not_repeated() {
    let url = format!("postgres://sidecar:{DATABASE_PASSWORD}@db/site");
    let against = format!("http://admin:{DATABASE_PASSWORD}@localhost");
    let equals = format!("--password-stdin={DATABASE_PASSWORD}");
    let unknown = format!("--database-url={url}");
    for arguments in [
        &[url.as_str()][..],
        &["check", &url],
        &["check", "--format", &url],
        &["check", "--user", "admin", DATABASE_PASSWORD],
        &["check", "--user", "admin", &equals],
        &["serve", &unknown],
        &["export", "--output", "-", &url],
        &["verify", "--against", &against],
        &["verify", "--against", &url],
    ] {
        let output = run(arguments, &[]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(
            !output.status.success() && !said.is_empty(),
            "{arguments:?}"
        );
        assert_tells_nothing(&format!("{arguments:?}"), &said);
    }
}

#[test]
fn a_users_name_is_one_line_of_the_log_and_not_a_long_one() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let name = "'eve' || char(10) || '2026-01-01T00:00:00Z INFO forged: line' || char(13) || char(27) || '[31m' \
         || char(133) || char(8232) || printf('%.*c', 10000, 'x')";
    database.execute(&format!(
        "UPDATE auth_user SET username = {name} WHERE id = 1"
    ));
    for format in ["text", "json"] {
        let folder = tempfile::TempDir::new().unwrap();
        let log_file = folder.path().join("watchtower.log");
        let file = ("SIDECAR_LOG_FILE", log_file.to_str().unwrap());
        let program = Program::serve(&database, &[file, ("SIDECAR_LOG_FORMAT", format)]);
        let cookie = format!("sessionid={session}");
        assert_eq!(
            send(&program.address, "GET", EXPORT, &[("Cookie", &cookie)], "").status,
            200
        );
        drop(program);
        let log = std::fs::read_to_string(&log_file).unwrap();
        assert_eq!(log.matches("requesting user export").count(), 1);
        for line in log.lines() {
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(!line.contains('\u{2028}') && line.len() < 1_000, "{line:?}");
            assert!(!line.starts_with("2026-01-01T00:00:00Z"), "{line:?}");
            if format == "json" {
                assert!(
                    serde_json::from_str::<serde_json::Value>(line)
                        .unwrap()
                        .is_object()
                );
            }
        }
        let eve = log
            .lines()
            .find(|line| line.contains("requesting user export"))
            .unwrap();
        let crosses = eve.matches('x').count();
        // 256 characters are the whole name's.
        assert!((150..=256).contains(&crosses), "{crosses}: {eve}");
    }
}

#[test]
fn a_weak_key_is_warned_about_and_not_shown() {
    let database = Database::filled_sqlite();
    let start = |key: &str, fallbacks: &str| {
        let variables = [
            ("DJANGO_SECRET_KEY", key),
            ("DJANGO_SECRET_KEY_FALLBACKS", fallbacks),
        ];
        Program::serve(&database, &variables).said()
    };
    for key in [
        "only-31-characters-of-a-key-123",
        "django-insecure-&x0)1gpu^8f9z#x+c4v7q!k2m5n8b1w3e6r9t0y2",
        &"a".repeat(64),
        &"abcd".repeat(16),
    ] {
        let said = start(key, "[]");
        assert!(
            said.contains("WARN") && said.contains("DJANGO_SECRET_KEY "),
            "{key}: {said}"
        );
        assert!(!said.contains(key), "{said}");
        let said = start(KEY, &format!(r#"["{key}"]"#));
        assert!(
            said.contains("WARN") && said.contains("DJANGO_SECRET_KEY_FALLBACKS"),
            "{key}: {said}"
        );
        assert!(!said.contains(key), "{said}");
    }
    let said = start(KEY, &format!(r#"["{OLD_KEY}"]"#));
    assert!(!said.contains("WARN"), "{said}");
}

#[test]
fn the_process_leaves_no_core_file() {
    let database = Database::filled_sqlite();
    let program = Program::serve(&database, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
}
