//! What stands in the database is not trusted: password hashes and sessions that would cost too much, or break a parser,
//! are those of nobody. And no refusal tells which users there are.

use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use watchtower_sidecar::django::sessions::session_auth_hash;
use watchtower_sidecar::django::signing::{SecretKey, sign};

use crate::app::{App, KEY, insert_session};
use crate::client::{Answer, basic};
use crate::database::{Database, ENCODED, PASSWORD};
use crate::program::Program;

const STATS: &str = "/api/admin/export-stats/";

/// The salt of `SessionStore`.
const SALT: &str = "django.contrib.sessions.SessionStore";

/// Slower is a hash or a bomb that went off. (A debug build inflates and parses slowly, and so may the machine.)
const QUICKLY: Duration = Duration::from_secs(10);

const SHA256: &str = "xOEfG6ymEDJ8fNSD2M6IJ0r8bE5FeVaxgYMnZIVZPek=";

/// Passwords as nobody's Django would store them.
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

/// A session's data of these bytes, signed with the service's own key.
fn signed(payload: &[u8]) -> String {
    let key = SecretKey::new(KEY.to_owned());
    sign(&URL_SAFE_NO_PAD.encode(payload), SALT, &key, 1_700_000_000)
}

/// The same, compressed.
fn bomb(blocks: usize, block: &[u8]) -> String {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..blocks {
        encoder.write_all(block).unwrap();
    }
    let payload = format!(".{}", URL_SAFE_NO_PAD.encode(encoder.finish().unwrap()));
    sign(
        &payload,
        SALT,
        &SecretKey::new(KEY.to_owned()),
        1_700_000_000,
    )
}

/// A good session's JSON but for the value of the user's key.
fn session_of(user_id: &str) -> String {
    let hash = session_auth_hash(ENCODED, &SecretKey::new(KEY.to_owned()));
    format!(
        r#"{{"_auth_user_id":{user_id},"_auth_user_backend":"django.contrib.auth.backends.ModelBackend","_auth_user_hash":"{hash}"}}"#
    )
}

/// `pickle.dumps(os.system("touch /tmp/pwned"))`, or what would be it.
const PICKLE: &[u8] = b"\x80\x04cposix\nsystem\n(S'exit 1'\ntR.";

fn hostile_sessions() -> Vec<(&'static str, String)> {
    const MIB: usize = 1024 * 1024;
    let good = session_of("\"1\"");
    let with = |member: &str| signed(good.replacen('{', &format!("{{{member},"), 1).as_bytes());
    let nested = |depth: usize| with(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let objects = |depth: usize| {
        with(&format!(
            "\"x\":{}1{}",
            "{\"a\":".repeat(depth),
            "}".repeat(depth)
        ))
    };
    let mut hostile = vec![
        ("a bomb of one byte too many", bomb(1, &vec![b' '; MIB + 1])),
        ("a bomb of 100 MiB of zeros", bomb(100, &vec![0; MIB])),
        ("a bomb that would be JSON", {
            let padded = good.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(2 * MIB)), 1);
            bomb(1, padded.as_bytes())
        }),
        (
            "plain text beyond the limit",
            with(&format!("\"x\":\"{}\"", "x".repeat(MIB))),
        ),
        ("lists 65 deep", nested(65)),
        ("lists 100,000 deep", nested(100_000)),
        ("objects 65 deep", objects(65)),
        ("objects 100,000 deep", objects(100_000)),
        (
            "100,000 lists that never close",
            signed("[".repeat(100_000).as_bytes()),
        ),
        (
            "an integer of 5,000 digits",
            with(&format!("\"x\":{}", "9".repeat(5_000))),
        ),
        ("a raw NUL", signed(b"{\"_auth_user_id\":\"\0\"}")),
        ("NULs alone", signed(&[0; 100])),
        ("invalid UTF-8", signed(b"{\"_auth_user_id\":\"\xff\xfe\"}")),
        ("a signed pickle", signed(PICKLE)),
        ("a pickle as Django signed it before 3.1", {
            STANDARD.encode([b"0123456789abcdef0123456789abcdef01234567:", PICKLE].concat())
        }),
        ("a pickle without any signature", STANDARD.encode(PICKLE)),
        ("a compressed pickle", bomb(1, PICKLE)),
        (
            "no zlib stream",
            sign(".AAAA", SALT, &SecretKey::new(KEY.to_owned()), 1),
        ),
        ("half a zlib stream", {
            let whole = bomb(1, good.as_bytes());
            let payload = &whole[..whole.find(':').unwrap() / 2];
            sign(payload, SALT, &SecretKey::new(KEY.to_owned()), 1)
        }),
        ("good data with a bit of its signature turned", {
            let good = signed(good.as_bytes());
            let last = if good.ends_with('A') { "B" } else { "A" };
            format!("{}{last}", &good[..good.len() - 1])
        }),
        ("good data under another salt", {
            let payload = URL_SAFE_NO_PAD.encode(&good);
            sign(
                &payload,
                "django.core.signing",
                &SecretKey::new(KEY.to_owned()),
                1,
            )
        }),
        ("nothing", String::new()),
        ("colons", ":".repeat(10_000)),
    ];
    // (To Django `true` and 1.0 are the key 1.)
    for id in [
        "null",
        "1e400",
        "-1",
        "-0",
        "[1]",
        "{\"id\":1}",
        "\"\"",
        "\" \"",
        "\"0x1\"",
        "NaN",
        "\"1\\u0000\"",
        "\"1'; DROP TABLE auth_user; --\"",
        "\"\\ud800\"",
        "\"１２\"",
        "1000000000000000000000000000000",
        "\"1000000000000000000000000000000\"",
        "9223372036854775808",
    ] {
        hostile.push(("_auth_user_id", signed(session_of(id).as_bytes())));
    }
    hostile
}

