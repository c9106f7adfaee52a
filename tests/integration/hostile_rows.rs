//! Stored passwords are not trusted: a hash that costs too much or breaks a parser verifies no password. And no refusal
//! tells which users exist.

use std::time::{Duration, Instant};

use crate::app::App;
use crate::client::{Answer, basic};
use crate::database::{Database, PASSWORD};

const STATS: &str = "/api/admin/export-stats/";

/// Slower is a hash or a bomb that went off. (A debug build inflates and parses slowly, and so may the machine.)
pub const QUICKLY: Duration = Duration::from_secs(10);

pub const SHA256: &str = "xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=";

/// Password columns that no Django writes.
fn hostile_passwords() -> Vec<String> {
    let argon2 = |cost: &str| {
        format!(
            "argon2$argon2id$v=19${cost}$c2FsdHNhbHQ$EBc7mA1BTAIwWZ/ppHcEe8Awcd1bBZSYFx+hQkOdJmg"
        )
    };
    let bcrypt = |rounds: &str| {
        format!("bcrypt_sha256$$2b${rounds}$abcdefghijklmnopqrstuuraR8y8jUb0UMmCc9fwl/YxKZSpSs52u")
    };
    let scrypt =
        |n: &str, r: &str, p: &str| format!("scrypt${n}$salt${r}${p}${}==", "A".repeat(86));
    let mut hostile: Vec<String> = [
        "10000001",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "0",
        "-1",
        "",
        "1e3",
        "１",
    ]
    .iter()
    .flat_map(|count| {
        ["pbkdf2_sha256", "pbkdf2_sha1"].map(|name| format!("{name}${count}$salt${SHA256}"))
    })
    .collect();
    hostile.extend([
        argon2("m=4194304,t=1,p=1"),
        argon2("m=102400,t=4294967295,p=8"),
        argon2("m=8,t=1,p=16777215"),
        argon2("m=99999999999999999999,t=1,p=1"),
        argon2("m=0,t=0,p=0"),
        argon2("m=-8,t=-1,p=-1"),
        argon2(""),
        bcrypt("31"),
        bcrypt("99"),
        bcrypt("00"),
        bcrypt(""),
        scrypt("1073741824", "8", "1"),
        scrypt("16384", "8", "1000000"),
        scrypt("16384", "1073741824", "1"),
        scrypt("99999999999999999999", "8", "5"),
        scrypt("0", "0", "0"),
        scrypt("3", "8", "1"),
        String::new(),
        "$".repeat(128),
        "argon2".into(),
        "bcrypt$".into(),
        "bcrypt$$2b$12".into(),
        "scrypt$$$$$".into(),
        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99".into(),
        PASSWORD.into(),
    ]);
    hostile
}

#[test]
fn a_hash_that_costs_too_much_or_is_broken_is_a_wrong_password_at_once() {
    for database in Database::of_every_kind() {
        let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "off")]);
        for encoded in hostile_passwords() {
            let case = format!("{encoded} on {}", database.name());
            database.execute(&format!(
                "UPDATE auth_user SET password = '{encoded}' WHERE id = 1"
            ));
            let began = Instant::now();
            let answer = app.get(STATS, &[("Authorization", &basic("admin", PASSWORD))]);
            assert_eq!(
                (answer.status, answer.text()),
                (403, r#"{"detail":"Invalid username/password."}"#),
                "{case}"
            );
            assert_eq!(app.login("admin", PASSWORD, None).status, 401, "{case}");
            assert!(began.elapsed() < QUICKLY, "{case}: {:?}", began.elapsed());
        }
    }
}

