//! The Django settings that shape an answer (`django.conf.settings`), under their Django names.
//!
//! Only those that the two endpoints, login and logout depend on. `config` gives them Django's defaults (Django 5.2,
//! `django/conf/global_settings.py`).

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::backends::PasswordBackend;
use super::cookies::SessionCookie;
use super::signing::SecretKeys;

/// One of the views' `authentication_classes` (`rest_framework.authentication`), by default DRF's
/// `DEFAULT_AUTHENTICATION_CLASSES`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Authenticator {
    /// What `authenticate_header` returns: the first authenticator's decides between 401 with this `WWW-Authenticate`, and 403
    pub challenge: Option<String>,
    /// The class
    #[serde(flatten)]
    pub kind: AuthenticatorKind,
}

/// The class of an [`Authenticator`]: one of DRF's, or a subclass that authenticates as it does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum AuthenticatorKind {
    /// `SessionAuthentication`
    Session {
        /// Whether an unsafe method needs a CSRF token
        csrf: bool,
    },
    /// `BasicAuthentication`
    Basic,
    /// `TokenAuthentication`
    Token(TokenModel),
    /// A class that the sidecar lacks: a proxy leaves the requests with its credentials to Django
    Django(OtherCredentials),
}

/// The model of a `TokenAuthentication`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenModel {
    /// The scheme in `Authorization`: `Token`
    pub keyword: String,
    /// `Token._meta.db_table`: `authtoken_token`
    pub table: String,
    /// The column of the key
    pub key: String,
    /// The column of the user's primary key
    pub user: String,
}

/// What requests carry that an authenticator of the project's own reads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OtherCredentials {
    /// Its dotted path
    pub class: String,
    /// Schemes of `Authorization`; `*` is any
    pub schemes: Vec<String>,
    /// Other headers
    pub headers: Vec<String>,
    /// Cookies
    pub cookies: Vec<String>,
    /// Parameters of the query
    pub parameters: Vec<String>,
}

impl Authenticator {
    /// DRF's `SessionAuthentication`.
    pub fn session() -> Authenticator {
        Authenticator {
            challenge: None,
            kind: AuthenticatorKind::Session { csrf: true },
        }
    }

    /// DRF's `BasicAuthentication` (`www_authenticate_realm`).
    pub fn basic() -> Authenticator {
        Authenticator {
            challenge: Some(r#"Basic realm="api""#.to_owned()),
            kind: AuthenticatorKind::Basic,
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
    /// Those that compare passwords with the stored ones, in order; none: no password is taken
    pub password_backends: Vec<PasswordBackend>,
    /// The views' `authentication_classes`, in order; one of them at least is not left to Django
    pub authenticators: Vec<Authenticator>,
    /// The `SESSION_COOKIE_*` settings
    pub session_cookie: SessionCookie,
    /// `PBKDF2PasswordHasher.iterations`, the default hasher's cost: 1,000,000 in Django 5.2; other versions differ.
    pub pbkdf2_iterations: u32,
}

impl Settings {
    /// Whether an authenticator reads the session cookie.
    pub fn takes_sessions(&self) -> bool {
        let is_session = |kind: &_| matches!(kind, AuthenticatorKind::Session { .. });
        self.authenticators.iter().any(|one| is_session(&one.kind))
    }

    /// Whether an authenticator takes a name and a password.
    pub fn takes_basic(&self) -> bool {
        let mut authenticators = self.authenticators.iter();
        authenticators.any(|one| one.kind == AuthenticatorKind::Basic)
    }

    /// The models of DRF's tokens.
    pub fn token_models(&self) -> impl Iterator<Item = &TokenModel> {
        self.authenticators
            .iter()
            .filter_map(|one| match &one.kind {
                AuthenticatorKind::Token(model) => Some(model),
                _ => None,
            })
    }
}
