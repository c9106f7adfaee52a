//! `export` and `stats`: the bytes of the answers, without HTTP.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::{fs, path::Path};

use crate::app::{App, KEY, insert_session};
use crate::database::Database;
use crate::program::PROGRAM;
use crate::telemetry::eventually;

fn run(database: &Database, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().envs([
        ("DATABASE_URL", database.reading_url.as_str()),
        ("DJANGO_SECRET_KEY", KEY),
    ]);
    for name in ["PATH", "TMPDIR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_export_is_what_the_service_answers() {
    for database in Database::of_every_kind() {
        database.insert_users(100..9_100, |_| "2021-01-01 00:00:00".into());
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        let cookie = format!("sessionid={session}");
        let folder = tempfile::tempdir().unwrap();
        for (query, arguments) in [
            ("", &[][..]),
            ("?format=csv&bom=1", &["--format", "csv", "--bom"]),
            (
                "?format=csv&formulas=keep",
                &["--format=csv", "--keep-formulas"],
            ),
            (
                "?format=ndjson&limit=5&after_id=-1",
                &["--format=ndjson", "--limit=5", "--after-id", "-1"],
            ),
            (
                "?joined_after=2020-01-04",
                &["--joined-after", "2020-01-04"],
            ),
        ] {
            let target = format!("/api/admin/export-users/{query}");
            let expected = app.get(&target, &[("Cookie", &cookie)]).body;
            let arguments = [&["export"], arguments].concat();
            let piped = run(&database, &arguments);
            assert!(
                piped.status.success(),
                "{}: {}",
                piped.status,
                error(&piped)
            );
            assert!(piped.stdout == expected, "{query} on {}", database.name());
            assert_eq!(error(&piped), "", "a pipe shows no progress");

            let path = folder.path().join("users");
            let file = [arguments, vec!["--output", path.to_str().unwrap()]].concat();
            let written = run(&database, &file);
            assert!(
                written.status.success(),
                "{}: {}",
                written.status,
                error(&written)
            );
            assert!(fs::read(&path).unwrap() == expected && written.stdout.is_empty());
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        // Nothing else was left there.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        let stats = app.get("/api/admin/export-stats/", &[("Cookie", &cookie)]);
        let printed = run(&database, &["stats", "--format", "json"]);
        assert_eq!(
            String::from_utf8_lossy(&printed.stdout),
            format!("{}\n", stats.text())
        );
        let table = run(&database, &["stats"]);
        let table = String::from_utf8_lossy(&table.stdout).into_owned();
        assert!(
            table.contains("would be exported") && table.contains(" 9002\n"),
            "{table}"
        );
    }
}

/// The pool's threads still open and close connections when the process ends.
#[test]
fn a_command_never_crashes_as_it_ends() {
    for database in Database::of_every_kind() {
        for _ in 0..30 {
            let output = run(&database, &["export", "--limit", "1"]);
            assert!(output.status.success(), "{}", output.status);
        }
    }
}

#[test]
fn an_export_that_fails_leaves_the_old_file() {
    let database = Database::filled_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.json");
    fs::write(&path, "old").unwrap();
    let output = ["export", "--output", path.to_str().unwrap()];
    database.execute("UPDATE auth_user SET date_joined = 'yesterday' WHERE id = 3");
    let failed = run(&database, &output);
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        error(&failed).contains("Django's view would fail, too"),
        "{}",
        error(&failed)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_export_that_is_interrupted_leaves_nothing() {
    let database = Database::filled_sqlite();
    database.insert_users(100..40_100, |_| "2021-01-01 00:00:00".into());
    for (name, number) in [("INT", 2), ("TERM", 15), ("KILL", 9)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.json");
        let mut child = Command::new(PROGRAM)
            .args(["export", "--output", path.to_str().unwrap()])
            .env_clear()
            .envs([
                ("DATABASE_URL", database.reading_url.as_str()),
                ("DJANGO_SECRET_KEY", KEY),
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Once the file is open, named or not.
        let open_files = format!("/proc/{}/fd", child.id());
        eventually("the output is written", || {
            let mut open = fs::read_dir(&open_files).ok()?;
            let is_output = |file: fs::DirEntry| {
                fs::read_link(file.path()).is_ok_and(|file| file.starts_with(folder.path()))
            };
            open.any(|file| file.is_ok_and(is_output)).then_some(())
        });
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        let left = fs::read_dir(folder.path()).unwrap();
        let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{name} leaves {left:?}");
    }
}

#[test]
fn a_link_is_followed_and_a_device_written() {
    let database = Database::filled_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert!(
        run(&database, &["export", "--output", link.to_str().unwrap()])
            .status
            .success()
    );
    assert!(
        fs::read_to_string(&real)
            .unwrap()
            .starts_with("{\"success\":true")
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        run(&database, &["export", "--output", "/dev/null"])
            .status
            .success()
    );
    assert!(!Path::new("/dev/null").is_file());
}

#[test]
fn wrong_arguments_and_a_database_that_is_away_are_told_apart() {
    let database = Database::filled_sqlite();
    for arguments in [
        &["export", "--limit", "0"][..],
        &["export", "--joined-after", "x"],
        &["export", "--after-id", "x"],
    ] {
        let output = run(&database, arguments);
        assert_eq!(output.status.code(), Some(64), "{}", error(&output));
        assert!(output.stdout.is_empty() && error(&output).ends_with(".\n"));
    }
    let away = Command::new(PROGRAM)
        .arg("stats")
        .env_clear()
        .envs([
            (
                "DATABASE_URL",
                "postgres://nobody:secret-word@127.0.0.1:1/none",
            ),
            ("DJANGO_SECRET_KEY", KEY),
        ])
        .output()
        .unwrap();
    assert_eq!(away.status.code(), Some(1));
    assert!(!error(&away).is_empty() && !error(&away).contains("secret-word"));
}
