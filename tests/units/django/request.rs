//! The request line and the `Host` header; the corpus test compares many more.

use watchtower_sidecar::django::request::{
    Query, append_slash_location, host_is_allowed, path_info,
};

fn allowed(host: &str, hosts: &[&str]) -> bool {
    let hosts: Vec<String> = hosts.iter().map(|host| host.to_string()).collect();
    host_is_allowed(Some(host.as_bytes()), "fallback", &hosts, false)
}

#[test]
fn a_host_is_compared_without_case_port_and_final_dot() {
    for (host, pattern, expected) in [
        ("Example.COM.:8000", "example.com", true),
        ("a.example.com", ".Example.com", true),
        ("example.com", ".example.com", true),
        ("a.example.com", "example.com", false),
        ("badexample.com", ".example.com", false),
        ("[::1]:80", "[::1]", true),
        ("anything", "*", true),
    ] {
        assert_eq!(allowed(host, &[pattern]), expected, "{host} {pattern}");
    }
}

#[test]
fn a_malformed_host_is_refused_even_by_the_star() {
    for host in [
        "", ".", "a b", "a_b", "a:", "a:b", "[::1", "[:]", "[1.2:3]", "a\n", "é", "user@a", "a,b",
    ] {
        assert!(!allowed(host, &["*"]), "{host:?}");
    }
}

#[test]
fn debug_allows_the_local_names_while_nothing_is_configured() {
    for host in [&b"localhost:1"[..], b"a.localhost", b"127.0.0.1", b"[::1]"] {
        assert!(host_is_allowed(Some(host), "", &[], true));
        assert!(!host_is_allowed(Some(host), "", &[], false));
    }
    let configured = ["a".to_owned()];
    assert!(!host_is_allowed(Some(b"localhost"), "", &configured, true));
    assert!(host_is_allowed(None, "127.0.0.1:8000", &[], true));
}

#[test]
fn the_path_is_percent_decoded_and_broken_utf8_encoded_again() {
    assert_eq!(
        path_info("/api/%61dmin%2Fexport%2Dusers/"),
        "/api/admin/export-users/"
    );
    assert_eq!(path_info("/%ff%C3%A9%e2%82x%zz%"), "/%FFé%E2%82x%zz%");
    assert_eq!(path_info(""), "/");
}

#[test]
fn the_redirect_keeps_the_raw_query_and_the_host() {
    assert_eq!(
        append_slash_location("/a b;é/", Some("x=%41&y=\"<")),
        "/a%20b%3B%C3%A9/?x=%41&y=%22%3C"
    );
    assert_eq!(append_slash_location("//evil/", Some("")), "/%2Fevil/");
    assert_eq!(append_slash_location("/a/", None), "/a/");
}

#[test]
fn the_last_value_wins_and_a_semicolon_separates_nothing() {
    let query = Query::parse("format=a&&format=b+c%C3%A9%ff;format=d&e&=f").unwrap();
    assert_eq!(
        query.last("format").as_deref(),
        Some("b cé\u{fffd};format=d")
    );
    assert_eq!(query.last("e").as_deref(), Some(""));
    assert_eq!(query.last("").as_deref(), Some("f"));
    assert_eq!(query.last("x"), None);
}

#[test]
fn a_thousand_fields_are_enough() {
    assert!(Query::parse(&"&".repeat(999)).is_some());
    assert_eq!(Query::parse(&"&".repeat(1000)), None);
}
