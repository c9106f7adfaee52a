//! Pages of other sites and forged requests: they get no login, choose no session, and set no header.

use crate::app::{App, KEY, insert_session};
use crate::client::{Wire, basic};
use crate::database::{Database, PASSWORD};

const EXPORT: &str = "/api/admin/export-users/";
const STATS: &str = "/api/admin/export-stats/";
const LISTED: &str = "https://good.example";

fn login_body() -> String {
    format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#)
}

#[test]
fn login_and_logout_are_for_the_sites_own_pages() {
    let database = Database::filled_sqlite();
    let app = App::with(
        &database,
        &[
            ("SIDECAR_CORS_ORIGINS", LISTED),
            ("SIDECAR_LOGIN_RATE", "off"),
        ],
    );
    let key = app
        .login("admin", PASSWORD, None)
        .cookie("sessionid")
        .unwrap();
    let cookie = format!("sessionid={key}");
    let ask = |target: &str, content_type: &str, headers: &[(&str, &str)]| {
        let own = [("Content-Type", content_type), ("Cookie", cookie.as_str())];
        app.send("POST", target, &[&own[..], headers].concat(), &login_body())
    };
    let json = "application/json";
    for target in ["/api/login/", "/api/logout/"] {
        for headers in [
            &[("Origin", "https://evil.com")][..],
            &[("Origin", "null")],
            &[("Origin", "")],
            &[("Origin", "https://localhost.evil.com")],
            &[("Origin", "https://localhost@evil.com")],
            &[("Origin", "https://localhost:444")],
            &[("Origin", "https://good.example.evil.com")],
            &[
                ("Origin", "https://localhost"),
                ("Origin", "https://evil.com"),
            ],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
            &[
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "https://localhost"),
            ],
            &[
                ("Sec-Fetch-Site", "same-origin"),
                ("Sec-Fetch-Site", "cross-site"),
            ],
            &[
                ("Sec-Fetch-Site", "same-origin"),
                ("Origin", "https://evil.com"),
            ],
            &[
                ("Origin", "https://evil.com"),
                ("X-Forwarded-Host", "evil.com"),
            ],
        ] {
            let answer = ask(target, json, headers);
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (403, None),
                "{target} {headers:?}"
            );
        }
        for content_type in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain",
            "text/json",
            "text/plain; application/json",
            "text/plain, application/json",
            "application/jsonp",
            "application/xml",
            "*/*",
            "x",
        ] {
            let answer = ask(target, content_type, &[]);
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (415, None),
                "{target} {content_type}"
            );
        }
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            let answer = app.send(method, target, &[("Cookie", &cookie)], "");
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (405, None),
                "{method} {target}"
            );
        }
    }
    // No login or logout happened.
    assert_eq!(database.count("django_session"), 1);
    assert_eq!(app.export_as(&key).status, 200);
    for headers in [
        &[
            ("Origin", "https://localhost"),
            ("Sec-Fetch-Site", "same-origin"),
        ][..],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", LISTED), ("Sec-Fetch-Site", "cross-site")],
        &[("Origin", LISTED), ("Sec-Fetch-Site", "same-site")],
    ] {
        let headers = [&[("Content-Type", json)], headers].concat();
        let answer = app.send("POST", "/api/login/", &headers, &login_body());
        assert_eq!(answer.status, 200, "{headers:?}");
        let cookie = format!("sessionid={}", answer.cookie("sessionid").unwrap());
        let headers = [&headers[..], &[("Cookie", cookie.as_str())]].concat();
        assert_eq!(
            app.send("POST", "/api/logout/", &headers, "{}").status,
            200,
            "{headers:?}"
        );
    }
    assert_eq!(
        ask("/api/login/", "Application/JSON; charset=utf-8", &[]).status,
        200
    );
}

