//! The HTML page: the overview, refusals with a way to log in, and the forms.

use crate::app::{App, KEY, insert_session};
use crate::client::{Answer, basic};
use crate::database::{Database, PASSWORD};

const PAGE: &str = "/api/admin/";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn with_session(database: &Database) -> (App, String) {
    let session = insert_session(database, "admin", "1", KEY);
    (App::over(database), format!("sessionid={session}"))
}

/// The text of the element with this id that holds one number.
fn figure(page: &Answer, id: &str) -> u64 {
    let inside = page.text().split_once(&format!("id=\"{id}\"")).unwrap().1;
    let value = inside.split_once("<data value=\"").unwrap().1;
    value.split_once('"').unwrap().0.parse().unwrap()
}

/// The names in the table of users.
fn names(page: &Answer) -> Vec<String> {
    let rows = page
        .text()
        .split("<th role=\"rowheader\" scope=\"row\">")
        .skip(1);
    rows.map(|row| row.split_once("</th>").unwrap().0.to_owned())
        .collect()
}

/// Where a link that holds this leads.
fn link(page: &Answer, holds: &str) -> Option<String> {
    let tag = page
        .text()
        .split("<a ")
        .find(|tag| tag.starts_with(holds))?;
    let target = tag
        .split_once("href=\"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0;
    let target = target.replace("&#38;", "&").replace("&amp;", "&");
    Some(format!("{PAGE}{}", target.strip_prefix("./").unwrap()))
}

#[test]
fn the_overview_has_the_figures_of_the_statistics() {
    for database in Database::of_every_kind() {
        let (app, cookie) = with_session(&database);
        let page = app.get(PAGE, &[("Cookie", &cookie)]);
        assert_eq!(page.status, 200, "{}", database.name());
        let stats = app
            .get("/api/admin/export-stats/", &[("Cookie", &cookie)])
            .json();
        for id in [
            "total_active_users",
            "tv_users",
            "movie_users",
            "exportable_users",
        ] {
            assert_eq!(stats["stats"][id], figure(&page, id), "{id}");
        }
        assert_eq!(names(&page), ["björn", "plain"]);
        let month = "<th scope=\"row\">Jan 2020</th><td class=\"number\">2</td><td class=\"number\">0</td><td class=\"number\">1</td>";
        assert!(page.text().contains(month), "{}", page.text());
        assert!(page.text().contains("&#60;O&#39;Brien&#62;") && !page.text().contains("<O'"));
        assert!(page.text().contains("<strong id=\"caller\">admin</strong>"));
        for (target, accept) in [
            ("/api/admin/export-stats/", "text/html"),
            ("/api/admin/export-users/", "text/html"),
            ("/api/admin/export-users/?format=api", "*/*"),
        ] {
            let page = app.get(target, &[("Cookie", &cookie), ("Accept", accept)]);
            assert_eq!(
                (page.status, figure(&page, "tv_users")),
                (200, 2),
                "{target}"
            );
            assert!(page.text().contains("href=\"../export-users/?format=csv\""));
        }
    }
}

#[test]
fn pages_of_users_lead_through_all_of_them_and_back() {
    for database in Database::of_every_kind() {
        // Many of the same date.
        database.insert_users(100..153, |id| format!("2021-01-0{} 00:00:00", 1 + id % 3));
        let (app, cookie) = with_session(&database);
        let get = |target: &str| app.get(target, &[("Cookie", &cookie)]);
        let mut page = get(PAGE);
        assert_eq!(
            (link(&page, "rel=\"prev\""), link(&page, "id=\"first\"")),
            (None, None)
        );
        let mut pages = vec![names(&page)];
        while let Some(next) = link(&page, "rel=\"next\"") {
            page = get(&next);
            pages.push(names(&page));
        }
        let mut expected: Vec<_> = (100..153).map(|id| (id % 3, id)).collect();
        expected.sort_unstable();
        let expected = expected.iter().map(|(_, id)| format!("user{id}"));
        let expected: Vec<_> = ["björn".into(), "plain".into()]
            .into_iter()
            .chain(expected)
            .collect();
        assert_eq!(pages.concat(), expected, "{}", database.name());
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 15]);
        for earlier in pages.iter().rev().skip(1) {
            page = get(&link(&page, "rel=\"prev\"").unwrap());
            assert_eq!(&names(&page), earlier);
        }
        assert_eq!(link(&page, "rel=\"prev\""), None);
        for gone in ["?after=99999", "?before=12345678123456781234567812345678"] {
            let page = get(&format!("{PAGE}{gone}"));
            assert_eq!((page.status, names(&page).len()), (200, 0));
            assert!(page.text().contains("No users are left on this page."));
            assert_eq!(link(&page, "id=\"first\"").as_deref(), Some(PAGE));
        }
    }
}

