//! Which differences `verify` explains, and which it calls different whatever makes them.

use super::{PLAIN, server, verify};

#[test]
fn what_middleware_adds_is_explained_once() {
    let django = server(
        &[],
        answer!(
            "403 Forbidden",
            "Allow: GET, OPTIONS\r\nContent-Language: en\r\nVary: Cookie, Accept-Language, origin\r\n\
             Strict-Transport-Security: max-age=60\r\nCache-Control: private\r\nX-Frame-Options: SAMEORIGIN\r\n\
             Content-Security-Policy: default-src 'self'\r\nX-Site: shop\r\nSet-Cookie: region=eu; Path=/\r\n\
             Access-Control-Expose-Headers: X-Site",
            "hello"
        ),
    );
    let sidecar = server(
        &[],
        answer!(
            "403 Forbidden",
            "Allow: GET, OPTIONS\r\nVary: Accept, Cookie\r\nCache-Control: no-store\r\nX-Frame-Options: DENY\r\n\
             Referrer-Policy: same-origin",
            "hello"
        ),
    );
    let (code, table, said) = verify(&django, &sidecar, &[]);
    assert_eq!((code, said.as_str()), (0, ""), "{table}");
    let (_, list) = table
        .split_once("explained, with each reason once:\n")
        .unwrap();
    for (what, values) in [
        ("Content-Language", r#"; Django "en", sidecar none"#),
        ("Vary: Accept", ""),
        ("Vary: Accept-Language", ""),
        ("Vary: Origin", ""),
        (
            "Strict-Transport-Security",
            r#"; Django "max-age=60", sidecar none"#,
        ),
        ("Cache-Control", r#"; Django "private", sidecar "no-store""#),
        (
            "X-Frame-Options",
            r#"; Django "SAMEORIGIN", sidecar "DENY""#,
        ),
        ("Referrer-Policy", r#"; Django none, sidecar "same-origin""#),
        (
            "Content-Security-Policy",
            r#"; Django "default-src 'self'", sidecar none"#,
        ),
        ("X-Site", r#"; Django "shop", sidecar none"#),
        (
            "Set-Cookie",
            r#"; Django "region=(hidden); Path=/", sidecar none"#,
        ),
        (
            "Access-Control-Expose-Headers",
            r#"; Django "X-Site", sidecar none"#,
        ),
    ] {
        let line = format!("            {what} (13 answers{values}): ");
        assert_eq!(list.matches(&line).count(), 1, "{line}: {table}");
    }
    assert!(
        table.ends_with("13 requests: 0 same, 13 explained, 0 different\n"),
        "{table}"
    );
    let (code, table, _) = verify(&django, &sidecar, &["--quiet"]);
    assert!(code == 0 && !table.contains("Vary"), "{table}");
}

#[test]
fn a_catch_all_that_answers_the_path_without_a_slash_is_explained() {
    const PAGE: &str = answer!("200 OK", "Content-Type: text/html", "<app-root>");
    const REDIRECT: &str = answer!(
        "301 Moved Permanently",
        "Location: /api/admin/export-stats/\r\nContent-Length: 0",
        ""
    );
    let (django, sidecar) = (server(&[PLAIN; 12], PAGE), server(&[PLAIN; 12], REDIRECT));
    let (code, table, _) = verify(&django, &sidecar, &[]);
    assert_eq!(code, 0, "{table}");
    assert!(
        table.contains("Path without a slash (1 answer): a catch-all of the project's URL conf"),
        "{table}"
    );
    // A page in place of a refusal is none.
    let (code, table, _) = verify(&server(&[], PAGE), &server(&[], PLAIN), &[]);
    assert!(code == 1 && !table.contains("catch-all"), "{table}");
}

#[test]
fn what_a_client_relies_on_is_different_whatever_adds_it() {
    for (headers, words) in [
        (
            "Access-Control-Allow-Origin: *",
            r#"header access-control-allow-origin: Django "*", sidecar none"#,
        ),
        (
            "WWW-Authenticate: Token",
            r#"header www-authenticate: Django "Token", sidecar none"#,
        ),
        (
            "Content-Type: text/plain",
            r#"header content-type: Django "text/plain", sidecar none"#,
        ),
        (
            "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT",
            "header last-modified: Django ",
        ),
    ] {
        let django = format!(
            "HTTP/1.1 403 Forbidden\r\nAllow: GET, OPTIONS\r\n{headers}\r\n\r\nhello world"
        );
        let (code, table, _) = verify(&server(&[], django.leak()), &server(&[], PLAIN), &[]);
        assert_eq!(code, 1, "{headers}: {table}");
        assert!(table.contains(words), "{words}: {table}");
    }
    // A cache that keeps answers by less than the sidecar says could give one caller another's.
    const BY_COOKIE: &str = answer!("403 Forbidden", "Vary: Cookie", "hello");
    const BY_NOTHING: &str = answer!("403 Forbidden", "Connection: close", "hello");
    let (code, table, _) = verify(&server(&[], BY_NOTHING), &server(&[], BY_COOKIE), &[]);
    assert!(code == 1 && table.contains("header vary: "), "{table}");
}

#[test]
fn an_unknown_header_of_one_answer_is_different() {
    // A request whose answers differ in a cookie is asked again.
    const TWICE: &[&str] = &[answer!(
        "403 Forbidden",
        "Allow: GET, OPTIONS\r\nX-Site: shop\r\nSet-Cookie: region=eu",
        "hello world"
    ); 2];
    let (code, table, _) = verify(&server(TWICE, PLAIN), &server(&[], PLAIN), &[]);
    assert_eq!(code, 1, "{table}");
    assert!(
        table.contains("header x-site: Django \"shop\", sidecar none")
            && table.contains("header set-cookie: Django \"region=(hidden);\", sidecar none")
            && table.ends_with("13 requests: 12 same, 0 explained, 1 different\n"),
        "{table}"
    );
}

#[test]
fn refusals_in_another_language_are_explained_and_other_texts_are_not() {
    const ENGLISH: &str = answer!(
        "403 Forbidden",
        "Content-Length: 58",
        "{\"detail\":\"Authentication credentials were not provided.\"}"
    );
    const GERMAN: &str = answer!(
        "403 Forbidden",
        "Content-Length: 33",
        "{\"detail\":\"Anmeldedaten fehlen.\"}"
    );
    const OWN: &str = answer!(
        "403 Forbidden",
        "Content-Length: 22",
        "{\"detail\":\"Keep out.\"}"
    );
    const MORE: &str = answer!(
        "403 Forbidden",
        "Content-Length: 42",
        "{\"detail\":\"Anmeldedaten fehlen.\",\"code\":1}"
    );
    let (code, table, _) = verify(&server(&[], GERMAN), &server(&[], ENGLISH), &[]);
    assert_eq!(code, 0, "{table}");
    assert!(
        table.contains("Texts of refusals (13 answers): Django's are in the language \"de\""),
        "{table}"
    );
    for django in [OWN, MORE] {
        let (code, table, _) = verify(&server(&[], django), &server(&[], ENGLISH), &[]);
        assert!(
            code == 1 && table.contains("body: byte "),
            "{django}: {table}"
        );
    }
}
