//! `django.contrib.auth.backends` (Django 5.2): which of `AUTHENTICATION_BACKENDS` checks passwords, and whom it admits.
//! A backend of the project's own counts as a `ModelBackend`; whether it is one is the operator's to know.

const MODULE: &str = "django.contrib.auth.backends.";

/// `ModelBackend.user_can_authenticate`: whether this backend admits a user who is not active.
pub fn admits_inactive(backend: &str) -> bool {
    matches!(
        backend.strip_prefix(MODULE),
        Some("AllowAllUsersModelBackend" | "AllowAllUsersRemoteUserBackend")
    )
}

/// The backend that `authenticate()` would name for a user whose password was right: the first that checks passwords and
/// admits the user. The remote ones take a name that the web server vouches for, never a password.
pub fn authenticating(backends: &[String], is_active: bool) -> Option<&str> {
    let is_remote = |backend: &str| {
        backend
            .strip_prefix(MODULE)
            .is_some_and(|name| name.ends_with("RemoteUserBackend"))
    };
    let mut backends = backends.iter().map(String::as_str);
    backends.find(|backend| !is_remote(backend) && (is_active || admits_inactive(backend)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("{MODULE}{name}")).collect()
    }

    #[test]
    fn the_first_backend_that_admits_the_user_is_named() {
        let backends = list(&[
            "RemoteUserBackend",
            "ModelBackend",
            "AllowAllUsersModelBackend",
        ]);
        assert_eq!(authenticating(&backends, true), Some(backends[1].as_str()));
        assert_eq!(authenticating(&backends, false), Some(backends[2].as_str()));
        assert_eq!(authenticating(&list(&["ModelBackend"]), false), None);
        assert_eq!(
            authenticating(&list(&["AllowAllUsersRemoteUserBackend"]), true),
            None
        );
    }

    #[test]
    fn a_backend_of_the_projects_own_is_a_model_backend() {
        let backends = ["accounts.backends.ByEmail".to_owned()];
        assert_eq!(
            authenticating(&backends, true),
            Some("accounts.backends.ByEmail")
        );
        assert_eq!(authenticating(&backends, false), None);
    }
}
