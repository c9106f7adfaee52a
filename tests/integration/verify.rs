//! `verify`: two services side by side, equal and not; `tests/differential/test_verify.py` compares with a live Django.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::app::{App, KEY, OLD_KEY, insert_session};
use crate::database::{Database, PASSWORD};
use crate::program::run;

/// An answer with these lines of a header, and this body.
macro_rules! answer {
    ($status:literal, $headers:literal, $body:literal) => {
        concat!("HTTP/1.1 ", $status, "\r\n", $headers, "\r\n\r\n", $body)
    };
}

mod explained;

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        Files {
            folder: tempfile::TempDir::new().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// The exit code, standard output and standard error.
fn verify(django: &str, sidecar: &str, more: &[&str]) -> (i32, String, String) {
    let (django, sidecar) = (format!("http://{django}"), format!("http://{sidecar}"));
    let mut arguments = vec!["verify", "--against", &django, "--sidecar", &sidecar];
    arguments.extend(more);
    let output = run(&arguments, &[]);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn two_that_answer_alike_are_the_same() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let files = Files::new();
    let cookie = files.write("cookie", &format!("{session}\n"));
    let basic = files.write("basic", &format!("admin:{PASSWORD}\n"));
    let (one, other) = (App::over(&database), App::over(&database));
    let arguments = ["--cookie-file", &cookie, "--basic-file", &basic];
    let (code, table, said) = verify(&one.address, &other.address, &arguments);
    assert_eq!((code, said.as_str()), (0, ""), "{table}");
    assert!(
        table.ends_with(
            "            Page for text/html (2 answers): the sidecar has a page of its own\n\
             33 requests: 31 same, 2 explained, 0 different\n"
        ),
        "{table}"
    );
    assert!(
        table.contains("same        GET     /api/admin/export-users/                cookie\n"),
        "{table}"
    );
    for secret in [session.as_str(), PASSWORD] {
        assert!(!table.contains(secret), "{table}");
    }
    let (code, table, _) = verify(&one.address, &other.address, &["--quiet"]);
    assert_eq!(code, 0);
    assert_eq!(
        table,
        "note: no caller was tried who is admitted: give --cookie-file, --basic-file or --token-file\n\
         13 requests: 13 same, 0 explained, 0 different\n"
    );
}

#[test]
fn a_wrong_key_is_seen_by_the_cookie_and_a_refused_cookie_is_noted() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let files = Files::new();
    let cookie = files.write("cookie", &format!("sessionid={session}"));
    let right = App::over(&database);
    let wrong = App::with(
        &database,
        &[
            ("DJANGO_SECRET_KEY", "another-key-of-the-tests-0123456789"),
            ("DJANGO_SECRET_KEY_FALLBACKS", "[]"),
        ],
    );
    let (code, table, _) = verify(&right.address, &wrong.address, &["--cookie-file", &cookie]);
    assert_eq!(code, 1, "{table}");
    assert!(table.contains(
        "DIFFERENT   GET     /api/admin/export-users/                cookie\n            status: Django 200, sidecar \
         403\n"
    ), "{table}");
    let (code, table, _) = verify(&wrong.address, &wrong.address, &["--cookie-file", &cookie]);
    assert_eq!(code, 0, "{table}");
    assert!(
        table.contains("note: Django itself does not admit the given cookie (403)"),
        "{table}"
    );
}

#[test]
fn a_difference_in_an_exported_body_is_shown_only_where_it_is_asked_for() {
    let (database, other) = (Database::filled_sqlite(), Database::filled_sqlite());
    other.execute("UPDATE auth_user SET last_name = 'Hopper' WHERE id = 3");
    let files = Files::new();
    let basic = files.write("basic", &format!("admin:{PASSWORD}"));
    let (one, two) = (App::over(&database), App::over(&other));
    let (code, table, _) = verify(&one.address, &two.address, &["--basic-file", &basic]);
    assert_eq!(code, 1, "{table}");
    let line = table
        .lines()
        .find(|line| line.contains("body: byte "))
        .unwrap();
    assert!(line.ends_with(')') && !table.contains("Hopper"), "{table}");
    assert!(table.ends_with(" 1 different\n"), "{table}");
    let arguments = ["--basic-file", &basic, "--show-bodies"];
    let (_, table, _) = verify(&one.address, &two.address, &arguments);
    assert!(table.contains("Hopper"), "{table}");
}

