//! `check --session` and `check --user`: one caller's refusal, explained, and decided as the service decides it.

use watchtower_sidecar::django::sessions::{
    AUTH_HASH_NAME, BACKEND_NAME, SessionData, USER_ID_NAME,
};
use watchtower_sidecar::django::signing::{SecretKey, SecretKeys};

use super::{Checked, check_with, command, insert_data, insert_row, session_of};
use crate::app::{App, KEY, OLD_KEY, insert_session};
use crate::database::{Database, PASSWORD};

#[test]
fn a_sessions_caller_is_refused_at_the_step_that_refuses_the_request() {
    for database in Database::of_every_kind() {
        let with = |name: &str, text: &str| {
            let mut data = session_of("1");
            data.set_str(name, text);
            data
        };
        let app = App::with(&database, &[("SIDECAR_LOGIN", "off")]);
        let good = insert_data(&database, "good", &session_of("1"));
        let encoded = session_of("1").encode(
            &SecretKeys {
                current: SecretKey::new(KEY.to_owned()),
                fallbacks: Vec::new(),
            },
            1_700_000_000,
        );
        let ended = insert_row(&database, "ended", &encoded, "2020-01-01");
        let changed = insert_row(
            &database,
            "changed",
            &encoded.replacen('e', "f", 1),
            "2999-01-01",
        );
        let foreign = insert_session(
            &database,
            "foreign",
            "1",
            "a-key-of-another-application-of-ours",
        );
        let old = insert_session(&database, "fallback", "1", OLD_KEY);
        let anonymous = insert_data(&database, "anonymous", &SessionData::default());
        let bad_id = insert_data(&database, "bad-id", &with(USER_ID_NAME, "x"));
        let backend = insert_data(&database, "backend", &with(BACKEND_NAME, "some.Backend"));
        let gone = insert_data(&database, "gone", &with(USER_ID_NAME, "99"));
        let inactive = insert_data(&database, "inactive", &session_of("2"));
        let hash = insert_data(&database, "hash", &with(AUTH_HASH_NAME, "0"));
        let plain = insert_data(&database, "plain", &session_of("3"));
        for (key, step, words) in [
            ("abc-123", "key", "fewer than 8 or more than 254 characters"),
            ("there-is-no-such-session", "row", "no session of this key"),
            (
                &ended,
                "expired",
                "the session ended at 2020-01-01 00:00:00",
            ),
            (&changed, "data", "signed by none"),
            (&foreign, "data", "signed by none"),
            (&anonymous, "user-id", "no user has logged in"),
            (&bad_id, "user-id", "no Integer key"),
            (&backend, "backend", "not in DJANGO_AUTHENTICATION_BACKENDS"),
            (&gone, "user", "no longer in the user table"),
            (&inactive, "inactive", "not active"),
            (&hash, "auth-hash", "another password"),
            (
                &plain,
                "staff",
                "plain is recognised, but no member of staff",
            ),
            (&good, "", "admin is a member of staff: admitted"),
            (
                &old,
                "",
                "admin is a member of staff, its auth hash made under a fallback key: admitted",
            ),
        ] {
            let fallbacks = format!(r#"["{OLD_KEY}"]"#);
            let variables = [("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str())];
            let checked = check_with(&database.reading_url, &variables, &["--session", "-"], key);
            assert!(!checked.text.contains(key), "{}", checked.text);
            let served = app.export_as(key).status;
            match step {
                "" => {
                    let (text, _) = checked.finding("ok", "session.staff");
                    assert!(text.starts_with(words), "{text}");
                    assert_eq!((checked.code, served), (0, 200), "{}", checked.text);
                }
                step => {
                    checked.assert_error(&format!("session.refused.{step}"), words);
                    assert_eq!(served, 403, "{step}");
                }
            }
            let by_argument = Checked::of(
                command(&database.reading_url, &variables, &["--session", key])
                    .output()
                    .unwrap(),
            );
            assert_eq!(by_argument.findings, checked.findings);
        }
    }
}

#[test]
fn a_users_refusal_is_explained_and_a_password_comes_by_standard_input() {
    for database in Database::of_every_kind() {
        database.execute(
            "UPDATE auth_user SET password = 'md5$salt$hash', is_staff = true WHERE id = 4",
        );
        let user = |name: &str| {
            let output = command(&database.reading_url, &[], &["--user", name]).output();
            Checked::of(output.unwrap())
        };
        let checked = user("admin");
        checked.finding("ok", "user.staff");
        assert_eq!(
            checked.finding("ok", "user.password").0,
            "pbkdf2_sha256 with 1 iterations"
        );
        assert_eq!(checked.code, 0);
        user("nobody").assert_error("user.refused.name", "there is no such user");
        user("dormant").assert_error("user.refused.inactive", "who is not active");
        user("plain").assert_error("user.refused.staff", "no member of staff");
        let checked = user("björn");
        checked.assert_error("user.refused.password", "outside Django's defaults");
        // MySQL's collation holds them for the same, and so does Django there.
        if database.name() != "mysql" {
            let checked = user("Admin");
            checked.assert_error("user.refused.name", "upper and lower case count");
            assert_eq!(
                checked.finding("error", "user.refused.name").1,
                "there is: admin"
            );
        }
        let with_password = |password: &str| {
            let arguments = ["--user", "admin", "--password-stdin"];
            check_with(&database.reading_url, &[], &arguments, password)
        };
        let checked = with_password(PASSWORD);
        checked.finding("ok", "user.given-password");
        assert_eq!(checked.code, 0, "{}", checked.text);
        let checked = with_password("another");
        checked.finding("error", "user.refused.given-password");
        assert_eq!(checked.code, 1);
    }
}
