//! The parser of `DJANGO_REST_AUTHENTICATION`.

use super::values::identifier;
use crate::django::settings::{Authenticator, AuthenticatorKind};

/// Names, or a JSON array.
pub(super) fn authenticators(text: &str) -> Result<Vec<Authenticator>, String> {
    match text.trim_start().starts_with('[') {
        true => objects(text),
        false => names(text),
    }
}

/// `session`, `basic`, or both in either order.
fn names(text: &str) -> Result<Vec<Authenticator>, String> {
    let parsed = text.split(',').map(|name| match name.trim() {
        "session" => Ok(Authenticator::session()),
        "basic" => Ok(Authenticator::basic()),
        _ => Err("is neither a list of session and basic nor a JSON array"),
    });
    let authenticators = parsed.collect::<Result<Vec<_>, _>>()?;
    match authenticators.as_slice() {
        [one, other] if one == other => Err("names one authenticator twice".into()),
        [_] | [_, _] => Ok(authenticators),
        _ => Err("names more than session and basic".into()),
    }
}

/// The array that `deploy/django-settings.py` writes.
fn objects(text: &str) -> Result<Vec<Authenticator>, String> {
    let authenticators: Vec<Authenticator> = serde_json::from_str(text)
        .map_err(|error| format!("is not a JSON array of authenticators: {error}"))?;
    let is_left = |one: &Authenticator| matches!(one.kind, AuthenticatorKind::Django(_));
    if authenticators.iter().all(is_left) {
        return Err("names no authenticator that the sidecar has".into());
    }
    for authenticator in &authenticators {
        let is_value =
            |text: &String| !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !authenticator.challenge.as_ref().is_none_or(is_value) {
            return Err("has a challenge that can't be a header".into());
        }
        let AuthenticatorKind::Token(model) = &authenticator.kind else {
            continue;
        };
        if model.keyword.is_empty() || !model.keyword.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("has a keyword that is no word of ASCII".into());
        }
        for name in [&model.table, &model.key, &model.user] {
            identifier(name)?;
        }
    }
    Ok(authenticators)
}