/// What came up to the empty line, or `None` where the client left before it.
fn request_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(length @ 1..) => request.extend_from_slice(&piece[..length]),
            _ => return None,
        }
    }
    Some(request)
}

/// A server that answers every request with these bytes, the first ones with others.
fn server(first: &'static [&'static str], then: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        // Another test's probe may connect and say nothing: it must not keep the others waiting.
        for stream in listener.incoming() {
            let (mut stream, asked) = (stream.unwrap(), Arc::clone(&asked));
            std::thread::spawn(move || {
                let Some(request) = request_head(&mut stream) else {
                    return;
                };
                let number = asked.fetch_add(1, Ordering::Relaxed);
                let answer = first.get(number).unwrap_or(&then);
                let is_head = request.starts_with(b"HEAD ");
                let head = answer.split_inclusive("\r\n\r\n").next().unwrap();
                stream
                    .write_all(if is_head { head } else { answer }.as_bytes())
                    .unwrap();
            });
        }
    });
    address
}

const PLAIN: &str = "HTTP/1.1 403 Forbidden\r\nServer: gunicorn\r\nAllow: GET, OPTIONS\r\nContent-Length: \
 11\r\n\r\nhello world";

#[test]
fn framing_and_the_servers_own_headers_do_not_count() {
    const CHUNKED: &str = "HTTP/1.1 403 Forbidden\r\nallow: OPTIONS, GET\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nhel\r\n8;x=y\r\nlo world\r\n0\r\ntrailer: x\r\n\r\n";
    const UNTIL_CLOSED: &str =
        "HTTP/1.0 403 Forbidden\r\nAllow: GET, OPTIONS\r\nDate: today\r\n\r\nhello world";
    const MORE: &str = "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\nCache-Control: no-store\r\nETag: \"x\"\r\n\
        X-Request-ID: 1\r\nContent-Length: 11\r\n\r\nhello world";
    for (django, sidecar) in [
        (PLAIN, PLAIN),
        (CHUNKED, PLAIN),
        (PLAIN, CHUNKED),
        (UNTIL_CLOSED, PLAIN),
        (PLAIN, MORE),
    ] {
        let (code, table, _) = verify(&server(&[], django), &server(&[], sidecar), &[]);
        assert_eq!(code, 0, "{django} {sidecar}: {table}");
    }
    // What the sidecar may add, Django's own answer must not be without.
    let (code, table, _) = verify(&server(&[], MORE), &server(&[], PLAIN), &[]);
    assert!(code == 0 && table.contains("ETag (13 answers; "), "{table}");
    const TAGGED: &str = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n\r\nhello world";
    const TAGGED_OTHERWISE: &str = "HTTP/1.1 200 OK\r\nETag: \"y\"\r\n\r\nhello world";
    const UNTAGGED: &str = "HTTP/1.1 200 OK\r\nDate: today\r\n\r\nhello world";
    for (sidecar, tags_differ) in [(UNTAGGED, true), (TAGGED_OTHERWISE, false)] {
        let (_, table, _) = verify(&server(&[], TAGGED), &server(&[], sidecar), &[]);
        assert_eq!(table.contains("header etag: "), tags_differ, "{table}");
    }
}

#[test]
fn every_kind_of_difference_is_one() {
    let answers = [
        (
            "HTTP/1.1 404 Not Found\r\nAllow: GET, OPTIONS\r\nContent-Length: 11\r\n\r\nhello world",
            "status: Django 403, sidecar 404",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nAllow: GET\r\nContent-Length: 11\r\n\r\nhello world",
            "header allow: Django \"GET, OPTIONS\", sidecar \"GET\"",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\nX-Own: 1\r\nContent-Length: 11\r\n\r\nhello world",
            "header x-own: Django none, sidecar \"1\"",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\nContent-Length: 11\r\n\r\nhello_world",
            "body: byte 5 (of 11 and 11): Django \"hello world\", sidecar \"hello_world\"",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\nContent-Length: 5\r\n\r\nhello",
            "body: byte 5 (of 11 and 5)",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\nContent-Length: 12\r\n\r\nhello world",
            "an answer broke off",
        ),
        (
            "SSH-2.0-OpenSSH\r\n\r\n",
            "no answer from the sidecar: the answer is no HTTP/1",
        ),
    ];
    for (answer, words) in answers {
        let (code, table, _) = verify(&server(&[], PLAIN), &server(&[], answer), &[]);
        assert_eq!(code, 1, "{answer}: {table}");
        assert!(table.contains(words), "{words}: {table}");
    }
}

