//! The facts measured at a live Django 5.2 with DRF 3.18; the corpus test compares many more.

use super::*;

const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEF";

fn post<'a>() -> CsrfRequest<'a> {
    CsrfRequest {
        method: "POST",
        is_secure: false,
        host: "example.com:8000",
        server_port: 8000,
        origin: None,
        referer: None,
        csrf_cookie: Some(SECRET),
        csrf_header: Some(SECRET.as_bytes()),
    }
}

fn reason(request: &CsrfRequest<'_>) -> String {
    check(request, &CsrfSettings::default(), || None)
        .err()
        .unwrap_or_default()
}

/// Masked with 32 times `b`, the letter of index 1.
fn masked() -> String {
    let next = |c: u8| char::from(ALPHABET[(index(c) + 1) % 62]);
    "b".repeat(32) + &SECRET.bytes().map(next).collect::<String>()
}

#[test]
fn a_safe_method_needs_nothing() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        assert_eq!(
            reason(&CsrfRequest {
                method,
                csrf_cookie: None,
                ..post()
            }),
            ""
        );
    }
    assert_eq!(
        reason(&CsrfRequest {
            method: "FOO",
            csrf_cookie: None,
            ..post()
        }),
        "CSRF cookie not set."
    );
}

#[test]
fn cookie_and_csrf_token_may_each_be_masked() {
    let masked = masked();
    for cookie in [SECRET, &masked] {
        for header in [SECRET, &masked] {
            let request = CsrfRequest {
                csrf_cookie: Some(cookie),
                csrf_header: Some(header.as_bytes()),
                ..post()
            };
            assert_eq!(reason(&request), "");
        }
    }
}

#[test]
fn each_mistake_has_its_reason() {
    let with_cookie = |cookie| {
        reason(&CsrfRequest {
            csrf_cookie: Some(cookie),
            ..post()
        })
    };
    let with_header = |header: &[u8]| {
        reason(&CsrfRequest {
            csrf_header: Some(header),
            ..post()
        })
    };
    assert_eq!(with_cookie(""), "CSRF cookie has incorrect length.");
    assert_eq!(
        with_cookie(&"é".repeat(32)),
        "CSRF cookie has invalid characters."
    );
    assert_eq!(
        reason(&CsrfRequest {
            csrf_header: None,
            ..post()
        }),
        "CSRF token missing."
    );
    assert_eq!(
        with_header(b""),
        "CSRF token from the 'X-Csrftoken' HTTP header has incorrect length."
    );
    assert_eq!(
        with_header(&[b'-'; 64]),
        "CSRF token from the 'X-Csrftoken' HTTP header has invalid characters."
    );
    assert_eq!(
        with_header(&[b'a'; 32]),
        "CSRF token from the 'X-Csrftoken' HTTP header incorrect."
    );
}

#[test]
fn the_form_is_read_for_a_post_with_a_good_cookie_only_and_beats_the_header() {
    let settings = CsrfSettings::default();
    let unread = || -> Option<String> { panic!("the form was read") };
    assert!(
        check(
            &CsrfRequest {
                csrf_cookie: None,
                ..post()
            },
            &settings,
            unread
        )
        .is_err()
    );
    assert!(
        check(
            &CsrfRequest {
                method: "PUT",
                ..post()
            },
            &settings,
            unread
        )
        .is_ok()
    );
    assert_eq!(
        check(&post(), &settings, || Some("a".repeat(32))),
        Err("CSRF token from POST incorrect.".to_owned())
    );
    assert!(check(&post(), &settings, || Some(String::new())).is_ok());
}

#[test]
fn an_origin_must_be_the_host_or_trusted() {
    let trusted = [
        "https://a.example".to_owned(),
        "https://*.b.example".to_owned(),
    ];
    let settings = CsrfSettings {
        trusted_origins: &trusted,
        cookie_domain: None,
    };
    let reason = |origin: &str| {
        check(
            &CsrfRequest {
                origin: Some(origin.as_bytes()),
                ..post()
            },
            &settings,
            || None,
        )
    };
    for good in [
        "http://example.com:8000",
        "https://a.example",
        "https://x.b.example",
    ] {
        assert_eq!(reason(good), Ok(()));
    }
    for bad in [
        "null",
        "",
        "https://example.com:8000",
        "http://example.com",
        "http://x.b.example",
        "http://[x",
    ] {
        let expected =
            format!("Origin checking failed - {bad} does not match any trusted origins.");
        assert_eq!(reason(bad), Err(expected));
    }
}

