//! `AUTHENTICATION_BACKENDS` (`django.contrib.auth.backends` of Django 5.2, and those of common packages): which backends
//! check the stored passwords, how they find the user of a name, which users they admit, and what they do that the sidecar
//! does not.
//!
//! A backend that is not in the table counts as a `ModelBackend`, unless `DJANGO_PASSWORD_BACKENDS` says more.

use serde::Deserialize;

const MODULE: &str = "django.contrib.auth.backends.";

/// A backend that compares passwords with the stored ones, and that a session can name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordBackend {
    /// Its dotted path, which login writes into the session
    pub backend: String,
    /// How it finds the user of a name, in order
    pub names: Vec<NameLookup>,
}

/// How a backend finds the user of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameLookup {
    /// The column of `USERNAME_FIELD` is the name (`ModelBackend`)
    Username,
    /// The column is the name in lower case (allauth with `ACCOUNT_PRESERVE_USERNAME_CASING = False`)
    UsernameLower,
    /// The column is the name, in any case (allauth)
    UsernameAnyCase,
    /// An e-mail address is the name, in any case (allauth with `email` in `ACCOUNT_LOGIN_METHODS`)
    Email,
}

impl NameLookup {
    /// How the lookup is described to an operator.
    pub fn text(self) -> &'static str {
        match self {
            NameLookup::Username => "the user name",
            NameLookup::UsernameLower => "the user name in lower case",
            NameLookup::UsernameAnyCase => "the user name in any case",
            NameLookup::Email => "the e-mail address in any case",
        }
    }

    /// Whether it is one of allauth's, whose backend refuses an empty name and an empty password.
    pub fn is_of_allauth(self) -> bool {
        self != NameLookup::Username
    }
}

/// The lookups of all these backends, each once, in order.
pub fn lookups(backends: &[PasswordBackend]) -> Vec<NameLookup> {
    let mut lookups = Vec::new();
    for lookup in backends.iter().flat_map(|backend| &backend.names) {
        if !lookups.contains(lookup) {
            lookups.push(*lookup);
        }
    }
    lookups
}

/// Those of `AUTHENTICATION_BACKENDS` that check stored passwords, as far as their names tell.
pub fn known_password_backends(backends: &[String]) -> Vec<PasswordBackend> {
    let backends = backends
        .iter()
        .filter(|backend| checks_stored_passwords(backend));
    let known = backends.map(|backend| PasswordBackend {
        backend: backend.clone(),
        names: vec![NameLookup::Username],
    });
    known.collect()
}

/// Whether one of these backends takes the password of a user who is active, or not active.
pub fn admits(backends: &[PasswordBackend], is_active: bool) -> bool {
    let mut backends = backends.iter();
    backends.any(|one| !one.names.is_empty() && (is_active || admits_inactive(&one.backend)))
}

const TAKES_NO_PASSWORD: &str = "takes no password: another service vouches for the user";
const OTHER_PASSWORDS: &str = "checks passwords against a directory: the sidecar can't, and refuses the directory's passwords";
const OBJECT_PERMISSIONS: &str =
    "decides about permissions and checks no password: the sidecar ignores it";

/// What the backends of a package do, by the beginning of their dotted paths. The text completes a sentence that begins with the
/// backend's path.
const PACKAGES: &[(&str, &str)] = &[
    (
        AXES,
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

/// The backends of django-axes.
pub const AXES: &str = "axes.backends.";

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

/// Whether the backend's `authenticate()` compares a name and password with the stored hash. The packages whose backends have
/// no `get_user`, so that a session can't name them (guardian, axes, rules), compare none.
fn checks_stored_passwords(backend: &str) -> bool {
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

/// As [`difference`], where these are the backends that `DJANGO_PASSWORD_BACKENDS` names.
pub fn difference_beside(named: &[PasswordBackend], backend: &str) -> Option<String> {
    if backend.starts_with(MODULE) {
        return None;
    }
    let Some(entry) = named.iter().find(|entry| entry.backend == backend) else {
        // The settings script has named those that take passwords, and left the others out.
        let known = of_package(backend).filter(|does| *does == OTHER_PASSWORDS);
        return known.map(str::to_owned);
    };
    let names: Vec<_> = entry.names.iter().map(|lookup| lookup.text()).collect();
    let taken = match names.as_slice() {
        [] => "no name".to_owned(),
        names => names.join(" or "),
    };
    Some(format!(
        "may ask for more than a password (a second factor, a verified address): the sidecar takes {taken} and asks for \
         the password alone"
    ))
}

/// `ModelBackend.user_can_authenticate`: whether this backend admits a user who is not active.
pub fn admits_inactive(backend: &str) -> bool {
    matches!(
        backend.strip_prefix(MODULE),
        Some("AllowAllUsersModelBackend" | "AllowAllUsersRemoteUserBackend")
    )
}