#[test]
fn a_logout_without_a_body_is_one_whatever_its_content_type() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let none = "Content-Length: 0\r\n\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (rest, status) in [
        // curl -d '', wget and Ruby; axios; aiohttp; PHP; Java; fetch.
        (format!("{form}{none}"), 200),
        (
            format!("Content-Type: APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8\r\n{none}"),
            200,
        ),
        (
            format!("Content-Type: application/octet-stream\r\n{none}"),
            200,
        ),
        (
            format!("Content-Type: multipart/form-data; boundary=x\r\n{none}"),
            200,
        ),
        (format!("Content-Type:\r\n{none}"), 200),
        (format!("{form}\r\n"), 200),
        (none.to_owned(), 200),
        (
            format!("{form}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            200,
        ),
        (
            "Content-Type: Application/JSON;charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}"
                .to_owned(),
            200,
        ),
        (format!("{form}Content-Length: 1\r\n\r\nx"), 415),
        (
            format!("{form}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            415,
        ),
        (format!("{form}Origin: https://evil.com\r\n{none}"), 403),
        (format!("{form}Sec-Fetch-Site: cross-site\r\n{none}"), 403),
    ] {
        let key = app
            .login("admin", PASSWORD, None)
            .cookie("sessionid")
            .unwrap();
        let mut wire = Wire::to(&app.address);
        wire.say(format!(
            "POST /api/logout/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={key}\r\n{rest}"
        ));
        assert_eq!(wire.answer().unwrap().status, status, "{rest}");
        let is_alive = app.export_as(&key).status == 200;
        assert_eq!(is_alive, status != 200, "{rest}");
    }
}

#[test]
fn no_header_says_what_the_client_said() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::with(
        &database,
        &[
            ("SIDECAR_CORS_ORIGINS", LISTED),
            // A proxy that is trusted may name the request.
            ("SIDECAR_TRUSTED_PROXIES", "none"),
            ("SIDECAR_LOGIN_RATE", "off"),
        ],
    );
    let cookie = format!("sessionid={session}; evil=evil; csrftoken=evil");
    let sent = |value: &'static str| {
        [
            "Origin",
            "Accept",
            "Accept-Language",
            "Accept-Encoding",
            "Host",
            "X-Request-ID",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "Referer",
            "User-Agent",
            "If-None-Match",
            "Range",
            "Content-Type",
            "Access-Control-Request-Headers",
            "Authorization",
            "Cookie",
        ]
        .map(|name| (name, value))
    };
    for target in [
        EXPORT,
        STATS,
        "/api/login/",
        "/api/logout/",
        "/evil",
        "/evil/%0d%0aSet-Cookie:%20evil=1/",
        "/%22%3Cevil%3E",
        "/api/admin/export-users/?evil",
        "/api/admin/export-users/?format=evil",
        "/api/admin/export-users/?%0d%0aX-Evil:1",
    ] {
        for method in ["GET", "POST", "OPTIONS", "EVIL"] {
            for (name, value) in sent("evil").into_iter().chain(sent("\"><evil>'")) {
                for headers in [
                    &[(name, value)][..],
                    &[(name, value), ("Cookie", cookie.as_str())],
                ] {
                    let answer = app.send(method, target, headers, "");
                    assert!(answer.status < 500, "{method} {target} {headers:?}");
                    let head = answer.head().to_lowercase();
                    assert!(
                        !head.contains("evil"),
                        "{method} {target} {headers:?}:\n{head}"
                    );
                }
            }
        }
    }
}

#[test]
fn redirects_lead_to_known_paths_of_the_same_site_alone() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    for (target, location) in [
        ("/api/admin/export-users", Some(EXPORT)),
        (
            "/api/admin/export-users?next=//evil.com",
            Some("/api/admin/export-users/?next=//evil.com"),
        ),
        (
            "/api/admin/export-stats?a=%0d%0aSet-Cookie:x",
            Some("/api/admin/export-stats/?a=%0d%0aSet-Cookie:x"),
        ),
        ("/api/admin/export%2Dusers", Some(EXPORT)),
        ("//evil.com/api/admin/export-users", None),
        ("//evil.com/api/admin/export-users/", None),
        ("///evil.com", None),
        ("/\\evil.com", None),
        ("//api/admin/export-users", None),
        ("/api/admin//export-users", None),
        ("/api/admin/../admin/export-users", None),
        ("/api/admin/export-users%0d%0aX:y", None),
        ("/api/admin/export-users%00", None),
        ("/api/admin", Some("/api/admin/")),
        ("/evil.com", None),
    ] {
        for (name, value) in [
            ("Host", "evil.com"),
            ("X-Forwarded-Host", "evil.com"),
            ("X-Forwarded-Proto", "https"),
            ("X-Script-Name", "//evil.com"),
        ] {
            let answer = app.get(target, &[(name, value)]);
            assert_eq!(answer.header("location"), location, "{target} {name}");
            assert_eq!(
                answer.status == 301,
                location.is_some(),
                "{target}: {}",
                answer.status
            );
        }
    }
}

