//! The parsers of `DJANGO_REST_AUTHENTICATION` and `DJANGO_REST_AUTHENTICATORS`.

use super::values::identifier;
use crate::django::settings::{Authenticator, AuthenticatorKind};

/// `session`, `basic`, both in either order, or `none`.
pub(super) fn names(text: &str) -> Result<Vec<Authenticator>, String> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let parsed = text.split(',').map(|name| match name.trim() {
        "session" => Ok(Authenticator::session()),
        "basic" => Ok(Authenticator::basic()),
        _ => Err("is not a list of session and basic, nor none"),
    });
    let authenticators = parsed.collect::<Result<Vec<_>, _>>()?;
    match authenticators.as_slice() {
        [one, other] if one == other => Err("names one authenticator twice".into()),
        [_] | [_, _] => Ok(authenticators),
        _ => Err("names more than session and basic".into()),
    }
}

/// The array that `deploy/django-settings.py` writes.
pub(super) fn objects(text: &str) -> Result<Vec<Authenticator>, String> {
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
