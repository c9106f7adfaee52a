//! The log file; audit lines of logins; how often an outage is logged.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::app::KEY;
use crate::client::{basic, send};
use crate::database::{Database, PASSWORD};
use crate::program::{PROGRAM, Program};
use crate::telemetry::{STATS, eventually, get, lines};

const JSON: (&str, &str) = ("SIDECAR_LOG_FORMAT", "json");

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What comes of a start with this log file; with exit code 124 if it hangs.
fn start(log_file: &Path) -> Output {
    Command::new("timeout")
        .args(["10", PROGRAM])
        .env_clear()
        .env("DATABASE_URL", "sqlite:////nowhere/db")
        .env("DJANGO_SECRET_KEY", KEY)
        .env("SIDECAR_BIND", "127.0.0.1:0")
        .env("SIDECAR_LOG_FILE", log_file)
        .output()
        .unwrap()
}

#[test]
fn a_log_file_that_is_a_link_or_no_regular_file_is_refused_at_the_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let [link, fifo] = ["link", "fifo"].map(|name| folder.path().join(name));
    symlink(folder.path().join("elsewhere"), &link).unwrap();
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for (path, reason) in [
        (link.as_path(), "it is a symbolic link"),
        (&fifo, "it is not a regular file"),
        (Path::new("/dev/null"), "it is not a regular file"),
    ] {
        let output = start(path);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{path:?}: {said}");
        let expected = format!("SIDECAR_LOG_FILE can't be opened: {reason}");
        assert!(said.starts_with(&expected), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn sighup_opens_the_log_file_again_and_a_new_one_is_its_owners() {
    let database = Database::filled_sqlite();
    let folder = tempfile::TempDir::new().unwrap();
    let [path, old] = ["log", "log.1"].map(|name| folder.path().join(name));
    let program = Program::serve(&database, &[("SIDECAR_LOG_FILE", path.to_str().unwrap())]);
    let holds = |path: &Path, text: &str| {
        let log = fs::read_to_string(path).unwrap_or_default();
        log.contains(text)
    };
    let ask = |id: &str| get(&program.address, STATS, &[("X-Request-ID", id)]);
    ask("before");
    eventually("a line", || holds(&path, "=before ").then_some(()));
    assert_eq!(mode(&path), 0o600);
    fs::rename(&path, &old).unwrap();
    program.signal("HUP");
    eventually("a new file", || path.exists().then_some(()));
    ask("after");
    eventually("a line", || holds(&path, "=after ").then_some(()));
    assert_eq!(mode(&path), 0o600);
    assert!(!holds(&old, "=after ") && !holds(&path, "=before "));

    // Where it can't be opened, the log goes on where it went.
    fs::rename(&path, &old).unwrap();
    symlink("/dev/null", &path).unwrap();
    program.signal("HUP");
    ask("at-last");
    eventually("a line", || holds(&old, "=at-last ").then_some(()));
    let refusal = "SIDECAR_LOG_FILE can't be opened again";
    eventually(refusal, || holds(&old, refusal).then_some(()));
}

#[test]
fn a_disk_that_was_full_has_left_no_half_line() {
    let database = Database::filled_sqlite();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("log");
    // What a process that was killed has left.
    fs::write(&path, "half a li").unwrap();
    let file = ("SIDECAR_LOG_FILE", path.to_str().unwrap());
    let program = Program::serve(&database, &[file, JSON]);
    let ask = |id: &str| get(&program.address, STATS, &[("X-Request-ID", id)]);
    let log = || fs::read_to_string(&path).unwrap();
    let limit = |bytes: &str| {
        let arguments = [
            format!("--pid={}", program.id()),
            format!("--fsize={bytes}:"),
        ];
        let status = Command::new("prlimit").args(arguments).status();
        assert!(status.unwrap().success());
    };
    eventually("the start", || log().contains("listening").then_some(()));
    ask("before");
    eventually("a line", || log().contains(r#""before""#).then_some(()));
    let length = File::open(&path).unwrap().metadata().unwrap().len();
    limit(&(length + 100).to_string());
    for number in 0..5 {
        ask(&format!("lost-{number}"));
        lines(&program, "access", 2 + number);
    }
    limit("unlimited");
    ask("after");
    eventually("the lost lines", || {
        log().contains("are lost").then_some(())
    });
    ask("at-last");
    eventually("a line", || log().contains(r#""at-last""#).then_some(()));
    let log = log();
    let (half, rest) = log.split_once('\n').unwrap();
    assert_eq!(half, "half a li");
    for line in rest.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn logins_logouts_and_refused_passwords_leave_audit_lines_at_every_level() {
    let database = Database::filled_sqlite();
    // `Program` waits for a line of its own start.
    let level = ("SIDECAR_LOG", "off,watchtower_sidecar=info");
    let program = Program::serve(&database, &[level, JSON, ("SIDECAR_LOGIN", "on")]);
    let login = |username: &str, password: &str| {
        let json = [("Content-Type", "application/json")];
        let body = serde_json::json!({"username": username, "password": password}).to_string();
        send(&program.address, "POST", "/api/login/", &json, &body)
    };
    assert_eq!(login("admin", "typed-password").status, 401);
    assert_eq!(login("typed-name", PASSWORD).status, 401);
    let wrong = basic("admin", "typed-password");
    let answer = get(&program.address, STATS, &[("Authorization", &wrong)]);
    assert_eq!(answer.status, 403);
    let session = login("admin", PASSWORD).cookie("sessionid").unwrap();
    let cookie = format!("sessionid={session}");
    let headers = [("Cookie", cookie.as_str())];
    let logout = send(&program.address, "POST", "/api/logout/", &headers, "");
    assert_eq!(logout.status, 200);

    let audit = lines(&program, "audit", 5);
    let facts = |line: &Value| {
        ["message", "user", "route", "reason"]
            .map(|name| line[name].as_str().unwrap_or("").to_owned())
    };
    assert_eq!(
        audit.iter().map(facts).collect::<Vec<_>>(),
        [
            ["refused password", "1", "login", "wrong_password"],
            ["refused password", "", "login", "no_such_user"],
            ["refused password", "1", "export-stats", "wrong_password"],
            ["login", "1", "login", ""],
            ["logout", "1", "logout", ""],
        ]
    );
    assert!(audit.iter().all(|line| line["address"] == "127.0.0.1"));
    assert!(!program.said().contains("typed-") && !program.said().contains(&session));
}

#[test]
fn an_outage_is_logged_once_a_minute_and_not_for_each_request() {
    let database = Database::filled_sqlite();
    // Port 1 has no listener.
    let url = ("DATABASE_URL", "postgres://sidecar:secret@127.0.0.1:1/site");
    let program = Program::serve(&database, &[url, JSON]);
    let cookie = [("Cookie", "sessionid=a-session-key")];
    for _ in 0..20 {
        assert_eq!(get(&program.address, STATS, &cookie).status, 503);
        assert_eq!(get(&program.address, "/readyz", &[]).status, 503);
    }
    lines(&program, "access", 40);
    let said = program.said();
    let all = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let warnings: Vec<Value> = all.filter(|line: &Value| line["level"] != "INFO").collect();
    let of = |logger: &str| {
        let lines = warnings.iter().filter(|line| line["logger"] == logger);
        lines.count()
    };
    // The first request of each kind.
    assert_eq!(of("access"), 2, "{warnings:?}");
    // That it can't be connected to: each once, as an answer, as "not ready" and as "can't connect".
    assert_eq!(of("watchtower_sidecar::error"), 1, "{warnings:?}");
    assert_eq!(warnings.len(), 5, "{warnings:?}");
}
