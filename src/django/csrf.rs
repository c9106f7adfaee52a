//! `django.middleware.csrf.CsrfViewMiddleware` (Django 5.2, 6.1) as DRF's `SessionAuthentication.enforce_csrf` uses it: whether a
//! request with a session cookie was sent by the site's own pages.
//! Leaves out the form field `csrfmiddlewaretoken` (no body is read), `CSRF_TRUSTED_ORIGINS`, `CSRF_COOKIE_DOMAIN`,
//! `CSRF_USE_SESSIONS`, a `CSRF_HEADER_NAME` other than Django's (both views take GET alone, so these decide about refusals
//! only), and renewing the cookie, which Django does.

mod urls;

use super::python::latin1;
use super::request::is_same_domain;
use subtle::ConstantTimeEq as _;
use urls::urlsplit;
use zeroize::Zeroizing;

/// `CSRF_SECRET_LENGTH`
const SECRET_LENGTH: usize = 32;

/// `CSRF_ALLOWED_CHARS`
const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The parts of a request that the check reads. No `Debug`: the cookie and the header are secrets.
pub struct CsrfRequest<'a> {
    /// The method, in upper case
    pub method: &'a str,
    /// `request.is_secure()`
    pub is_secure: bool,
    /// `request.get_host()`: the `Host` header as sent, port included
    pub host: &'a str,
    /// `Origin`
    pub origin: Option<&'a [u8]>,
    /// `Referer`
    pub referer: Option<&'a [u8]>,
    /// The cookie `csrftoken`, as [`super::cookies::cookie`] reads it
    pub csrf_cookie: Option<&'a str>,
    /// `X-CSRFToken`
    pub csrf_header: Option<&'a [u8]>,
}

/// `CSRFCheck.process_view` without a form: the method, `Origin` or `Referer`, the cookie, then `X-CSRFToken`. The
/// tokens are compared in constant time.
///
/// # Errors
/// The X in DRF's `CSRF Failed: X`.
pub fn check(request: &CsrfRequest<'_>) -> Result<(), String> {
    if matches!(request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE") {
        return Ok(());
    }
    if let Some(origin) = request.origin {
        let origin = latin1(origin);
        if !is_origin_verified(&origin, request) {
            return Err(format!(
                "Origin checking failed - {origin} does not match any trusted origins."
            ));
        }
    } else if request.is_secure {
        check_referer(request)?;
    }
    let cookie = request.csrf_cookie.ok_or("CSRF cookie not set.")?;
    let secret = secret_of(cookie).map_err(|reason| format!("CSRF cookie {reason}."))?;
    let header = request.csrf_header.ok_or("CSRF token missing.")?;
    let reason = match secret_of(&Zeroizing::new(latin1(header))) {
        Err(reason) => reason,
        Ok(sent) if bool::from(sent.ct_eq(&secret[..])) => return Ok(()),
        Ok(_) => "incorrect",
    };
    Err(format!(
        "CSRF token from the 'X-Csrftoken' HTTP header {reason}."
    ))
}

/// `_check_token_format`, then `_unmask_cipher_token` if it is masked.
fn secret_of(csrf_token: &str) -> Result<Zeroizing<[u8; SECRET_LENGTH]>, &'static str> {
    let length = csrf_token.chars().count();
    if length != SECRET_LENGTH && length != 2 * SECRET_LENGTH {
        return Err("has incorrect length");
    }
    if !csrf_token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("has invalid characters");
    }
    let bytes = csrf_token.as_bytes();
    let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
    if length == SECRET_LENGTH {
        secret.copy_from_slice(bytes);
        return Ok(secret);
    }
    let (mask, cipher) = bytes.split_at(SECRET_LENGTH);
    for ((plain, &cipher), &mask) in secret.iter_mut().zip(cipher).zip(mask) {
        let count = ALPHABET.len();
        *plain = ALPHABET[(index(cipher) + count - index(mask)) % count];
    }
    Ok(secret)
}

/// `CSRF_ALLOWED_CHARS.index`, without a table in memory whose access would depend on the secret.
fn index(character: u8) -> usize {
    usize::from(match character {
        b'a'..=b'z' => character - b'a',
        b'A'..=b'Z' => character - b'A' + 26,
        digit => digit.wrapping_sub(b'0').wrapping_add(52),
    })
}

/// `_origin_verified`
fn is_origin_verified(origin: &str, request: &CsrfRequest<'_>) -> bool {
    let scheme = if request.is_secure { "https" } else { "http" };
    let rest = origin.strip_prefix(scheme);
    rest.and_then(|rest| rest.strip_prefix("://")) == Some(request.host)
}

/// `_check_referer`
fn check_referer(request: &CsrfRequest<'_>) -> Result<(), String> {
    const MALFORMED: &str = "Referer checking failed - Referer is malformed.";
    let referer = request
        .referer
        .ok_or("Referer checking failed - no Referer.")?;
    let referer = urlsplit(&latin1(referer)).ok_or(MALFORMED)?;
    if referer.scheme.is_empty() || referer.netloc.is_empty() {
        return Err(MALFORMED.to_owned());
    }
    if referer.scheme != "https" {
        return Err(
            "Referer checking failed - Referer is insecure while host is secure.".to_owned(),
        );
    }
    if is_same_domain(&referer.netloc, request.host) {
        return Ok(());
    }
    Err(format!(
        "Referer checking failed - {} does not match any trusted origins.",
        referer.url
    ))
}
