//! A database's URL: its addresses and ports, who answers at them, and no password in an error.

use watchtower_sidecar::config::DatabaseUrl;

#[test]
fn a_database_url_names_the_ports_of_all_of_its_addresses() {
    for (url, ports) in [
        ("sqlite:///db.sqlite3", &[][..]),
        ("postgres://sidecar:secret@db/watchtower", &[5432]),
        ("postgres://sidecar:a%40b@[::1]:6000/watchtower", &[6000]),
        (
            "postgres://a:6001,b,[::1]:6000/watchtower?sslmode=disable",
            &[5432, 6000, 6001],
        ),
        (
            "postgres:///watchtower?host=a,b&port=6000%2C6001",
            &[5432, 6000, 6001],
        ),
        ("postgres://db?port=6000,", &[5432, 6000]),
    ] {
        assert_eq!(DatabaseUrl::parse(url).unwrap().ports(), ports, "{url}");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn who_is_calling_is_asked_of_no_standby() {
    let parsed = |url: &str| DatabaseUrl::parse_primary(url).map(drop);
    for several in [
        "postgres://u:p@one,two:5433/name",
        "postgres://u:p@/name?host=one%2Ctwo",
        "postgres://one,two/name?target_session_attrs=any",
        "postgres://one,two/name?target_session_attrs=prefer-standby",
        // The last one counts.
        "postgres://one,two/name?target_session_attrs=read-write&target_session_attrs=any",
    ] {
        assert!(
            parsed(several).unwrap_err().contains("standby"),
            "{several}"
        );
        assert!(DatabaseUrl::parse(several).is_ok(), "{several}");
    }
    for right in [
        "postgres://u:p%2C@one:5433/name",
        "postgres://one,two/name?target_session_attrs=read-write",
        "postgres://one,two/name?sslmode=require&target_session_attrs=primary",
    ] {
        assert_eq!(parsed(right), Ok(()), "{right}");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_client_librarys_text_is_shown_without_the_urls_passwords() {
    let shown = |url: &str, text: &str| DatabaseUrl::parse(url).unwrap().without_secrets(text);
    let url = "postgres://u:hunter%2D2@db/d?sslpassword=s%C3%A9same&password=third-one";
    let text = "at db, user u: hunter%2D2 hunter-2 s%C3%A9same s\u{e9}same third-one";
    assert_eq!(shown(url, text), "at db, user u: *** *** *** *** ***");
    assert!(!shown("postgres://u:abc@db/d", "no abc here").contains("abc"));
    assert!(!shown(url, "invalid URI query parameter: \"piece\"").contains("piece"));
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_elsewhere_that_is_not_verified_is_named() {
    let unverified = |url: &str| DatabaseUrl::parse(url).unwrap().unverified_host();
    for (url, host) in [
        ("postgres://u:p@db.example.com/name", "db.example.com"),
        ("postgres://u:p@db:6000/name?sslmode=require", "db"),
        (
            "postgres://localhost,10.0.0.7:6000/name?sslmode=prefer",
            "10.0.0.7",
        ),
        ("postgres://[2001:db8::1]:5432/name", "2001:db8::1"),
        ("postgres://localhost/name?host=db", "db"),
        ("postgres://localhost/name?hostaddr=10.0.0.7", "10.0.0.7"),
        ("postgres:///name?host=%2Frun%2Fpostgresql,db", "db"),
        (
            "postgres://db/name?sslmode=verify-full&sslmode=disable",
            "db",
        ),
    ] {
        assert_eq!(unverified(url).as_deref(), Some(host), "{url}");
    }
    for url in [
        "sqlite:///db.sqlite3",
        "postgres://u:p@127.0.0.1:5432/name",
        "postgres://LOCALHOST,[::1]:1/name?sslmode=disable",
        "postgres://u@%2Frun%2Fpostgresql/name",
        "postgres:///name",
        "postgres://db/name?hostaddr=127.0.0.1",
        "postgres://db/name?sslmode=verify-full",
        "postgres://db,other/name?sslmode=verify-ca&sslrootcert=/ca.pem",
        "postgres://db/name?sslmode=require&sslrootcert=/ca.pem",
        "postgres://db/name?channel_binding=require",
    ] {
        assert_eq!(unverified(url), None, "{url}");
    }
    let urls = [
        ("DATABASE_URL", "postgres://u:p@one/d"),
        ("DATABASE_READ_URL", "postgres://u:p@two/d"),
    ];
    let warnings = super::warnings(&urls).join("\n");
    assert!(warnings.contains("DATABASE_URL leads to one"), "{warnings}");
    assert!(
        warnings.contains("DATABASE_READ_URL leads to two"),
        "{warnings}"
    );
}

#[cfg(feature = "mysql")]
#[test]
fn a_mysql_server_elsewhere_is_verified_by_its_ssl_mode_alone() {
    let unverified = |url: &str| DatabaseUrl::parse(url).unwrap().unverified_host();
    for (parameters, is_verified) in [
        ("", false),
        ("?ssl_ca=/ca.pem", false),
        ("?ssl_mode=required&ssl_ca=/ca.pem", false),
        ("?unix_socket=/run/mysqld/mysqld.sock", false),
        ("?ssl_mode=VERIFY_CA&ssl_ca=/ca.pem", true),
        ("?ssl_mode=verify_identity", true),
    ] {
        let url = |host: &str| format!("mysql://u:p@{host}/name{parameters}");
        assert_eq!(
            unverified(&url("db")).is_none(),
            is_verified,
            "{parameters}"
        );
        assert_eq!(unverified(&url("localhost")), None, "{parameters}");
    }
}