#[test]
fn a_session_that_would_break_a_parser_is_nobodys() {
    for database in Database::of_every_kind() {
        let app = App::with(&database, &[("SIDECAR_LOGIN_RATE", "off")]);
        for (number, (name, data)) in hostile_sessions().into_iter().enumerate() {
            let case = format!("{name} (no. {number}) on {}", database.name());
            let key = format!("hostile-session-{number}");
            database.execute(&format!(
                "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('{key}', '{data}', '2999-01-01 00:00:00')"
            ));
            let began = Instant::now();
            let answer = app.export_as(&key);
            assert_eq!(answer.status, 403, "{case}: {}", answer.text());
            // A login with such a cookie begins anew; a logout ends it.
            assert_eq!(
                app.login("admin", PASSWORD, Some(&key)).status,
                200,
                "{case}"
            );
            let logout = app.send(
                "POST",
                "/api/logout/",
                &[("Cookie", &format!("sessionid={key}"))],
                "",
            );
            assert_eq!(logout.status, 200, "{case}");
            assert!(began.elapsed() < QUICKLY, "{case}: {:?}", began.elapsed());
        }
        let good = insert_session(&database, "good", "1", KEY);
        assert_eq!(app.export_as(&good).status, 200, "{}", database.name());
    }
}

#[test]
fn a_session_row_of_another_type_or_encoding_is_nobodys() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let mut wrong = Vec::new();
    for (number, value) in [
        "CAST(x'61ff3a62' AS TEXT)",
        "x'00ff3a3a'",
        "1.5",
        "CAST(x'613a00' AS TEXT)",
    ]
    .iter()
    .enumerate()
    {
        database.execute(&format!(
            "INSERT INTO django_session VALUES ('hostile-row-{number}', {value}, '2999-01-01 00:00:00'), \
             ('hostile-date-{number}', 'x', {value})"
        ));
        for key in [
            format!("hostile-row-{number}"),
            format!("hostile-date-{number}"),
        ] {
            let status = app.export_as(&key).status;
            if status != 403 {
                wrong.push((key, *value, status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_is_wrong_with_a_row_is_logged_once_and_without_the_rows_secrets() {
    let database = Database::filled_sqlite();
    let program = Program::serve(
        &database,
        &[("SIDECAR_LOG", "trace"), ("SIDECAR_LOGIN_RATE", "off")],
    );
    let ask =
        |headers: &[(&str, &str)]| crate::client::send(&program.address, "GET", STATS, headers, "");
    let key = "a-hostile-session-key";
    database.execute(&format!(
        "INSERT INTO django_session VALUES ('{key}', '{}', '2999-01-01 00:00:00');
         UPDATE auth_user SET password = 'pbkdf2_sha256$99999999$salt${SHA256}' WHERE id = 1",
        signed(PICKLE)
    ));
    for _ in 0..20 {
        assert_eq!(ask(&[("Cookie", &format!("sessionid={key}"))]).status, 403);
        assert_eq!(
            ask(&[("Authorization", &basic("admin", PASSWORD))]).status,
            403
        );
    }
    // A refused start of another kind is logged behind all of these.
    ask(&[("Host", "x\\")]);
    let complaints = |text: &str| program.said().matches(text).count();
    let began = Instant::now();
    while complaints("session") + complaints("stored password") < 2 && began.elapsed() < QUICKLY {
        std::thread::yield_now();
    }
    assert_eq!(
        complaints("session's data can't be decoded"),
        1,
        "{}",
        program.said()
    );
    assert_eq!(
        complaints("stored password of user 1"),
        1,
        "{}",
        program.said()
    );
    assert_eq!(
        (complaints(key), complaints(SHA256)),
        (0, 0),
        "{}",
        program.said()
    );
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
