//! The Django settings that shape an answer (`django.conf.settings`), under their Django names.
//!
//! Only those that the two endpoints, login and logout depend on. `config` gives them Django's defaults (Django 5.2,
//! `django/conf/global_settings.py`).

use jiff::tz::TimeZone;

use super::cookies::{CookieAttributes, SameSite};
use super::hashers::Hashing;
use super::signing::SecretKeys;

/// One entry of DRF's `DEFAULT_AUTHENTICATION_CLASSES` (`rest_framework.authentication`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticator {
    /// `SessionAuthentication`
    Session,
    /// `BasicAuthentication`
    Basic,
}

/// The `SESSION_COOKIE_*` settings.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    /// `SESSION_COOKIE_NAME`
    pub name: String,
    /// `SESSION_COOKIE_AGE`
    pub age_seconds: i64,
    /// `SESSION_COOKIE_DOMAIN`
    pub domain: Option<String>,
    /// `SESSION_COOKIE_PATH`
    pub path: String,
    /// `SESSION_COOKIE_SECURE`
    pub secure: bool,
    /// `SESSION_COOKIE_HTTPONLY`
    pub http_only: bool,
    /// `SESSION_COOKIE_SAMESITE`; `None` is Django's `False`: no attribute at all.
    pub same_site: Option<SameSite>,
}

impl SessionCookie {
    /// The attributes `Set-Cookie` carries for this cookie.
    pub fn attributes(&self) -> CookieAttributes<'_> {
        CookieAttributes {
            path: &self.path,
            domain: self.domain.as_deref(),
            secure: self.secure,
            http_only: self.http_only,
            same_site: self.same_site,
        }
    }
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
    /// DRF's `DEFAULT_AUTHENTICATION_CLASSES`, in order, never empty
    pub rest_authentication: Vec<Authenticator>,
    /// The `SESSION_COOKIE_*` settings
    pub session_cookie: SessionCookie,
    /// The default password hasher's cost
    pub hashing: Hashing,
}