#[test]
fn a_search_is_for_what_is_written() {
    for database in Database::of_every_kind() {
        database.execute(
            r"INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,
            is_active, date_joined, is_tv_user, is_movie_user) VALUES
            (60, '', false, '100%', '', '', 'a_b@example.com', false, true, '2021-01-01 00:00:00', true, false)",
        );
        let (app, cookie) = with_session(&database);
        for (search, expected) in [
            ("LAI", vec!["plain"]),
            ("B%40EXAMPLE", vec!["björn", "100%"]),
            ("%25", vec!["100%"]),
            ("_", vec!["100%"]),
            ("A_B", vec!["100%"]),
            ("%5C", vec![]),
            ("0%25%00", vec![]),
            ("%3Cscript%3E", vec![]),
            ("+plain+", vec!["plain"]),
            ("", vec!["björn", "plain", "100%"]),
        ] {
            let target = format!("{PAGE}?q={search}");
            let page = app.get(&target, &[("Cookie", &cookie)]);
            assert_eq!(page.status, 200, "{search}");
            assert_eq!(names(&page), expected, "{search} on {}", database.name());
            assert!(!page.text().contains("<script"));
        }
        let long = format!("{PAGE}?q={}", "x".repeat(1000));
        assert_eq!(app.get(&long, &[("Cookie", &cookie)]).status, 200);
    }
}

#[test]
fn a_page_is_small_whatever_is_in_the_database() {
    let database = Database::filled_sqlite();
    let long = "\"'<".repeat(50);
    let long = long.replace('\'', "''");
    for id in 200..240 {
        database.execute(&format!(
            "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, \
             date_joined, is_tv_user, is_movie_user) VALUES ({id}, '', false, '{id}{long}', '{long}', '{long}', '{long}', \
             false, true, '20{}-{:02}-01 00:00:00', true, true)",
            20 + (id - 200) / 12, 1 + id % 12
        ));
    }
    let (app, cookie) = with_session(&database);
    let page = app.get(PAGE, &[("Cookie", &cookie)]);
    assert_eq!(names(&page).len(), 20);
    assert!(page.body.len() < 60 * 1024, "{}", page.body.len());
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe")
            && !page.text().contains(" style=")
            && !page.text().contains("<script")
    );
}

#[test]
fn who_may_not_see_it_gets_the_reason_and_a_way_to_log_in() {
    let database = Database::filled_sqlite();
    let plain = insert_session(&database, "plain", "3", KEY);
    let plain = format!("sessionid={plain}");
    let with_login = App::over(&database);
    let linked = App::with(
        &database,
        &[
            ("SIDECAR_LOGIN", "off"),
            ("DJANGO_LOGIN_URL", "/accounts/in/?a=b"),
        ],
    );
    for target in [PAGE, "/api/admin/export-stats/", "/api/admin/export-users/"] {
        let html = ("Accept", "text/html");
        let anonymous = with_login.get(target, &[html]);
        assert_eq!(anonymous.status, 403);
        assert!(
            anonymous
                .text()
                .contains("Authentication credentials were not provided.")
        );
        assert!(
            anonymous
                .text()
                .contains("<form id=\"login\" method=\"post\"")
        );
        let member = with_login.get(target, &[html, ("Cookie", &plain)]);
        assert_eq!(member.status, 403);
        assert!(
            member
                .text()
                .contains("You do not have permission to perform this action.")
        );
        assert!(
            member
                .text()
                .contains("<strong id=\"caller\">plain</strong>")
        );
        assert!(!member.text().contains("b@example.com"));
        let linked = linked.get(target, &[html]);
        assert!(!linked.text().contains("id=\"login\""));
        let next = target.replace('/', "%2F").replace('-', "%2D");
        let href = format!(
            "id=\"login-link\" class=\"button main\" href=\"/accounts/in/?a=b&#38;next={next}\""
        );
        assert!(linked.text().contains(&href), "{}", linked.text());
    }
    assert_eq!(
        linked.send("POST", "/api/admin/login/", &[FORM], "").status,
        404
    );
    assert_eq!(with_login.send("DELETE", PAGE, &[], "").status, 405);
    let head = with_login.send(
        "HEAD",
        PAGE,
        &[("Authorization", &basic("admin", PASSWORD))],
        "",
    );
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn the_forms_make_and_end_a_session() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let log_in = |headers: &[(&str, &str)], body: &str| {
            app.send(
                "POST",
                "/api/admin/login/",
                &[&[FORM], headers].concat(),
                body,
            )
        };
        let own = ("Origin", "http://localhost");
        let body = "username=admin&password=correct+horse";
        let wrong = log_in(&[own], "username=admin&password=wrong");
        assert_eq!(
            (wrong.status, wrong.header("content-type")),
            (401, Some("text/html; charset=utf-8"))
        );
        assert!(
            wrong.text().contains("Invalid credentials")
                && wrong.text().contains("action=\"../login/\"")
        );
        assert_eq!(log_in(&[own], "username=admin").status, 400);
        assert_eq!(
            app.send("POST", "/api/admin/login/", &[own], body).status,
            400
        );
        assert_eq!(
            log_in(&[own], &format!("{body}&x={}", "x".repeat(20_000))).status,
            413
        );
        let unproven: [&[(&str, &str)]; 8] = [
            &[],
            &[("Origin", "https://evil.com")],
            &[own, ("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Sec-Fetch-Site", "none")],
            &[("Referer", "http://localhost.evil.com/api/admin/")],
            &[("Referer", "https://evil.com/http://localhost/")],
            &[("Origin", "null"), ("Referer", "http://localhost/")],
        ];
        for headers in unproven {
            assert_eq!(log_in(headers, body).status, 403, "{headers:?}");
            let logout = app.send("POST", "/api/admin/logout/", headers, "");
            assert_eq!(logout.status, 403, "{headers:?}");
        }
        assert_eq!(database.count("django_session"), 0);
        assert_eq!(app.get("/api/admin/login/", &[]).status, 405);

        let right = log_in(
            &[
                ("Origin", "http://localhost"),
                ("Sec-Fetch-Site", "same-origin"),
            ],
            body,
        );
        assert_eq!((right.status, right.header("location")), (303, Some("../")));
        let cookie = format!("sessionid={}", right.cookie("sessionid").unwrap());
        assert_eq!(app.get(PAGE, &[("Cookie", &cookie)]).status, 200);
        let headers = [own, ("Cookie", cookie.as_str())];
        let out = app.send("POST", "/api/admin/logout/", &headers, "");
        assert_eq!((out.status, out.header("location")), (303, Some("../")));
        assert_eq!(out.cookie("sessionid").as_deref(), Some("\"\""));
        assert_eq!(app.get(PAGE, &[("Cookie", &cookie)]).status, 403);
        assert_eq!(database.count("django_session"), 0, "{}", database.name());

        // What browsers without one of the headers, or without both, send.
        for proof in [
            ("Sec-Fetch-Site", "same-origin"),
            ("Referer", "http://localhost/api/admin/"),
            ("Referer", "http://localhost"),
        ] {
            assert_eq!(log_in(&[proof], body).status, 303, "{proof:?}");
        }
    }
}

