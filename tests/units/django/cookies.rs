//! Cookies both ways; the corpus test compares many more.

use watchtower_sidecar::django::cookies::{SessionCookie, cookie};

#[test]
fn a_cookie_is_read_as_django_reads_it() {
    for (header, name, value) in [
        // The last cookie of a name wins.
        (&b"sessionid=a; x=y;sessionid=b"[..], "sessionid", Some("b")),
        (b"sessionid=a; sessionid", "sessionid", Some("a")),
        (b"Sessionid=a", "sessionid", None),
        // A comma does not separate cookies, and nothing is percent-decoded.
        (b"a=1, b=%41", "a", Some("1, b=%41")),
        // Unicode's blanks are dropped.
        (b"\xc2\xa0a\x1f =\xe2\x80\x83 b \x0b", "a", Some("b")),
        // Quotes are removed as Python removes them.
        (br#"a="b\"c\073\\d""#, "a", Some("b\"c;\\d")),
        (b"a=\"", "a", Some("\"")),
        (b"a=\"b\\\nc\"", "a", Some("b\\\nc")),
        (b"a=\xff\xe2\x82", "a", Some("\u{fffd}\u{fffd}")),
    ] {
        let shown = header.escape_ascii();
        assert_eq!(cookie(header, name).as_deref(), value, "{shown}");
    }
}

fn default() -> SessionCookie {
    SessionCookie {
        name: "sessionid".to_owned(),
        age_seconds: 1_209_600,
        domain: None,
        path: "/".to_owned(),
        secure: false,
        http_only: true,
        same_site: Some("Lax".to_owned()),
    }
}

#[test]
fn a_session_cookie_is_set_as_django_sets_it() {
    assert_eq!(
        default().set("abc", Some(1_209_600), 1_700_000_000),
        "sessionid=abc; expires=Tue, 28 Nov 2023 22:13:20 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"
    );
    let all = SessionCookie {
        domain: Some("example.com".to_owned()),
        secure: true,
        same_site: Some("None".to_owned()),
        ..default()
    };
    assert_eq!(
        all.set("abc", Some(0), 0),
        "sessionid=abc; Domain=example.com; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; \
         SameSite=None; Secure"
    );
    assert_eq!(
        default().set("abc", None, 0),
        "sessionid=abc; HttpOnly; Path=/; SameSite=Lax"
    );
}

#[test]
fn a_dead_cookie_is_deleted_as_django_deletes_it() {
    assert_eq!(
        default().delete(),
        "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"
    );
    let host = SessionCookie {
        name: "__Host-sessionid".to_owned(),
        ..default()
    };
    assert!(host.delete().ends_with("; Secure"));
    let cross_site = SessionCookie {
        same_site: Some("None".to_owned()),
        ..default()
    };
    assert!(cross_site.delete().ends_with("; SameSite=None; Secure"));
}