#[test]
fn a_secure_request_without_origin_needs_a_referer() {
    let check = |referer: Option<&str>, cookie_domain| {
        let request = CsrfRequest {
            is_secure: true,
            referer: referer.map(str::as_bytes),
            ..post()
        };
        super::check(
            &request,
            &CsrfSettings {
                trusted_origins: &[],
                cookie_domain,
            },
            || None,
        )
        .err()
        .unwrap_or_default()
    };
    assert_eq!(check(None, None), "Referer checking failed - no Referer.");
    assert_eq!(
        check(Some("https:///x"), None),
        "Referer checking failed - Referer is malformed."
    );
    assert_eq!(
        check(Some("https://[::1/x"), None),
        "Referer checking failed - Referer is malformed."
    );
    let insecure = "Referer checking failed - Referer is insecure while host is secure.";
    assert_eq!(check(Some("http://example.com:8000/"), None), insecure);
    assert_eq!(check(Some("HTTPS://example.com:8000/x?y"), None), "");
    assert_eq!(
        check(Some("https://a.example.org:8000/"), Some(".example.org")),
        ""
    );
    assert_eq!(
        check(Some("HTTPS://evil.example/a?b#c"), None),
        "Referer checking failed - https://evil.example/a?b#c does not match any trusted origins."
    );
}

fn read(content_type: &str, body: &[u8]) -> PostBody {
    PostBody::read(Some(content_type.as_bytes()), body)
}

#[test]
fn the_csrf_token_is_found_in_both_kinds_of_forms() {
    let expected = PostBody::Form(Some(SECRET.to_owned()));
    let form = format!("csrfmiddlewaretoken=x&csrfmiddlewaretoken={SECRET}");
    assert_eq!(
        read(
            "application/x-www-form-urlencoded; charset=UTF-8",
            form.as_bytes()
        ),
        expected
    );
    assert_eq!(
        read("*/x-www-form-urlencoded", form.as_bytes()),
        PostBody::Form(None)
    );
    let multipart = format!(
        "--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g\"\r\n\r\ndata\r\n\
         --X\r\ncontent-disposition : form-data; name=\" csrfmiddlewaretoken \"\r\nX-\u{e9}: 1\r\n\r\n{SECRET}\r\n--X--\r\n"
    );
    assert_eq!(
        read("multipart/form-data; boundary=X", multipart.as_bytes()),
        expected
    );
}

#[test]
fn json_gives_no_csrf_token_but_must_be_json() {
    assert_eq!(read("application/json", b"{\"a\":1}"), PostBody::Form(None));
    assert_eq!(read("text/plain", b""), PostBody::Form(None));
    let detail = |body: &[u8]| match read("application/json", body) {
        PostBody::ParseError(detail) => detail,
        other => format!("{other:?}"),
    };
    assert_eq!(
        detail(b"{"),
        "JSON parse error - Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    );
    assert_eq!(
        detail(b"[1e999,-Infinity"),
        "JSON parse error - Out of range float values are not JSON compliant: '-Infinity'"
    );
    assert_eq!(
        detail(b"\xff"),
        "JSON parse error - 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
    );
    assert_eq!(
        detail(b"\"\xe2\x82x\""),
        "JSON parse error - 'utf-8' codec can't decode bytes in position 1-2: invalid continuation byte"
    );
}

#[test]
fn other_bodies_end_the_request() {
    assert_eq!(
        read("", b"x"),
        PostBody::UnsupportedMediaType("Unsupported media type \"\" in request.".to_owned())
    );
    assert_eq!(
        read("multipart/form-data", b"x"),
        PostBody::ParseError(
            "Multipart form parse error - Invalid boundary in multipart: None".to_owned()
        )
    );
    assert_eq!(
        read("application/x-www-form-urlencoded", &[b'&'; 1000]),
        PostBody::BadRequest
    );
    assert_eq!(
        read(
            "application/json",
            &vec![b' '; DATA_UPLOAD_MAX_MEMORY_SIZE + 1]
        ),
        PostBody::BadRequest
    );
}
