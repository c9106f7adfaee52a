//! The binary as an operator runs it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::app::KEY;
use crate::client::send;
use crate::database::Database;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_watchtower-sidecar");

/// A running process, ended with the test.
pub struct Program {
    child: Child,
    pub address: String,
    /// What it has written to standard error
    said: Arc<Mutex<String>>,
}

impl Program {
    /// `serve` over `database`.
    pub fn serve(database: &Database, variables: &[(&str, &str)]) -> Program {
        let url = match variables.contains(&("SIDECAR_LOGIN", "on")) {
            true => &database.url,
            false => &database.reading_url,
        };
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .env("DATABASE_URL", url)
            .env("DJANGO_SECRET_KEY", KEY)
            .env("DJANGO_ALLOWED_HOSTS", r#"["*"]"#)
            .env("SIDECAR_BIND", "127.0.0.1:0")
            // As the unit and the image set it.
            .env("MALLOC_ARENA_MAX", "2")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let hear = {
            let said = Arc::clone(&said);
            move |line: std::io::Result<String>| {
                let line = line.unwrap();
                *said.lock().unwrap() += &format!("{line}\n");
                line
            }
        };
        let address = log
            .find_map(|line| Some(hear(line).split_once("listening on ")?.1.to_owned()))
            .unwrap();
        // The pipe must not fill up while the program runs.
        std::thread::spawn(move || log.for_each(|line| drop(hear(line))));
        Program {
            child,
            address: address
                .trim_start_matches("http://")
                // The rest of a line of JSON
                .split('"')
                .next()
                .unwrap()
                .to_owned(),
            said,
        }
    }
}

impl Program {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Files and sockets that it has open, but for the database's: of those it keeps some.
    pub fn descriptors(&self) -> usize {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let open = folder.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        open.filter(|path| !path.to_string_lossy().contains("sqlite3"))
            .count()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// SIGKILL
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// A number of the kernel's account of the process; of memory in KiB.
    pub fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGTERM, so that the demo deletes its folder.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn every_mistake_in_the_configuration_is_reported_at_once() {
    let variables = [
        ("DATABASE_URL", "oracle://x:hunter2@db/x"),
        ("DJANGO_DEBUG", "maybe"),
        ("SIDECAR_BIND", "here"),
    ];
    let output = run(&["serve"], &variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{text}");
    for name in [
        "DATABASE_URL",
        "DJANGO_SECRET_KEY",
        "DJANGO_DEBUG",
        "SIDECAR_BIND",
    ] {
        assert!(
            text.contains(&format!("- {name} ")) && text.contains(&format!("for example {name}=")),
            "{text}"
        );
    }
    assert!(
        text.starts_with("4 mistakes in the configuration:\n"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn help_shows_every_variable_with_its_default() {
    for arguments in [["--help"].as_slice(), &["serve", "--help"]] {
        let text = String::from_utf8(run(arguments, &[]).stdout).unwrap();
        for variable in watchtower_sidecar::config::VARIABLES {
            assert!(text.contains(variable.name), "{}", variable.name);
            assert!(
                variable
                    .default
                    .is_none_or(|default| text.contains(&format!("default: {default}")))
            );
        }
    }
}

#[test]
fn an_address_in_use_is_a_failed_start() {
    let database = Database::filled_sqlite();
    let first = Program::serve(&database, &[]);
    let output = run(
        &[],
        &[
            ("DATABASE_URL", &database.url),
            ("DJANGO_SECRET_KEY", KEY),
            ("SIDECAR_BIND", &first.address),
        ],
    );
    assert_eq!(output.status.code(), Some(1));
}

/// A running demo, and the lines that it has printed.
fn demo() -> (Program, Vec<String>) {
    let mut child = Command::new(PROGRAM)
        .arg("demo")
        .env_clear()
        .env("SIDECAR_BIND", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    for line in lines.by_ref() {
        printed.push(line.unwrap());
        if printed.last().unwrap().starts_with("Ctrl-C") {
            break;
        }
    }
    let address = printed[0].split("http://").nth(1).unwrap();
    let program = Program {
        address: address.split(' ').next().unwrap().into(),
        child,
        said: Arc::default(),
    };
    (program, printed)
}

#[test]
fn the_demo_says_how_to_open_its_page_which_shows_users_of_three_years() {
    let (program, printed) = demo();
    let origin = format!("http://{}", program.address);
    let line = printed[1].strip_prefix(&format!("Open {origin}")).unwrap();
    let (path, line) = line.split_once(" in a browser, and log in as ").unwrap();
    let (user, password) = line.split_once(" with the password ").unwrap();
    // As a browser sends the page's own form.
    let form = format!("username={user}&password={password}");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let target = format!("{path}login/");
    let login = send(&program.address, "POST", &target, &headers, &form);
    let cookie = format!("sessionid={}", login.cookie("sessionid").unwrap());
    let headers = [("Cookie", cookie.as_str()), ("Accept", "text/html")];
    let page = send(&program.address, "GET", path, &headers, "");
    assert_eq!(page.status, 200);
    let page = String::from_utf8(page.body).unwrap();
    let rows = page.split("<tr><th scope=\"row\">").skip(1);
    let months: Vec<Vec<u32>> = rows
        .map(|row| {
            let cells = row.split("<td class=\"number\">").skip(1);
            cells
                .map(|cell| cell.split('<').next().unwrap().parse().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(months.len(), 36);
    for kind in 0..3 {
        let with = months.iter().filter(|month| month[kind] > 0).count();
        assert!(with > 18, "{kind}: {months:?}");
    }
    let year = |months: &[Vec<u32>]| months.iter().flatten().sum::<u32>();
    assert!(year(&months[24..]) > 2 * year(&months[..12]), "{months:?}");
}

#[test]
fn the_demos_own_lines_work_as_printed() {
    let (program, printed) = demo();
    let credentials = printed
        .iter()
        .find_map(|line| line.trim().strip_prefix("-d '"))
        .unwrap();
    let credentials = credentials.split('\'').next().unwrap();
    let headers = [("Content-Type", "application/json")];
    let login = send(
        &program.address,
        "POST",
        "/api/login/",
        &headers,
        credentials,
    );
    assert_eq!(login.status, 200);
    let cookie = format!("sessionid={}", login.cookie("sessionid").unwrap());
    let export = send(
        &program.address,
        "GET",
        "/api/admin/export-users/",
        &[("Cookie", &cookie)],
        "",
    )
    .json();
    assert!(export["count"].as_u64().unwrap() >= 100);
    let users = export["users"].as_array().unwrap();
    assert!(
        users
            .iter()
            .any(|user| !user["first_name"].as_str().unwrap().is_ascii())
    );
    assert!(users.iter().any(|user| user["movie_service"] == true));
}

#[test]
fn the_demo_deletes_its_database_when_its_terminal_is_closed() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("demo")
        .env_clear()
        .env("SIDECAR_BIND", "127.0.0.1:0")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().starts_with("Ctrl-C"));
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 1);
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", "HUP", &id]).status();
    assert!(status.unwrap().success());
    assert!(child.wait().unwrap().success());
    assert_eq!(files(), 0);
}

#[test]
fn four_exports_at_once_time_after_time_take_little_memory() {
    let database = Database::filled_sqlite();
    let session = crate::app::insert_session(&database, "admin", "1", KEY);
    database.insert_users(100..60_100, |id| {
        format!("2021-01-01 00:{:02}:{:02}", id % 59, id % 60)
    });
    let program = Program::serve(&database, &[]);
    let cookie = format!("sessionid={session}");
    let ask = |target: &str, coding: &str| {
        let headers = [("Cookie", cookie.as_str()), ("Accept-Encoding", coding)];
        let answer = send(&program.address, "GET", target, &headers, "");
        assert_eq!(answer.status, 200);
        answer.body.len()
    };
    ask("/api/admin/export-stats/", "identity");
    let idle = program.status("VmRSS:");
    for coding in ["identity", "gzip", "identity"] {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ask("/api/admin/export-users/", coding));
            }
        });
    }
    let length = ask("/api/admin/export-users/", "identity");
    assert!(length > 20_000_000, "{length}");
    let grown = program.status("VmHWM:") - idle;
    assert!(grown < 64 * 1024, "{grown} KiB above {idle} KiB");
}