#[test]
fn a_form_from_plain_http_is_refused_where_a_trusted_proxy_ended_tls() {
    let database = Database::filled_sqlite();
    let headers = [
        FORM,
        ("Origin", "http://localhost"),
        ("X-Forwarded-Proto", "https"),
    ];
    let body = "username=admin&password=correct+horse";
    for (proxies, status) in [("127.0.0.1", 403), ("127.0.0.2,::1,unix", 303)] {
        let app = App::with(&database, &[("SIDECAR_TRUSTED_PROXIES", proxies)]);
        let answer = app.send("POST", "/api/admin/login/", &headers, body);
        assert_eq!(answer.status, status, "{proxies}");
    }
}

#[test]
fn users_who_cant_be_shown_leave_the_figures() {
    let database = Database::filled_sqlite();
    database.execute("UPDATE auth_user SET date_joined = 'yesterday' WHERE id = 3");
    let (app, cookie) = with_session(&database);
    let page = app.get(PAGE, &[("Cookie", &cookie)]);
    assert_eq!((page.status, figure(&page, "exportable_users")), (200, 2));
    assert!(page.text().contains("id=\"unreadable\""));
    assert!(page.text().contains("1 have no readable date"));
    // The views have the same page: no export is made for it.
    let export = |query: &str| {
        app.get(
            &format!("/api/admin/export-users/{query}"),
            &[("Cookie", &cookie), ("Accept", "text/html")],
        )
    };
    let page = export("");
    assert_eq!((page.status, figure(&page, "exportable_users")), (200, 2));
    assert!(page.text().contains("id=\"unreadable\""));
    let page = export("?limit=0");
    assert_eq!(page.status, 400);
    assert!(page.text().contains("limit must be a whole number"));
}

#[test]
fn a_proxy_that_strips_the_mount_gets_links_that_work() {
    let database = Database::filled_sqlite();
    let session = insert_session(&database, "admin", "1", KEY);
    let app = App::with(&database, &[("SIDECAR_MOUNT", "")]);
    let cookie = format!("sessionid={session}");
    let page = app.get("/", &[("Cookie", &cookie)]);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("href=\"./export-users/?format=csv\""));
    assert!(!page.text().contains("/api/admin"));
    let form = app.send(
        "POST",
        "/login/",
        &[FORM, ("Sec-Fetch-Site", "same-origin")],
        "username=admin&password=correct+horse",
    );
    assert_eq!(form.status, 303);
}
