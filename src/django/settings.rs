//! The Django settings that shape an answer (`django.conf.settings`), under their Django names.
//!
//! Only those that the two endpoints, login and logout depend on. `config` gives them Django's defaults (Django 5.2,
//! `django/conf/global_settings.py`).

use jiff::tz::TimeZone;

use super::backends::PasswordBackend;
use super::cookies::SessionCookie;
use super::signing::SecretKeys;

/// One entry of DRF's `DEFAULT_AUTHENTICATION_CLASSES` (`rest_framework.authentication`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticator {
    /// `SessionAuthentication`
    Session,
    /// `BasicAuthentication`
    Basic,
}

/// The settings of `settings.py` that an answer depends on.
pub struct Settings {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`
    pub secret_keys: SecretKeys,
    /// `ALLOWED_HOSTS`
    pub allowed_hosts: Vec<String>,
    /// `DEBUG`: shows the error's text as `details` of a failed export.
    pub debug: bool,
    /// `APPEND_SLASH`
    pub append_slash: bool,
    /// `USE_TZ`
    pub use_tz: bool,
    /// `TIME_ZONE`
    pub time_zone: TimeZone,
    /// `AUTHENTICATION_BACKENDS`, dotted paths
    pub authentication_backends: Vec<String>,
    /// Those that compare passwords with the stored ones, in order; none: no password is taken
    pub password_backends: Vec<PasswordBackend>,
    /// DRF's `DEFAULT_AUTHENTICATION_CLASSES`, in order, never empty
    pub rest_authentication: Vec<Authenticator>,
    /// The `SESSION_COOKIE_*` settings
    pub session_cookie: SessionCookie,
    /// `PBKDF2PasswordHasher.iterations`, the default hasher's cost: 1,000,000 in Django 5.2; other versions differ.
    pub pbkdf2_iterations: u32,
}
