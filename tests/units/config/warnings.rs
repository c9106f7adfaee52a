//! What the configuration warns of, and what it refuses for the sake of a second factor.

use super::{config, errors, warnings};

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

    let lockout = ("DJANGO_LOCKOUT", r#"["axes"]"#);
    let axes = of(&["axes.backends.AxesStandaloneBackend", MODEL], &[lockout]);
    assert!(
        axes.len() == 1 && axes[0].starts_with("DJANGO_LOCKOUT names axes, whose locks"),
        "{axes:?}"
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

#[test]
fn a_named_backend_is_warned_of_as_it_is_used() {
    let allauth = "allauth.account.auth_backends.AuthenticationBackend";
    let named =
        |backend: &str, names: &str| format!(r#"[{{"backend":"{backend}","names":{names}}}]"#);
    let of = |backends: &[&str], named: &str| {
        let backends = format!("{backends:?}");
        warnings(&[
            ("DJANGO_ALLOWED_HOSTS", r#"["*"]"#),
            ("DJANGO_SECRET_KEY", "k4@v9w_x!m2#q8z$r5t7y1u3i6o0p-as"),
            ("DJANGO_AUTHENTICATION_BACKENDS", &backends),
            ("DJANGO_PASSWORD_BACKENDS", named),
        ])
    };
    let warned = of(
        &[allauth],
        &named(allauth, r#"["email","username-any-case"]"#),
    );
    assert!(
        warned.len() == 1
            && warned[0].contains(
                "takes the e-mail address in any case or the user name in any case and asks"
            ),
        "{warned:?}"
    );
    // The settings script has said what there is to say of a backend that it left out; but a directory's passwords are refused.
    let others = [
        "shop.login.Permissions",
        "guardian.backends.ObjectPermissionBackend",
        "django_auth_ldap.backend.LDAPBackend",
        allauth,
    ];
    let warned = of(&others, &named(allauth, r#"["email"]"#));
    assert!(
        warned.len() == 2
            && warned[0].contains("LDAPBackend, which checks passwords against a directory")
            && warned[1].contains(allauth),
        "{warned:?}"
    );
    let model = "django.contrib.auth.backends.ModelBackend";
    assert_eq!(of(&[model], &named(model, r#"["username"]"#)), [""; 0]);
    let warned = of(&[model], "[]");
    assert!(
        warned.len() == 1 && warned[0].starts_with("DJANGO_PASSWORD_BACKENDS has no backend"),
        "{warned:?}"
    );
}
