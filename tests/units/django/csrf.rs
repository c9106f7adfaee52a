//! The facts measured at a live Django 5.2 with DRF 3.18; the corpus test compares many more.

use watchtower_sidecar::django::csrf::{CsrfRequest, check};

const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEF";
/// The same, masked with 32 times `b`, the letter of index 1.
const MASKED: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbcdefghijklmnopqrstuvwxyzABCDEFG";

fn post<'a>() -> CsrfRequest<'a> {
    CsrfRequest {
        method: "POST",
        is_secure: false,
        host: "example.com:8000",
        origin: None,
        referer: None,
        csrf_cookie: Some(SECRET),
        csrf_header: Some(SECRET.as_bytes()),
    }
}

fn reason(request: &CsrfRequest<'_>) -> String {
    check(request).err().unwrap_or_default()
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
    for cookie in [SECRET, MASKED] {
        for header in [SECRET, MASKED] {
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
fn an_origin_must_be_the_host() {
    let reason = |origin: &str| {
        reason(&CsrfRequest {
            origin: Some(origin.as_bytes()),
            ..post()
        })
    };
    assert_eq!(reason("http://example.com:8000"), "");
    for bad in [
        "null",
        "",
        "https://example.com:8000",
        "http://example.com",
        "http://[x",
    ] {
        let expected =
            format!("Origin checking failed - {bad} does not match any trusted origins.");
        assert_eq!(reason(bad), expected);
    }
}

#[test]
fn a_secure_request_without_origin_needs_a_referer() {
    let check = |referer: Option<&str>| {
        reason(&CsrfRequest {
            is_secure: true,
            referer: referer.map(str::as_bytes),
            ..post()
        })
    };
    assert_eq!(check(None), "Referer checking failed - no Referer.");
    for malformed in ["https:///x", "https://[::1/x"] {
        let expected = "Referer checking failed - Referer is malformed.";
        assert_eq!(check(Some(malformed)), expected);
    }
    let insecure = "Referer checking failed - Referer is insecure while host is secure.";
    assert_eq!(check(Some("http://example.com:8000/")), insecure);
    assert_eq!(check(Some("HTTPS://example.com:8000/x?y")), "");
    assert_eq!(
        check(Some("HTTPS://evil.example/a?b#c")),
        "Referer checking failed - https://evil.example/a?b#c does not match any trusted origins."
    );
}