#[test]
fn every_answer_to_a_caller_is_kept_from_caches_frames_and_guesses() {
    let database = Database::filled_sqlite();
    database.insert_users(100..2_100, |_| "2021-01-01 00:00:00".into());
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "1/min")]);
    let cookie = format!("sessionid={session}");
    let own = ("Cookie", cookie.as_str());
    let json = ("Content-Type", "application/json");
    let right = basic("admin", PASSWORD);
    let wrong = basic("admin", "wrong");
    let tag = app.get(STATS, &[own]).header("etag").unwrap().to_owned();
    let mut answers = vec![
        (200, app.get(EXPORT, &[own])),
        (200, app.get(EXPORT, &[own, ("Accept-Encoding", "gzip")])),
        (200, app.get(EXPORT, &[own, ("Accept", "text/html")])),
        (304, app.get(STATS, &[own, ("If-None-Match", &tag)])),
        (200, app.get(STATS, &[("Authorization", &right)])),
        (200, app.send("OPTIONS", EXPORT, &[own], "")),
        (403, app.send("POST", EXPORT, &[own], "")),
        (
            405,
            app.send("PUT", EXPORT, &[("Authorization", &right)], ""),
        ),
        (406, app.get(EXPORT, &[own, ("Accept", "image/png")])),
        (404, app.get("/api/admin/export-users/?format=x", &[own])),
        (404, app.get("/nowhere", &[own])),
        (200, app.send("POST", "/api/login/", &[json], &login_body())),
        (400, app.send("POST", "/api/login/", &[json], "{")),
        (
            413,
            app.send("POST", "/api/login/", &[json], &"x".repeat(20_000)),
        ),
        (415, app.send("POST", "/api/login/", &[], "x")),
        (405, app.get("/api/login/", &[])),
        (403, app.get(STATS, &[("Authorization", &wrong)])),
        (429, app.get(STATS, &[("Authorization", &wrong)])),
        (429, app.send("POST", "/api/login/", &[json], &login_body())),
        (200, app.send("POST", "/api/logout/", &[], "")),
    ];
    database.execute("ALTER TABLE auth_user RENAME TO elsewhere");
    let failed = app.get(STATS, &[own]);
    answers.push((failed.status.max(500), failed));
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{}", answer.head());
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(
                answer.header(name),
                Some(value),
                "{status} {name}: {}",
                answer.head()
            );
        }
    }
}

#[test]
fn a_session_is_made_by_a_login_alone_and_under_a_key_of_its_own() {
    for database in Database::of_every_kind() {
        let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "off")]);
        let planted = "attackers-choice-of-a-session-key";
        for headers in [
            &[][..],
            &[("Cookie", "sessionid=attackers-choice-of-a-session-key")],
        ] {
            for target in [EXPORT, STATS, "/nowhere", "/healthz", "/api/login/"] {
                app.get(target, headers);
            }
            app.get(
                STATS,
                &[headers, &[("Authorization", &basic("admin", "wrong"))]].concat(),
            );
            app.get(
                STATS,
                &[headers, &[("Authorization", &basic("admin", PASSWORD))]].concat(),
            );
            app.send("POST", "/api/logout/", headers, "");
        }
        for _ in 0..3 {
            assert_eq!(app.login("admin", "wrong", Some(planted)).status, 401);
        }
        assert_eq!(database.count("django_session"), 0, "{}", database.name());

        let keys: std::collections::BTreeSet<String> = [None, Some(planted), None, Some(planted)]
            .iter()
            .map(|cookie| {
                app.login("admin", PASSWORD, *cookie)
                    .cookie("sessionid")
                    .unwrap()
            })
            .collect();
        assert_eq!(keys.len(), 4);
        assert!(!keys.contains(planted));
        assert_eq!(app.export_as(planted).status, 403);
        assert_eq!(database.count("django_session"), 4, "{}", database.name());
    }
}
