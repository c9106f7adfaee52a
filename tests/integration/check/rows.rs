//! What `check` finds of sessions and passwords.

use watchtower_sidecar::django::sessions::{AUTH_HASH_NAME, BACKEND_NAME, SessionData};
use watchtower_sidecar::django::signing::{SecretKey, SecretKeys};

use super::{check, insert_data, insert_row, session_of};
use crate::app::{KEY, OLD_KEY, insert_session};
use crate::database::Database;

#[test]
fn a_key_that_is_not_djangos_is_an_error() {
    for database in Database::of_every_kind() {
        check(&database.reading_url, &[]).assert_warning("session.none", "no living session");
        insert_session(&database, "old", "1", OLD_KEY);
        let checked = check(&database.reading_url, &[]);
        checked.assert_error("session.wrong-key", "none of 1 living session");
        let fallbacks = format!(r#"["{OLD_KEY}"]"#);
        let with_fallback = [("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str())];
        let checked = check(&database.reading_url, &with_fallback);
        checked.assert_warning("session.fallback-only", "1 of 1 living session");
        assert_eq!(checked.code, 0);
        insert_session(&database, "new", "1", KEY);
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning("session.other-key", "1 of 2 living sessions");
        let checked = check(&database.reading_url, &with_fallback);
        assert_eq!(
            checked.finding("ok", "session.key").0,
            "of 2 living sessions 1 were signed by DJANGO_SECRET_KEY, 1 by a fallback"
        );
    }
}

#[test]
fn sessions_that_fit_no_user_are_told_apart() {
    let database = Database::filled_sqlite();
    let insert = |data: &SessionData| {
        database.execute("DELETE FROM django_session");
        insert_data(&database, "one", data);
        check(&database.reading_url, &[])
    };
    let mut data = session_of("1");
    data.set_str(AUTH_HASH_NAME, "of-another-password");
    insert(&data).assert_error("session.auth-hash", "1 session decode");
    insert(&session_of("77")).assert_error("session.user-gone", "not in the configured user table");
    insert(&session_of("a-name")).assert_error("session.user-gone", "Integers");
    let mut data = session_of("1");
    data.set_str(BACKEND_NAME, "accounts.backends.ByEmail");
    insert(&data).assert_error("session.backend", "accounts.backends.ByEmail");
    let mut data = SessionData::default();
    data.set_str("cart", "full");
    insert(&data).assert_warning("session.nobody", "no living session is an active user's");
    database.execute("DELETE FROM django_session");
    let keys = SecretKeys {
        current: SecretKey::new(KEY.to_owned()),
        fallbacks: Vec::new(),
    };
    let pickled = watchtower_sidecar::django::signing::sign_object(
        b"\x80\x04}q\x00.",
        "django.contrib.sessions.SessionStore",
        &keys.current,
        1_700_000_000,
    );
    insert_row(&database, "pickled", &pickled, "2999-01-01");
    check(&database.reading_url, &[]).assert_error("session.serializer", "hold no JSON object");
}

#[test]
fn passwords_that_no_user_can_use_are_counted() {
    for database in Database::of_every_kind() {
        let set = |id: u8, password: &str| {
            database.execute(&format!(
                "UPDATE auth_user SET password = '{password}' WHERE id = {id}"
            ));
        };
        set(3, "pbkdf2_sha256$99999999$salt$hash");
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning(
            "passwords.too-costly",
            "the passwords of 1 user (of these 0 active staff)",
        );
        set(1, "pbkdf2_sha256$99999999$salt$hash");
        let checked = check(&database.reading_url, &[]);
        checked.assert_error(
            "passwords.too-costly",
            "the passwords of 2 users (of these 1 active staff)",
        );
        set(1, "md5$salt$hash");
        set(3, "bcrypt$broken");
        let checked = check(
            &database.reading_url,
            &[("DJANGO_PBKDF2_ITERATIONS", "1000000")],
        );
        checked.assert_error(
            "passwords.unknown-hasher",
            "the passwords of 1 user (of these 1 active staff)",
        );
        checked.assert_warning("passwords.malformed", "the passwords of 1 user");
        checked.assert_warning(
            "passwords.iterations",
            "has 1 iterations, DJANGO_PBKDF2_ITERATIONS is 1000000",
        );
        database.execute("UPDATE auth_user SET date_joined = '2999-01-01 00:00:00' WHERE id = 2");
        let checked = check(&database.reading_url, &[]);
        checked.assert_warning("settings.time-zone", "1 users joined in the future");
    }
}

#[test]
fn many_passwords_are_read_in_pieces() {
    for database in Database::of_every_kind() {
        // More than two pieces of MySQL's.
        database.insert_users(100..45_100, |_| "2021-01-01 00:00:00".to_owned());
        let checked = check(&database.reading_url, &[]);
        assert_eq!(
            checked.finding("ok", "passwords.hashers").0,
            "users by hasher: pbkdf2_sha256 with 1 iterations 3; without a password 45001"
        );
    }
}
