//! `AUTHENTICATION_BACKENDS` (`django.contrib.auth.backends` of Django 5.2, and those of common packages): which backends
//! check the stored passwords, which users they admit, and what they do that the sidecar does not.
//!
//! A backend that is not in the table counts as a `ModelBackend`.

const MODULE: &str = "django.contrib.auth.backends.";

/// The backends of a package, known by the beginning of their dotted paths.
struct Package {
    prefix: &'static str,
    /// Whether `authenticate()` compares a name and password with the stored hash, as `ModelBackend` does.
    checks_stored_passwords: bool,
    /// Completes a sentence that begins with the backend's path.
    does: &'static str,
}

const fn package(
    prefix: &'static str,
    checks_stored_passwords: bool,
    does: &'static str,
) -> Package {
    Package {
        prefix,
        checks_stored_passwords,
        does,
    }
}

const TAKES_NO_PASSWORD: &str = "takes no password: another service vouches for the user";
const OTHER_PASSWORDS: &str = "checks passwords against a directory: the sidecar can't, and refuses the directory's passwords";
const OBJECT_PERMISSIONS: &str =
    "decides about permissions and checks no password: the sidecar ignores it";

const PACKAGES: &[Package] = &[
    package(
        "axes.backends.",
        false,
        "locks accounts and addresses out after failed logins: the sidecar neither obeys these locks nor adds to them, \
         and limits failures by SIDECAR_LOGIN_RATE alone",
    ),
    package(
        "allauth.account.auth_backends.",
        true,
        "also takes an e-mail address as the name, and allauth may ask for a second factor (allauth.mfa) or a verified \
         address: the sidecar takes the user name and asks for the password alone",
    ),
    package("django_auth_ldap.backend.", false, OTHER_PASSWORDS),
    package("django_python3_ldap.auth.", false, OTHER_PASSWORDS),
    package("guardian.backends.", false, OBJECT_PERMISSIONS),
    package("rules.permissions.", false, OBJECT_PERMISSIONS),
    package("mozilla_django_oidc.auth.", false, TAKES_NO_PASSWORD),
    package("social_core.backends.", false, TAKES_NO_PASSWORD),
    package("djangosaml2.backends.", false, TAKES_NO_PASSWORD),
    package("django_cas_ng.backends.", false, TAKES_NO_PASSWORD),
    package("oauth2_provider.backends.", false, TAKES_NO_PASSWORD),
    package("sesame.backends.", false, TAKES_NO_PASSWORD),
];

fn package_of(backend: &str) -> Option<&'static Package> {
    PACKAGES
        .iter()
        .find(|package| backend.starts_with(package.prefix))
}

/// Whether the name is that of a `RemoteUserBackend`, Django's or a subclass, which takes the user name from the web server and
/// no password.
fn is_remote(backend: &str) -> bool {
    backend.ends_with("RemoteUserBackend")
}

/// Whether the backend's `authenticate()` compares a name and password with the stored hash.
pub fn checks_stored_passwords(backend: &str) -> bool {
    !is_remote(backend) && package_of(backend).is_none_or(|package| package.checks_stored_passwords)
}

/// What a backend outside Django does and the sidecar does not; completes a sentence that begins with the backend's path.
/// `None` for Django's own backends, which the sidecar mirrors.
pub fn difference(backend: &str) -> Option<&'static str> {
    if backend.starts_with(MODULE) {
        return None;
    }
    Some(match package_of(backend) {
        Some(package) => package.does,
        None if is_remote(backend) => TAKES_NO_PASSWORD,
        None => {
            "is not known to the sidecar and may ask for more than a password: the sidecar treats it as Django's \
             ModelBackend"
        }
    })
}

/// `ModelBackend.user_can_authenticate`: whether this backend admits a user who is not active.
pub fn admits_inactive(backend: &str) -> bool {
    matches!(
        backend.strip_prefix(MODULE),
        Some("AllowAllUsersModelBackend" | "AllowAllUsersRemoteUserBackend")
    )
}

/// The backend that `authenticate()` would name for a user whose password was right: the first that checks stored passwords
/// and admits the user.
pub fn authenticating(backends: &[String], is_active: bool) -> Option<&str> {
    let mut backends = backends.iter().map(String::as_str);
    backends
        .find(|backend| checks_stored_passwords(backend) && (is_active || admits_inactive(backend)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
