//! Settings that are legal but dangerous or surprising: `serve` logs them, `check` reports them.

use std::iter;

use super::Config;
use super::database_url::Backend;
use crate::django::backends::{AXES, difference, difference_beside, lookups};
use crate::django::signing::SecretKey;

/// One warning about one variable.
#[derive(Debug)]
pub struct Warning {
    /// The variable
    pub variable: &'static str,
    /// A sentence that begins with the variable's name
    pub text: String,
    /// What the operator can do
    pub advice: &'static str,
}

/// The warning about a weak key (`django.core.checks.security.base`, W009 and W025).
const WEAK: &str = "is weak (under 32 characters, fewer than 5 different ones, or Django's own django-insecure- key), and \
    sessions can be forged by guessing it";
const NEW_KEY: &str = "give Django a new SECRET_KEY of 50 random characters, keep the old one in SECRET_KEY_FALLBACKS until \
    its sessions have expired, and give the sidecar both";

impl Warning {
    fn new(variable: &'static str, text: &str, advice: &'static str) -> Warning {
        Warning {
            variable,
            text: format!("{variable} {text}"),
            advice,
        }
    }
}

impl Config {
    /// All warnings.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.django.allowed_hosts.is_empty() && !self.django.debug {
            warnings.push(Warning::new(
                "DJANGO_ALLOWED_HOSTS",
                "is empty: as in Django, every request is answered 400 Bad Request",
                "set DJANGO_ALLOWED_HOSTS to the project's ALLOWED_HOSTS, as a JSON array",
            ));
        }
        let keys = &self.django.secret_keys;
        if keys.current.is_weak() {
            warnings.push(Warning::new("DJANGO_SECRET_KEY", WEAK, NEW_KEY));
        }
        if keys.fallbacks.iter().any(SecretKey::is_weak) {
            let text = format!("holds a key that {WEAK}");
            warnings.push(Warning::new("DJANGO_SECRET_KEY_FALLBACKS", &text, NEW_KEY));
        }
        warnings.extend(self.password_warnings());
        if self.login && !self.django.session_cookie.secure && !self.django.debug {
            warnings.push(Warning::new(
                "DJANGO_SESSION_COOKIE_SECURE",
                "is off while SIDECAR_LOGIN is on: browsers send the session cookie that login sets over plain HTTP too, \
                 where others can read it",
                "serve the site over HTTPS alone, set SESSION_COOKIE_SECURE=True in Django's settings and \
                 DJANGO_SESSION_COOKIE_SECURE=true here",
            ));
        }
        let primary = ("DATABASE_URL", &self.database_url);
        let replica = self
            .database_read_url
            .iter()
            .map(|url| ("DATABASE_READ_URL", url));
        for (variable, url) in iter::once(primary).chain(replica) {
            let Some(host) = url.unverified_host() else {
                continue;
            };
            let text = format!(
                "leads to {host}, which is not this machine, without verifying the server's certificate: a machine on the \
                 way between can read the data and decide who is let in"
            );
            let advice = match url.backend() {
                Backend::Mysql => "add ssl_mode=verify_identity&ssl_ca=/path/to/ca.pem to the URL",
                _ => "add sslmode=verify-full&sslrootcert=/path/to/ca.pem to the URL",
            };
            warnings.push(Warning::new(variable, &text, advice));
        }
        warnings
    }

    /// Warnings about checks that Django's login makes and HTTP Basic and login here do not, where one of them is served.
    fn password_warnings(&self) -> Vec<Warning> {
        const BACKENDS: &str = "DJANGO_AUTHENTICATION_BACKENDS";
        const NO_PASSWORDS: &str = "where that is not acceptable, take basic out of DJANGO_REST_AUTHENTICATION and set SIDECAR_LOGIN=off";
        let mut warnings = Vec::new();
        let what = match (self.django.takes_basic(), self.login) {
            (true, true) => "HTTP Basic opens the export, and login's session the whole site,",
            (false, true) => "login's session opens the whole site",
            (true, false) => "HTTP Basic opens the export, as DRF's own does,",
            (false, false) => return warnings,
        };
        let (backends, takers) = (
            &self.django.authentication_backends,
            &self.django.password_backends,
        );
        for backend in backends {
            // Said once, of DJANGO_LOCKOUT.
            if backend.starts_with(AXES) && !self.lockout.is_empty() {
                continue;
            }
            let difference = match self.names_password_backends {
                true => difference_beside(takers, backend),
                false => difference(backend).map(str::to_owned),
            };
            if let Some(difference) = difference {
                let text = format!("has {backend}, which {difference}");
                warnings.push(Warning::new(BACKENDS, &text, NO_PASSWORDS));
            }
        }
        if lookups(takers).is_empty() {
            let variable = match self.names_password_backends {
                true => "DJANGO_PASSWORD_BACKENDS",
                false => BACKENDS,
            };
            let text = "has no backend that checks the stored passwords: HTTP Basic and login refuse every user";
            warnings.push(Warning::new(variable, text, NO_PASSWORDS));
        }
        if !self.lockout.is_empty() {
            let apps = self.lockout.join(", ");
            let text = format!(
                "names {apps}, whose locks after failed logins the sidecar neither obeys nor adds to: wrong passwords are \
                 limited by SIDECAR_LOGIN_RATE alone"
            );
            warnings.push(Warning::new("DJANGO_LOCKOUT", &text, NO_PASSWORDS));
        }
        if !self.second_factor.is_empty() {
            let apps = self.second_factor.join(", ");
            let text = format!(
                "names {apps}, which the sidecar does not ask: {what} by the password alone"
            );
            warnings.push(Warning::new("DJANGO_SECOND_FACTOR", &text, NO_PASSWORDS));
        }
        warnings
    }
}