#[test]
fn a_column_of_another_type_or_encoding_is_a_wrong_password_too() {
    // Only SQLite stores such things.
    let database = Database::filled_sqlite();
    let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "off")]);
    let mut wrong = Vec::new();
    for value in [
        "CAST(x'70626b646632ff24' AS TEXT)",
        "CAST(x'6100620063' AS TEXT)",
        "x'00ff00ff'",
        "1e300",
        "-9223372036854775808",
        "CAST(zeroblob(5000000) AS TEXT)",
    ] {
        database.execute(&format!(
            "UPDATE auth_user SET password = {value} WHERE id = 1"
        ));
        let answer = app.get(STATS, &[("Authorization", &basic("admin", PASSWORD))]);
        let login = app.login("admin", PASSWORD, None);
        if (answer.status, login.status) != (403, 401) {
            wrong.push((value, answer.status, login.status));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_refusal_of_a_password_looks_the_same() {
    let database = Database::filled_sqlite();
    let hashes = [
        (
            "half",
            "pbkdf2_sha256$2$salt$AXawN+lhdszfNEZ4Ac7nFs84Kjqm+6zjD4pfl6icoQY=",
        ),
        (
            "sha1",
            "pbkdf2_sha1$1000$0123456789abcdefABCDEF$ytHaE3i/I6BXRKmcbgqLHlFxi4s=",
        ),
        (
            "argon2",
            "argon2$argon2id$v=19$m=1024,t=2,p=8$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYQ$EBc7mA1BTAIwWZ/ppHcEe8Awcd1bBZSYFx+hQkOdJmg",
        ),
        (
            "bcrypt",
            "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuraR8y8jUb0UMmCc9fwl/YxKZSpSs52u",
        ),
        (
            "scrypt",
            "scrypt$16384$0123456789abcdefABCDEF$8$5$jS3Wyh79z9xrcEFJR6qzdM3Gg4hmHnm9fMY7QbSqL5r6TOADPqqCngR5lEv9z5X1CK6zFi2WRVwSt9bdI40rMg==",
        ),
        ("unusable", "!0123456789abcdef0123456789abcdef01234567"),
        ("costly", "pbkdf2_sha256$99999999$salt$AAAA"),
        ("empty", ""),
    ];
    for (number, (name, encoded)) in hashes.iter().enumerate() {
        database.execute(&format!(
            "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active, is_tv_user, is_movie_user, date_joined) \
             VALUES ({}, '{name}', '', '', '', '{encoded}', false, true, true, false, false, '2021-01-01 00:00:00')",
            number + 10
        ));
    }
    let app = App::with(
        &database,
        &[
            ("SIDECAR_LOGIN_RATE", "off"),
            ("DJANGO_PBKDF2_ITERATIONS", "4"),
        ],
    );
    let seen = |answer: Answer| {
        (
            answer.status,
            answer.text().to_owned(),
            answer.header_names(),
        )
    };
    let ask = |name: &str, password: &str| {
        let header = basic(name, password);
        [
            seen(app.get(STATS, &[("Authorization", &header)])),
            seen(app.login(name, password, None)),
        ]
    };
    let expected = ask("nobody", "wrong");
    assert_eq!((expected[0].0, expected[1].0), (403, 401));
    for (name, _) in hashes {
        assert_eq!(ask(name, "wrong"), expected, "{name}");
    }
    for (name, password) in [
        ("admin", "wrong"),
        ("plain", "wrong"),
        ("dormant", "wrong"),
        // The right password of an account that may not log in tells nothing either.
        ("dormant", PASSWORD),
        ("björn", ""),
        ("admin", ""),
        ("", "wrong"),
        ("admin\u{0}", PASSWORD),
        ("' OR 1=1 --", "wrong"),
        (&"x".repeat(6_000), "wrong"),
        ("admin", &"x".repeat(6_000)),
    ] {
        assert_eq!(ask(name, password), expected, "{name:.20} {password:.20}");
    }
    // The passwords of the other algorithms are right ones here.
    for name in ["sha1", "argon2", "bcrypt", "scrypt"] {
        assert_eq!(ask(name, "secret")[0].0, 200, "{name}");
    }
}