#[test]
fn a_redirect_to_https_is_said_once_and_compares_nothing() {
    const TO_HTTPS: &str = answer!(
        "301 Moved Permanently",
        "Location: https://shop.test/api/admin/export-stats/\r\nContent-Length: 0",
        ""
    );
    const ELSEWHERE: &str = answer!(
        "302 Found",
        "Location: https://shop.test/login/\r\nContent-Length: 0",
        ""
    );
    for (option, advice) in [
        (
            &[][..],
            ": give --forwarded-proto https, as the proxy sends it",
        ),
        (
            &["--forwarded-proto", "https"],
            "It ignores X-Forwarded-Proto",
        ),
    ] {
        let arguments = [&["--quiet"], option].concat();
        let (code, table, said) = verify(&server(&[], TO_HTTPS), &server(&[], PLAIN), &arguments);
        assert_eq!((code, table.as_str()), (64, ""), "{said}");
        assert!(
            said.contains("Django redirects to https") && said.contains(advice),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (code, table, _) = verify(&server(&[], ELSEWHERE), &server(&[], PLAIN), &[]);
    assert!(
        code == 1 && table.contains("status: Django 302, sidecar 403"),
        "{table}"
    );
}

#[test]
fn a_difference_that_is_gone_when_asked_again_is_none() {
    const MOVED_ON: &[&str] = &[
        "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\nContent-Length: 12\r\n\r\nhello worlds",
    ];
    let (code, table, _) = verify(&server(MOVED_ON, PLAIN), &server(&[], PLAIN), &[]);
    assert_eq!(code, 0, "{table}");
}

#[test]
fn a_django_that_is_not_there_or_does_not_know_the_host_is_explained() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let (code, table, _) = verify(&unused, &server(&[], PLAIN), &[]);
    assert_eq!(code, 1);
    assert!(
        table.contains("no answer from Django: ") && table.contains("\n1 requests: "),
        "{table}"
    );
    let refusing = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let (code, table, _) = verify(&server(&[], refusing), &server(&[], refusing), &[]);
    assert_eq!(code, 1, "{table}");
    assert!(table.contains("its ALLOWED_HOSTS may not hold"), "{table}");
}

#[test]
fn bad_arguments_are_64_and_a_unix_socket_is_the_configured_one() {
    for arguments in [
        ["--against", "django:8000", "--host", "x"],
        [
            "--against",
            "http://127.0.0.1:1",
            "--cookie-file",
            "/nowhere",
        ],
        [
            "--against",
            "http://127.0.0.1:1",
            "--basic-file",
            "/dev/null",
        ],
        [
            "--against",
            "http://127.0.0.1:1",
            "--token-file",
            "/dev/null",
        ],
    ] {
        let output = run(
            &[["verify"].as_slice(), &arguments].concat(),
            &[("SIDECAR_BIND", "127.0.0.1:1")],
        );
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
    for url in [
        "django:8001",
        "http://",
        "http://u:p@django/",
        "http://django:x/",
        "http://:80/",
        "ftp://django/",
        "unix:x",
        "http://django/?x",
        "http://django/#x",
    ] {
        let output = run(&["verify", "--against", url], &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{url}");
        assert!(
            said.starts_with("--against ") && !said.contains("u:p"),
            "{said}"
        );
    }
    let database = Database::filled_sqlite();
    let folder = tempfile::TempDir::new().unwrap();
    let socket = format!("unix:{}", folder.path().join("sidecar.sock").display());
    let bind = [("SIDECAR_BIND", socket.as_str())];
    let _program = crate::program::Program::serve(&database, &bind);
    let other = App::with(&database, &[("DJANGO_SECRET_KEY", OLD_KEY)]);
    let against = format!("http://{}", other.address);
    let output = run(&["verify", "--against", &against], &bind);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}");
}
