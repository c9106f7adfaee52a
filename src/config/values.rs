//! Parsers of single variables. An error completes a sentence that begins with the variable's name.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::types::{Bind, LogFormat, LoginMode, Rate};
use crate::client_address::TrustedProxies;
use crate::django::backends::{NameLookup, PasswordBackend};
use crate::django::signing::SecretKey;

/// A parser of numbers in this range.
pub(super) fn number<T: FromStr + PartialOrd + Display>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("is not a number from {} to {}", range.start(), range.end()))
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is none of true, false, on and off".into()),
    }
}

pub(super) fn login_mode(text: &str) -> Result<LoginMode, String> {
    match (text, boolean(text)) {
        ("without-second-factor", _) => Ok(LoginMode::WithoutSecondFactor),
        (_, Ok(true)) => Ok(LoginMode::On),
        (_, Ok(false)) => Ok(LoginMode::Off),
        (_, Err(_)) => Err("is none of on, off and without-second-factor".into()),
    }
}

/// The text, if it is right.
fn checked(text: &str, is_right: bool, wrong: &str) -> Result<String, String> {
    let text = is_right.then(|| text.to_owned());
    text.ok_or_else(|| wrong.into())
}

pub(super) fn identifier(text: &str) -> Result<String, String> {
    let is_name = !text.contains('\0') && text.len() <= 128;
    checked(text, is_name, "is not the name of a table or column")
}

pub(super) fn string_array(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|_| "is not a JSON array of strings".into())
}

/// Fields of `AbstractUser` that a model may set to `None` while the two views still work.
pub(super) fn none_fields(text: &str, username_field: &str) -> Result<Vec<String>, String> {
    const OPTIONAL: [&str; 5] = [
        "username",
        "email",
        "first_name",
        "last_name",
        "is_movie_user",
    ];
    let fields = string_array(text)?;
    for field in &fields {
        if !OPTIONAL.contains(&field.as_str()) {
            let known = OPTIONAL.join(", ");
            return Err(format!("names {field:?}, which is not one of {known}"));
        }
        if field == username_field {
            return Err("names the column of DJANGO_USERNAME_FIELD, which must be there".into());
        }
    }
    Ok(fields)
}

/// The backends that take passwords. Each must be one of `AUTHENTICATION_BACKENDS`: Django drops a session that names another.
pub(super) fn password_backends(
    text: &str,
    authentication_backends: &[String],
    none_fields: &[String],
) -> Result<Vec<PasswordBackend>, String> {
    let backends: Vec<PasswordBackend> = serde_json::from_str(text).map_err(|_| {
        "is not a JSON array of objects with backend and names (of username, username-lower, username-any-case, email)"
    })?;
    for PasswordBackend { backend, names } in &backends {
        if !authentication_backends.contains(backend) {
            return Err(format!(
                "names {backend:?}, which is not in DJANGO_AUTHENTICATION_BACKENDS: Django takes no session of it"
            ));
        }
        if names.contains(&NameLookup::Email) && none_fields.iter().any(|field| field == "email") {
            return Err(
                "looks users up by email, which DJANGO_USER_FIELDS_NONE says is no column".into(),
            );
        }
    }
    Ok(backends)
}

pub(super) fn secret_keys(text: &str) -> Result<Vec<SecretKey>, String> {
    let keys = string_array(text)?;
    if keys.iter().any(String::is_empty) {
        return Err("holds an empty key".into());
    }
    Ok(keys.into_iter().map(SecretKey::new).collect())
}

pub(super) fn cookie_name(text: &str) -> Result<String, String> {
    let may_stand = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    checked(text, text.bytes().all(may_stand), "is not a cookie's name")
}

pub(super) fn cookie_attribute(text: &str) -> Result<String, String> {
    let is_right = text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b';');
    checked(text, is_right, "is not a cookie's attribute")
}

pub(super) fn same_site(text: &str) -> Result<Option<String>, String> {
    match text.to_ascii_lowercase().as_str() {
        "lax" | "strict" | "none" => Ok(Some(text.to_owned())),
        "false" => Ok(None),
        _ => Err("is none of Lax, Strict, None, False".into()),
    }
}

pub(super) fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "is not the name of a time zone".into())
}

pub(super) fn bind(text: &str) -> Result<Bind, String> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(Bind::Unix(PathBuf::from(path))),
        Some(_) => Err("names a unix socket without an absolute path".into()),
        None => match text.parse() {
            Ok(address) => Ok(Bind::Tcp(address)),
            Err(_) => Err("is not an IP address with a port, nor unix:/path".into()),
        },
    }
}

pub(super) fn mount(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let may_stand = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let is_plain = |segment: &str| !["", ".", ".."].contains(&segment);
    let is_path = path.starts_with('/') && path.split('/').skip(1).all(is_plain);
    let is_mount = path.is_empty() || (is_path && path.bytes().all(may_stand));
    checked(path, is_mount, "is not a path of plain segments, nor empty")
}

pub(super) fn login_url(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let mut schemes = ["https://", "http://"].into_iter();
    let rest = schemes.find_map(|scheme| text.strip_prefix(scheme));
    let is_url = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let may_stand = |b: u8| b.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&b);
    let is_right = (is_path || is_url) && text.bytes().all(may_stand);
    checked(
        text,
        is_right,
        "is neither an absolute path nor an http URL",
    )
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    // env_logger takes an unknown word for a module's name and silences every other module. After a slash it expects a text that
    // every message must hold, which would drop audit lines.
    let mut bare = text.split(',').filter(|directive| !directive.contains('='));
    let are_levels = bare.all(|level| level.trim().parse::<log::LevelFilter>().is_ok());
    let is_filter = env_filter::Builder::new().try_parse(text).is_ok();
    let is_right = is_filter && are_levels && !text.contains('/');
    checked(text, is_right, "is not a log level or filter")
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither text nor json".into()),
    }
}

/// A JSON array, or words with commas between them.
fn list(text: &str) -> Result<Vec<String>, String> {
    if text.trim_start().starts_with('[') {
        return string_array(text);
    }
    let words = text.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

pub(super) fn trusted_proxies(text: &str) -> Result<TrustedProxies, String> {
    let words = match text {
        "none" => Vec::new(),
        text => list(text)?,
    };
    TrustedProxies::parse(&words)
        .ok_or_else(|| "is not a list of addresses, networks (10.0.0.0/8) and unix".into())
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    let origins = list(text)?;
    let is_origin = |origin: &String| {
        let mut schemes = ["http://", "https://"].iter();
        let authority = schemes.find_map(|scheme| origin.strip_prefix(*scheme));
        // As a browser sends it: nothing after the port, and no capital letter.
        let may_stand =
            |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !b"\"'*?#@/".contains(&b);
        authority.is_some_and(|name| !name.is_empty() && name.bytes().all(may_stand))
    };
    let are_origins = origins.iter().all(is_origin);
    are_origins.then_some(origins).ok_or_else(|| {
        "is not a list of origins: scheme, host, and port if it is not the usual one".into()
    })
}

pub(super) fn rate(text: &str) -> Result<Option<Rate>, String> {
    if text == "off" {
        return Ok(None);
    }
    let rate = text.split_once('/').and_then(|(most, per)| {
        // As in DRF's throttle rates, only the first letter counts.
        let seconds = match per.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let per = Duration::from_secs(seconds);
        let most = most.parse().ok().filter(|most| *most > 0)?;
        Some(Rate { most, per })
    });
    let wrong = || "is neither off nor a number per s, min, hour or day".into();
    rate.map(Some).ok_or_else(wrong)
}
