//! Which backends take passwords, as far as their paths tell.

use watchtower_sidecar::django::backends::{admits, admits_inactive, known_password_backends};

const MODULE: &str = "django.contrib.auth.backends.";

fn known(backends: &[&str]) -> Vec<(String, bool)> {
    let backends: Vec<String> = backends
        .iter()
        .map(|backend| (*backend).to_owned())
        .collect();
    let known = known_password_backends(&backends).into_iter();
    known
        .map(|one| (one.backend.clone(), admits_inactive(&one.backend)))
        .collect()
}

#[test]
fn djangos_backends_are_known() {
    let paths = [
        "RemoteUserBackend",
        "ModelBackend",
        "AllowAllUsersModelBackend",
        "AllowAllUsersRemoteUserBackend",
    ]
    .map(|name| format!("{MODULE}{name}"));
    assert_eq!(
        known(&paths.each_ref().map(String::as_str)),
        [(paths[1].clone(), false), (paths[2].clone(), true)]
    );
    let backends = known_password_backends(&paths);
    assert!(admits(&backends, true) && admits(&backends, false));
    assert!(!admits(&backends[..1], false));
    assert!(!admits(&[], true));
}

#[test]
fn a_backend_of_the_projects_own_is_a_model_backend() {
    let own = "accounts.backends.ByEmail";
    assert_eq!(known(&[own]), [(own.to_owned(), false)]);
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
        assert_eq!(known(&[first, &model]), [(model, false)], "{first}");
    }
}
