//! What the configuration warns of, and what it refuses for the sake of a second factor.

use super::*;

#[test]
fn a_second_factor_wants_a_second_word_for_login() {
    let factor = ("DJANGO_SECOND_FACTOR", r#"["allauth.mfa", "django_otp"]"#);
    let refused = errors(&[factor, ("SIDECAR_LOGIN", "on")]);
    assert!(
        refused.len() == 1
            && refused[0].starts_with("SIDECAR_LOGIN is on, but")
            && refused[0].contains("allauth.mfa, django_otp")
            && refused[0].contains("SIDECAR_LOGIN=without-second-factor"),
        "{refused:?}"
    );
    for (login, serves) in [("off", false), ("without-second-factor", true)] {
        let config = config(&[factor, ("SIDECAR_LOGIN", login)]).ok().unwrap();
        assert_eq!(config.login, serves);
    }
    assert_eq!(errors(&[("SIDECAR_LOGIN", "maybe")]).len(), 1);
}

#[test]
fn what_basic_and_login_do_not_ask_for_is_warned_of() {
    const HOSTS: (&str, &str) = ("DJANGO_ALLOWED_HOSTS", r#"["*"]"#);
    const KEY: (&str, &str) = ("DJANGO_SECRET_KEY", "k4@v9w_x!m2#q8z$r5t7y1u3i6o0p-as");
    const MODEL: &str = "django.contrib.auth.backends.ModelBackend";
    let of = |backends: &[&str], more: &[(&str, &str)]| {
        let backends = format!("{backends:?}");
        let own = [HOSTS, KEY, ("DJANGO_AUTHENTICATION_BACKENDS", &backends)];
        warnings(&[&own[..], more].concat())
    };
    assert_eq!(of(&[MODEL], &[]), [""; 0]);
    for (backend, words) in [
        ("axes.backends.AxesStandaloneBackend", "locks accounts"),
        (
            "allauth.account.auth_backends.AuthenticationBackend",
            "second factor",
        ),
        (
            "guardian.backends.ObjectPermissionBackend",
            "checks no password",
        ),
        ("django_auth_ldap.backend.LDAPBackend", "directory"),
        ("shop.auth.ShopRemoteUserBackend", "takes no password"),
        ("shop.auth.ByEmail", "may ask for more than a password"),
    ] {
        let warnings = of(&[backend, MODEL], &[]);
        assert!(
            warnings.len() == 1 && warnings[0].contains(backend) && warnings[0].contains(words),
            "{warnings:?}"
        );
        let by_session_alone = [("DJANGO_REST_AUTHENTICATION", "session")];
        assert_eq!(of(&[backend, MODEL], &by_session_alone), [""; 0]);
    }
    let remote = of(&["django.contrib.auth.backends.RemoteUserBackend"], &[]);
    assert!(
        remote.len() == 1 && remote[0].contains("refuse every user"),
        "{remote:?}"
    );
    let factor = of(&[MODEL], &[("DJANGO_SECOND_FACTOR", r#"["django_otp"]"#)]);
    assert!(
        factor.len() == 1 && factor[0].contains("HTTP Basic opens the export"),
        "{factor:?}"
    );

    // The cookie of a login.
    let login = ("SIDECAR_LOGIN", "on");
    let cookie = of(&[MODEL], &[login]);
    assert!(
        cookie.len() == 1 && cookie[0].starts_with("DJANGO_SESSION_COOKIE_SECURE is off"),
        "{cookie:?}"
    );
    for quiet in ["DJANGO_SESSION_COOKIE_SECURE", "DJANGO_DEBUG"] {
        assert_eq!(of(&[MODEL], &[login, (quiet, "true")]), [""; 0]);
    }
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
    let warnings = warnings(&urls).join("\n");
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
