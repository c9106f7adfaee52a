//! Which backend `authenticate()` would name.

use watchtower_sidecar::django::backends::authenticating;

const MODULE: &str = "django.contrib.auth.backends.";

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{MODULE}{name}")).collect()
}

#[test]
fn the_first_backend_that_admits_the_user_is_named() {
    let backends = list(&[
        "RemoteUserBackend",
        "ModelBackend",
        "AllowAllUsersModelBackend",
    ]);
    assert_eq!(authenticating(&backends, true), Some(backends[1].as_str()));
    assert_eq!(authenticating(&backends, false), Some(backends[2].as_str()));
    assert_eq!(authenticating(&list(&["ModelBackend"]), false), None);
    assert_eq!(
        authenticating(&list(&["AllowAllUsersRemoteUserBackend"]), true),
        None
    );
}

#[test]
fn a_backend_of_the_projects_own_is_a_model_backend() {
    let backends = ["accounts.backends.ByEmail".to_owned()];
    assert_eq!(
        authenticating(&backends, true),
        Some("accounts.backends.ByEmail")
    );
    assert_eq!(authenticating(&backends, false), None);
}

/// Recorded from Django 5.2.19 with django-axes 8.3.1 and django-guardian 3.5.2: `authenticate()` names ModelBackend
/// behind either, and gives `None` where they stand alone.
#[test]
fn a_backend_that_checks_no_stored_password_is_passed_over() {
    for first in [
        "axes.backends.AxesStandaloneBackend",
        "guardian.backends.ObjectPermissionBackend",
        "django_auth_ldap.backend.LDAPBackend",
        "shop.auth.ShibbolethRemoteUserBackend",
    ] {
        let model = format!("{MODULE}ModelBackend");
        let both = [first.to_owned(), model.clone()];
        assert_eq!(authenticating(&both, true), Some(model.as_str()), "{first}");
        assert_eq!(authenticating(&both[..1], true), None, "{first}");
    }
}
