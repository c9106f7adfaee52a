//! `AUTHENTICATION_BACKENDS` (`django.contrib.auth.backends` of Django 5.2, and those of common packages): which backends
//! check the stored passwords, which users they admit, and what they do that the sidecar does not.
//!
//! A backend that is not in the table counts as a `ModelBackend`.

const MODULE: &str = "django.contrib.auth.backends.";

const TAKES_NO_PASSWORD: &str = "takes no password: another service vouches for the user";
const OTHER_PASSWORDS: &str = "checks passwords against a directory: the sidecar can't, and refuses the directory's passwords";
const OBJECT_PERMISSIONS: &str =
    "decides about permissions and checks no password: the sidecar ignores it";

/// What the backends of a package do, by the beginning of their dotted paths. The text completes a sentence that begins with the
/// backend's path.
const PACKAGES: &[(&str, &str)] = &[
    (
        "axes.backends.",
        "locks accounts and addresses out after failed logins: the sidecar neither obeys these locks nor adds to them, \
         and limits failures by SIDECAR_LOGIN_RATE alone",
    ),
    (
        ALLAUTH,
        "also takes an e-mail address as the name, and allauth may ask for a second factor (allauth.mfa) or a verified \
         address: the sidecar takes the user name and asks for the password alone",
    ),
    ("django_auth_ldap.backend.", OTHER_PASSWORDS),
    ("django_python3_ldap.auth.", OTHER_PASSWORDS),
    ("guardian.backends.", OBJECT_PERMISSIONS),
    ("rules.permissions.", OBJECT_PERMISSIONS),
    ("mozilla_django_oidc.auth.", TAKES_NO_PASSWORD),
    ("social_core.backends.", TAKES_NO_PASSWORD),
    ("djangosaml2.backends.", TAKES_NO_PASSWORD),
    ("django_cas_ng.backends.", TAKES_NO_PASSWORD),
    ("oauth2_provider.backends.", TAKES_NO_PASSWORD),
    ("sesame.backends.", TAKES_NO_PASSWORD),
];

/// The only one of these packages whose `authenticate()` compares a name and password with the stored hash.
const ALLAUTH: &str = "allauth.account.auth_backends.";

/// What a backend of one of these packages does.
fn of_package(backend: &str) -> Option<&'static str> {
    let package = PACKAGES
        .iter()
        .find(|(prefix, _)| backend.starts_with(prefix));
    package.map(|(_, does)| *does)
}

/// Whether the name is that of a `RemoteUserBackend`, Django's or a subclass, which takes the user name from the web server and
/// no password.
fn is_remote(backend: &str) -> bool {
    backend.ends_with("RemoteUserBackend")
}

/// Whether the backend's `authenticate()` compares a name and password with the stored hash.
pub fn checks_stored_passwords(backend: &str) -> bool {
    !is_remote(backend) && (backend.starts_with(ALLAUTH) || of_package(backend).is_none())
}

/// What a backend outside Django does and the sidecar does not; completes a sentence that begins with the backend's path.
/// `None` for Django's own backends, which the sidecar mirrors.
pub fn difference(backend: &str) -> Option<&'static str> {
    if backend.starts_with(MODULE) {
        return None;
    }
    let takes_no_password = is_remote(backend).then_some(TAKES_NO_PASSWORD);
    of_package(backend).or(takes_no_password).or(Some(
        "is not known to the sidecar and may ask for more than a password: the sidecar treats it as Django's \
         ModelBackend",
    ))
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
