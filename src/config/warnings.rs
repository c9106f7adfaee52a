//! Settings that are legal but dangerous or surprising: `serve` logs them, `check` reports them.

use super::Config;
use super::database_url::{Backend, DatabaseUrl};
use crate::django::backends::{authenticating, difference};
use crate::django::settings::Authenticator;
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

impl Config {
    /// All warnings.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |variable: &'static str, text: String, advice| {
            warnings.push(Warning {
                variable,
                text: format!("{variable} {text}"),
                advice,
            });
        };
        if self.django.allowed_hosts.is_empty() && !self.django.debug {
            warn(
                "DJANGO_ALLOWED_HOSTS",
                "is empty: as in Django, every request is answered 400 Bad Request".to_owned(),
                "set DJANGO_ALLOWED_HOSTS to the project's ALLOWED_HOSTS, as a JSON array",
            );
        }
        let keys = &self.django.secret_keys;
        if keys.current.is_weak() {
            warn("DJANGO_SECRET_KEY", WEAK.to_owned(), NEW_KEY);
        }
        if keys.fallbacks.iter().any(SecretKey::is_weak) {
            let text = format!("holds a key that {WEAK}");
            warn("DJANGO_SECRET_KEY_FALLBACKS", text, NEW_KEY);
        }
        self.warn_of_passwords(&mut warn);
        if self.login && !self.django.session_cookie.secure && !self.django.debug {
            warn(
                "DJANGO_SESSION_COOKIE_SECURE",
                "is off while SIDECAR_LOGIN is on: browsers send the session cookie that login sets over plain HTTP too, \
                 where others can read it"
                    .to_owned(),
                "serve the site over HTTPS alone, set SESSION_COOKIE_SECURE=True in Django's settings and \
                 DJANGO_SESSION_COOKIE_SECURE=true here",
            );
        }
        let read_url = self.database_read_url.as_ref();
        let urls = [
            ("DATABASE_URL", Some(&self.database_url)),
            ("DATABASE_READ_URL", read_url),
        ];
        for (variable, url) in urls {
            if let Some((url, host)) = url.and_then(|url| Some((url, url.unverified_host()?))) {
                let text = format!(
                    "leads to {host}, which is not this machine, without verifying the server's certificate: a machine on \
                     the way between can read the data and decide who is let in"
                );
                warn(variable, text, verification(url));
            }
        }
        warnings
    }

    /// Warnings about checks that Django's login makes and HTTP Basic and login here do not, where one of them is served.
    fn warn_of_passwords(&self, warn: &mut impl FnMut(&'static str, String, &'static str)) {
        const BACKENDS: &str = "DJANGO_AUTHENTICATION_BACKENDS";
        const NO_PASSWORDS: &str = "where that is not acceptable, set DJANGO_REST_AUTHENTICATION=session and SIDECAR_LOGIN=off";
        let has_basic = self
            .django
            .rest_authentication
            .contains(&Authenticator::Basic);
        if !has_basic && !self.login {
            return;
        }
        let backends = &self.django.authentication_backends;
        for backend in backends {
            if let Some(difference) = difference(backend) {
                warn(
                    BACKENDS,
                    format!("has {backend}, which {difference}"),
                    NO_PASSWORDS,
                );
            }
        }
        if authenticating(backends, true).is_none() {
            warn(
                BACKENDS,
                "has no backend that checks the stored passwords: HTTP Basic and login refuse every user".to_owned(),
                NO_PASSWORDS,
            );
        }
        if !self.second_factor.is_empty() {
            let what = match (has_basic, self.login) {
                (true, true) => "HTTP Basic opens the export, and login's session the whole site,",
                (false, _) => "login's session opens the whole site",
                (true, false) => "HTTP Basic opens the export, as DRF's own does,",
            };
            let apps = self.second_factor.join(", ");
            let text = format!(
                "names {apps}, which the sidecar does not ask: {what} by the password alone"
            );
            warn("DJANGO_SECOND_FACTOR", text, NO_PASSWORDS);
        }
    }
}

/// How the certificate of this URL's server is verified.
fn verification(url: &DatabaseUrl) -> &'static str {
    match url.backend() {
        Backend::Mysql => "add ssl_mode=verify_identity&ssl_ca=/path/to/ca.pem to the URL",
        _ => "add sslmode=verify-full&sslrootcert=/path/to/ca.pem to the URL",
    }
}
