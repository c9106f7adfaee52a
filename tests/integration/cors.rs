//! `SIDECAR_CORS_ORIGINS`: pages of the listed origins may read answers, other pages may not.

use crate::app::{App, KEY, insert_session};
use crate::client::{Answer, basic};
use crate::database::Database;
use crate::program::run;

const EXPORT: &str = "/api/admin/export-users/";
const STATS: &str = "/api/admin/export-stats/";
const LISTED: &str = "https://good.example";

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";

fn has_cors(answer: &Answer) -> bool {
    answer
        .header_names()
        .iter()
        .any(|name| name.starts_with("access-control-"))
}

fn varies_on_origin(answer: &Answer) -> bool {
    let vary = answer.header("vary").unwrap_or_default().to_lowercase();
    vary.split(',').any(|name| name.trim() == "origin")
}

const PREFLIGHT: [(&str, &str); 2] = [
    ("Access-Control-Request-Method", "GET"),
    ("Access-Control-Request-Headers", "authorization"),
];

#[test]
fn as_shipped_no_page_of_another_site_may_read_anything() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::over(&database);
    let cookie = format!("sessionid={session}");
    for origin in [
        LISTED,
        "null",
        "*",
        "http://localhost",
        "https://localhost:8000",
        "",
    ] {
        let origin = ("Origin", origin);
        for target in [EXPORT, STATS, "/api/login/", "/healthz", "/nowhere"] {
            for cookie in [&[("Cookie", cookie.as_str())][..], &[]] {
                let answer = app.get(target, &[&[origin], cookie].concat());
                assert!(!has_cors(&answer), "{origin:?} {target}: {}", answer.head());
                let preflight = [&[origin], &PREFLIGHT[..], cookie].concat();
                let answer = app.send("OPTIONS", target, &preflight, "");
                assert!(!has_cors(&answer), "{origin:?} {target}: {}", answer.head());
            }
        }
    }
}

#[test]
fn a_listed_origin_alone_may_read_and_exactly_as_it_is_listed() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let listed = format!("{LISTED},http://other.example:8080");
    let app = App::with(&database, &[("SIDECAR_CORS_ORIGINS", &listed)]);
    let cookie = format!("sessionid={session}");
    let json = [("Content-Type", "application/json")];
    let ask = |origin: &str| {
        let origin = ("Origin", origin);
        let cookie = ("Cookie", cookie.as_str());
        [
            app.get(EXPORT, &[origin, cookie]),
            app.get(STATS, &[origin]),
            app.get(
                STATS,
                &[origin, ("Authorization", &basic("admin", "wrong"))],
            ),
            app.send("POST", "/api/login/", &[&json[..], &[origin]].concat(), "{"),
            app.send("OPTIONS", EXPORT, &[&[origin], &PREFLIGHT[..]].concat(), ""),
        ]
    };
    for origin in [LISTED, "http://other.example:8080"] {
        for answer in ask(origin) {
            assert_eq!(answer.header(ALLOW_ORIGIN), Some(origin));
            assert_eq!(answer.header(ALLOW_CREDENTIALS), Some("true"));
            assert!(varies_on_origin(&answer), "{}", answer.head());
        }
        let [export, stats, basic, login, preflight] = ask(origin).map(|answer| answer.status);
        assert_eq!((export, stats, basic, login), (200, 403, 403, 400));
        assert!((200..300).contains(&preflight), "{preflight}");
    }
    for origin in [
        "https://GOOD.example",
        "HTTPS://good.example",
        "http://good.example",
        "https://good.example:443",
        "https://good.example:8443",
        "https://good.example.",
        "https://good.example/",
        "https://good.example ,x",
        "https://good.example.evil.com",
        "https://evil.com?https://good.example",
        "https://evilgood.example",
        "https://sub.good.example",
        "https://good.example, https://good.example",
        "https://good.example\thttps://evil.com",
        "good.example",
        "null",
        "*",
        "",
        "http://other.example",
        "http://other.example:80",
        "https://other.example:8080",
    ] {
        for answer in ask(origin) {
            assert!(!has_cors(&answer), "{origin}: {}", answer.head());
            // A cache must not give this answer to the listed origin.
            assert!(varies_on_origin(&answer), "{origin}: {}", answer.head());
        }
    }
    let two = [
        ("Origin", LISTED),
        ("Origin", "https://evil.com"),
        ("Cookie", cookie.as_str()),
    ];
    assert!(!has_cors(&app.get(EXPORT, &two)));
    let none = app.get(EXPORT, &[("Cookie", &cookie)]);
    assert!(
        !has_cors(&none) && varies_on_origin(&none),
        "{}",
        none.head()
    );
}

#[test]
fn a_preflight_needs_no_credentials_and_tells_nothing() {
    let database = Database::filled_sqlite();
    let app = App::with(&database, &[("SIDECAR_CORS_ORIGINS", LISTED)]);
    for target in [EXPORT, STATS, "/api/login/", "/api/logout/"] {
        let headers = [&[("Origin", LISTED)], &PREFLIGHT[..]].concat();
        let answer = app.send("OPTIONS", target, &headers, "");
        assert!(
            (200..300).contains(&answer.status),
            "{target}: {}",
            answer.status
        );
        assert_eq!(answer.text(), "", "{target}");
        let allowed = |name| answer.header(name).unwrap().to_lowercase();
        let methods = allowed("access-control-allow-methods");
        assert!(
            methods.contains("get") && !methods.contains('*'),
            "{methods}"
        );
        let headers = allowed("access-control-allow-headers");
        assert!(
            headers.contains("authorization") && headers.contains("content-type"),
            "{headers}"
        );
        assert!(!headers.contains('*'), "{headers}");
    }
    // A plain OPTIONS of that origin is the view's own, which needs authentication.
    assert_eq!(
        app.send("OPTIONS", EXPORT, &[("Origin", LISTED)], "")
            .status,
        403
    );
    let unknown = [&[("Origin", LISTED)], &PREFLIGHT[..]].concat();
    assert_eq!(app.send("OPTIONS", "/nowhere/", &unknown, "").status, 404);
}

#[test]
fn an_origin_that_is_none_is_a_mistake_in_the_configuration() {
    let database = Database::filled_sqlite();
    for origins in [
        "*",
        "null",
        "good.example",
        "https://good.example/path",
        "https://good.example/",
        "https://*.good.example",
    ] {
        let variables = [
            ("DATABASE_URL", database.url.as_str()),
            ("DJANGO_SECRET_KEY", KEY),
            // Were the origins taken, this would end the program all the same.
            ("SIDECAR_BIND", "nowhere"),
            ("SIDECAR_CORS_ORIGINS", origins),
        ];
        let text = String::from_utf8(run(&["serve"], &variables).stderr).unwrap();
        assert!(text.contains("SIDECAR_CORS_ORIGINS"), "{origins}: {text}");
    }
}
