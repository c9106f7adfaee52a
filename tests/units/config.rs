//! The configuration: what is read, refused and warned of; the parts of a database's URL.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use watchtower_sidecar::config::{
    Backend, Bind, Config, ConfigErrors, DatabaseUrl, Rate, VARIABLES,
};
use watchtower_sidecar::django::cookies::SameSite;
use watchtower_sidecar::django::settings::Authenticator;

fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut all: HashMap<&str, &str> = HashMap::from([
        ("DATABASE_URL", "sqlite:////var/lib/app/db.sqlite3"),
        ("DJANGO_SECRET_KEY", "a key"),
    ]);
    all.extend(variables.iter().copied());
    Config::from_vars(|name| all.get(name).map(|value| (*value).to_owned()))
}

fn errors(variables: &[(&str, &str)]) -> Vec<String> {
    config(variables)
        .err()
        .map(|errors| errors.0)
        .unwrap_or_default()
}

/// The warnings of a configuration that has no mistake.
fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    let warnings = config(variables).ok().unwrap().warnings();
    warnings.into_iter().map(|warning| warning.text).collect()
}

#[test]
fn two_variables_are_enough_and_the_rest_is_djangos_default() {
    let config = config(&[]).ok().unwrap();
    assert_eq!(config.bind, Bind::Tcp("127.0.0.1:8000".parse().unwrap()));
    assert_eq!(config.mount, "/api/admin");
    assert!(
        !config.login && !config.django.debug && config.django.use_tz && config.django.append_slash
    );
    assert_eq!(config.django.session_cookie.name, "sessionid");
    assert_eq!(config.django.session_cookie.age_seconds, 1_209_600);
    assert_eq!(config.django.session_cookie.same_site, Some(SameSite::Lax));
    assert_eq!(
        config.django.rest_authentication,
        [Authenticator::Session, Authenticator::Basic]
    );
    assert_eq!(config.database_url.backend(), Backend::Sqlite);
    assert_eq!(config.database_url.target(), "/var/lib/app/db.sqlite3");
}

#[test]
fn every_variable_that_is_read_is_in_the_table() {
    let is_known = |name: &str| {
        VARIABLES
            .iter()
            .any(|variable| variable.name == name || variable.file == Some(name))
    };
    let read = |name: &str| {
        assert!(is_known(name), "{name}");
        None
    };
    assert_eq!(Config::from_vars(read).err().unwrap().0.len(), 2);
}

#[test]
fn a_mistake_names_the_variable_and_an_example_but_no_secret() {
    let found = errors(&[
        ("DATABASE_URL", "postgres:hunter2"),
        ("DJANGO_SECRET_KEY_FALLBACKS", "hunter2"),
    ]);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("DATABASE_URL is not a URL; for example DATABASE_URL='"));
    assert!(found.iter().all(|text| !text.contains("hunter2")));
}

