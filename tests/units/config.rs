//! The configuration: what is read, refused and warned of; the parts of a database's URL.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use watchtower_sidecar::config::{
    Backend, Bind, Config, ConfigErrors, DatabaseUrl, Rate, VARIABLES,
};
use watchtower_sidecar::django::backends::{NameLookup, PasswordBackend};
use watchtower_sidecar::django::settings::Authenticator;

mod database_url;
mod warnings;

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
    assert_eq!(
        config.django.session_cookie.same_site.as_deref(),
        Some("Lax")
    );
    assert_eq!(config.login_mount, "/api");
    assert_eq!(
        config.django.authenticators,
        [Authenticator::session(), Authenticator::basic()]
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
        ("DJANGO_USER_FIELDS_NONE", r#"["is_tv_user"]"#),
        ("DJANGO_PASSWORD_BACKENDS", "ModelBackend"),
        (
            "DJANGO_PASSWORD_BACKENDS",
            r#"["django.contrib.auth.backends.ModelBackend"]"#,
        ),
        (
            "DJANGO_PASSWORD_BACKENDS",
            r#"[{"backend":"django.contrib.auth.backends.ModelBackend","names":["phone"]}]"#,
        ),
        (
            "DJANGO_PASSWORD_BACKENDS",
            r#"[{"backend":"shop.login.ByEmail","names":["username"]}]"#,
        ),
        ("DJANGO_LOCKOUT", "axes"),
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
        ("SIDECAR_LOGIN_MOUNT", "shop/api"),
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
    let spelled = self::config(&[("DJANGO_SESSION_COOKIE_SAMESITE", "lAX")]);
    let same_site = spelled.ok().unwrap().django.session_cookie.same_site;
    assert_eq!(same_site.as_deref(), Some("lAX"));
    assert_eq!(config.bind, Bind::Unix("/run/s".into()));
}

#[test]
fn the_backends_that_take_passwords_are_named_or_known_by_their_paths() {
    let backends = (
        "DJANGO_AUTHENTICATION_BACKENDS",
        r#"["guardian.backends.ObjectPermissionBackend", "shop.login.Everyone",
            "django.contrib.auth.backends.AllowAllUsersModelBackend"]"#,
    );
    let takers = |variables: &[(&str, &str)]| {
        let config = config(variables).ok().unwrap();
        config.django.password_backends
    };
    let entry = |backend: &str, names: &[NameLookup]| PasswordBackend {
        backend: backend.to_owned(),
        names: names.to_vec(),
    };
    let by_name = [NameLookup::Username];
    assert_eq!(
        takers(&[backends]),
        [
            entry("shop.login.Everyone", &by_name),
            entry(
                "django.contrib.auth.backends.AllowAllUsersModelBackend",
                &by_name
            ),
        ]
    );
    let named = r#"[{"backend": "shop.login.Everyone", "names": ["email", "username-any-case", "username-lower"]}]"#;
    assert_eq!(
        takers(&[backends, ("DJANGO_PASSWORD_BACKENDS", named)]),
        [entry(
            "shop.login.Everyone",
            &[
                NameLookup::Email,
                NameLookup::UsernameAnyCase,
                NameLookup::UsernameLower
            ]
        )]
    );
    assert_eq!(takers(&[("DJANGO_PASSWORD_BACKENDS", "[]")]), []);
    let without_column = [
        backends,
        ("DJANGO_PASSWORD_BACKENDS", named),
        ("DJANGO_USER_FIELDS_NONE", r#"["email"]"#),
    ];
    let errors = errors(&without_column);
    assert!(
        errors.len() == 1 && errors[0].contains("looks users up by email"),
        "{errors:?}"
    );
}

#[test]
fn login_needs_a_backend_and_paths_of_its_own() {
    const MODEL: &str = "django.contrib.auth.backends.ModelBackend";
    let nameless = format!(r#"[{{"backend":"{MODEL}","names":[]}}]"#);
    for login in ["on", "without-second-factor"] {
        for backends in ["[]", &nameless] {
            let errors = errors(&[
                ("DJANGO_PASSWORD_BACKENDS", backends),
                ("SIDECAR_LOGIN", login),
            ]);
            assert!(
                errors.len() == 1 && errors[0].contains("the project takes no password"),
                "{errors:?}"
            );
        }
    }
    assert!(config(&[("DJANGO_PASSWORD_BACKENDS", "[]")]).is_ok());

    let of = |mount, login_mount, login| {
        errors(&[
            ("SIDECAR_MOUNT", mount),
            ("SIDECAR_LOGIN_MOUNT", login_mount),
            ("SIDECAR_LOGIN", login),
        ])
    };
    for (mount, login_mount) in [("/api", "/api"), ("", "/"), ("/shop/login", "/shop")] {
        let errors = of(mount, login_mount, "on");
        assert!(
            errors.len() == 1 && errors[0].starts_with("SIDECAR_LOGIN_MOUNT is "),
            "{errors:?}"
        );
        assert_eq!(of(mount, login_mount, "off"), [""; 0]);
    }
    for (mount, login_mount) in [
        ("/api/admin", "/api"),
        ("", "/api"),
        ("/shop", "/"),
        ("/a/b", "/a/b/c"),
    ] {
        assert_eq!(of(mount, login_mount, "on"), [""; 0]);
    }
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