#[test]
fn wrong_values_are_refused() {
    for (name, value) in [
        ("DATABASE_URL", "sqlite://db.sqlite3"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DJANGO_TIME_ZONE", "Mars/Olympus"),
        ("DJANGO_USER_FIELDS_NONE", r#"["is_active"]"#),
        ("DJANGO_USER_FIELDS_NONE", r#"["username"]"#),
        ("DJANGO_SESSION_COOKIE_NAME", "a b"),
        ("DJANGO_SESSION_COOKIE_AGE", "0"),
        ("DJANGO_SESSION_COOKIE_SAMESITE", "maybe"),
        ("DJANGO_REST_AUTHENTICATION", "session,session"),
        ("DJANGO_REST_AUTHENTICATION", "token"),
        ("DJANGO_ALLOWED_HOSTS", "example.com"),
        ("SIDECAR_BIND", "localhost"),
        ("SIDECAR_BIND", "unix:relative"),
        ("SIDECAR_MOUNT", "api"),
        ("SIDECAR_MOUNT", "/api/../admin"),
        ("SIDECAR_LOG", "info,,=x="),
        ("SIDECAR_LOG", "inof"),
        ("SIDECAR_LOG", "info/only messages with this"),
        ("DJANGO_SECRET_KEY_FALLBACKS", r#"[""]"#),
        ("DATABASE_URL", "postgres://u:hun@ter@h/d"),
        ("DATABASE_URL", "postgres://u:hun%zter@h/d"),
        ("DATABASE_URL", "postgres://u:hunter/2@h/d"),
        ("DATABASE_URL", "postgres://u:1/hunter@h/d"),
        ("DATABASE_URL", "postgres://u:1#hunter@h/d"),
        ("DATABASE_URL", "postgres://u:1?hunter@h/d"),
        ("DATABASE_URL", "postgres://u:hunter%00@h/d"),
        ("DATABASE_URL", "postgres://u@h/d?sslpassword=hunter%zz"),
        ("DATABASE_URL", "postgres://u@h/d?password=hun&ter"),
        ("DATABASE_URL", "postgres://u@h/d?password=hun=ter"),
        ("SIDECAR_LOG_FORMAT", "xml"),
        ("SIDECAR_LOGIN_RATE", "0/min"),
        ("SIDECAR_LOGIN_RATE", "10"),
        ("SIDECAR_LOGIN_RATE", "10/year"),
        ("SIDECAR_TRUSTED_PROXIES", "localhost"),
        ("SIDECAR_TRUSTED_PROXIES", "10.0.0.0/40"),
        ("SIDECAR_CORS_ORIGINS", "*"),
        ("SIDECAR_CORS_ORIGINS", "example.com"),
        ("SIDECAR_CORS_ORIGINS", "https://example.com/"),
        ("SIDECAR_CORS_ORIGINS", "https://*.example.com"),
        ("SIDECAR_CORS_ORIGINS", "null"),
        ("SIDECAR_EXPORT_CONCURRENCY", "0"),
        ("SIDECAR_SHUTDOWN_DELAY", "-1"),
        ("SIDECAR_PREPARED_STATEMENTS", "maybe"),
    ] {
        assert_eq!(errors(&[(name, value)]).len(), 1, "{name}={value}");
    }
}

#[test]
fn values_are_read_as_djangos_tools_write_them() {
    let target = |url| DatabaseUrl::parse(url).ok().unwrap().target().to_owned();
    assert_eq!(
        target("sqlite:///relative/my%20db.sqlite3"),
        "relative/my db.sqlite3"
    );
    assert_eq!(
        target("postgres://u:p%40ss@h/d?sslmode=require"),
        "postgresql://u:p%40ss@h/d?sslmode=require"
    );
    let config = config(&[
        ("SIDECAR_MOUNT", ""),
        ("DJANGO_SESSION_COOKIE_SAMESITE", "False"),
        ("SIDECAR_BIND", "unix:/run/s"),
    ]);
    let config = config.ok().unwrap();
    assert_eq!(
        (
            config.mount.as_str(),
            config.django.session_cookie.same_site
        ),
        ("", None)
    );
    assert_eq!(config.bind, Bind::Unix("/run/s".into()));
}

#[test]
fn the_limits_are_read_in_several_spellings() {
    let per_hour = Rate {
        most: 100,
        per: Duration::from_secs(3600),
    };
    for (text, rate) in [
        ("100/hour", Some(per_hour)),
        ("100/h", Some(per_hour)),
        ("off", None),
    ] {
        let config = config(&[("SIDECAR_LOGIN_RATE", text)]).ok().unwrap();
        assert_eq!(config.login_rate, rate, "{text}");
    }
    let two = ["https://a.example", "http://b.example:8080"];
    for text in [two.join(", "), format!("{two:?}")] {
        let config = config(&[("SIDECAR_CORS_ORIGINS", &text)]).ok().unwrap();
        assert_eq!(config.cors_origins, two, "{text}");
    }
    let proxies = |text| {
        config(&[("SIDECAR_TRUSTED_PROXIES", text)])
            .ok()
            .unwrap()
            .trusted_proxies
    };
    assert_eq!(proxies("10.0.0.5,unix"), proxies(r#"["10.0.0.5", "unix"]"#));
    assert_ne!(proxies("none"), proxies(""));
    // gunicorn's forwarded_allow_ips and unix sockets: other addresses of this machine are other programs'.
    let default = proxies("");
    for (hop, is_trusted) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("127.0.0.2", false),
        ("127.1.1.1", false),
    ] {
        assert_eq!(default.trust(hop.parse().ok()), is_trusted, "{hop}");
    }
    assert!(default.trust(None));
}

#[test]
fn a_weak_key_is_warned_about() {
    let warned_of = |name, key: &str| {
        let variables = [(name, key), ("DJANGO_ALLOWED_HOSTS", r#"["*"]"#)];
        warnings(&variables).join("")
    };
    let strong = "k4@v9w_x!m2#q8z$r5t7y1u3i6o0p-as";
    let (weak, fallbacks) = (
        "DJANGO_SECRET_KEY is weak",
        "DJANGO_SECRET_KEY_FALLBACKS holds",
    );
    for key in [
        &strong[1..],
        &"abcd".repeat(20),
        &format!("django-insecure-{strong}"),
    ] {
        assert!(
            warned_of("DJANGO_SECRET_KEY", key).starts_with(weak),
            "{key}"
        );
    }
    assert_eq!(warned_of("DJANGO_SECRET_KEY", strong), "");
    let with_fallback = [
        ("DJANGO_SECRET_KEY", strong),
        ("DJANGO_SECRET_KEY_FALLBACKS", r#"["short"]"#),
        ("DJANGO_ALLOWED_HOSTS", r#"["*"]"#),
    ];
    let warnings = warnings(&with_fallback);
    assert!(
        warnings.len() == 1 && warnings[0].starts_with(fallbacks),
        "{warnings:?}"
    );
}

#[test]
fn a_secret_may_stand_in_a_file_but_not_in_both_places() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"sqlite:////from/a/file\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(errors(&[("DATABASE_URL_FILE", path)]).len(), 1);
    let from_file = config(&[("DATABASE_URL", ""), ("DATABASE_URL_FILE", path)])
        .ok()
        .unwrap();
    assert_eq!(from_file.database_url.target(), "/from/a/file");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let path = empty.path().to_str().unwrap();
    let found = errors(&[("DJANGO_SECRET_KEY", ""), ("DJANGO_SECRET_KEY_FILE", path)]);
    assert!(
        found[0].starts_with("DJANGO_SECRET_KEY is required"),
        "{found:?}"
    );
    let missing = errors(&[
        ("DJANGO_SECRET_KEY", ""),
        ("DJANGO_SECRET_KEY_FILE", "/no/such/file"),
    ]);
    assert!(
        missing[0].starts_with("DJANGO_SECRET_KEY_FILE can't be read"),
        "{missing:?}"
    );
}

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
