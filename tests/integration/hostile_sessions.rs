//! Session rows made to break the parser, some signed with the site's own key.

use std::io::Write;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use watchtower_sidecar::django::sessions::session_auth_hash;
use watchtower_sidecar::django::signing::{SecretKey, sign};

use crate::app::{App, KEY, insert_session};
use crate::client::{basic, send};
use crate::database::{Database, ENCODED, PASSWORD};
use crate::hostile_rows::{QUICKLY, SHA256};
use crate::program::Program;

const STATS: &str = "/api/admin/export-stats/";

/// The salt of `SessionStore`.
const SALT: &str = "django.contrib.sessions.SessionStore";

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

/// A pickle that ends the process which loads it.
const PICKLE: &[u8] = b"\x80\x04cposix\nsystem\n(S'exit 1'\ntR.";

fn hostile_sessions() -> Vec<(&'static str, String)> {
    const MIB: usize = 1024 * 1024;
    let good = session_of("\"1\"");
    let with = |member: &str| signed(good.replacen('{', &format!("{{{member},"), 1).as_bytes());
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
        (
            "100,000 lists that never close",
            signed("[".repeat(100_000).as_bytes()),
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
    for id in [
        "null",
        "1",
        "1.0",
        "true",
        "\"+1\"",
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
fn a_session_that_would_break_a_parser_is_anonymous() {
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
            // A login with such a cookie starts a new session; a logout ends it.
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
        // However deep, a value that only Django's code reads is carried along.
        let nested = format!("{{\"x\":{}{},", "[".repeat(100_000), "]".repeat(100_000));
        let deep = signed(session_of("\"1\"").replacen('{', &nested, 1).as_bytes());
        database.execute(&format!(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('a-deep-session', '{deep}', '2999-01-01 00:00:00')"
        ));
        let good = insert_session(&database, "good", "1", KEY);
        for key in ["a-deep-session", &good] {
            assert_eq!(app.export_as(key).status, 200, "{key}, {}", database.name());
        }
    }
}

#[test]
fn a_session_row_of_another_type_or_encoding_is_anonymous() {
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
    let ask = |headers: &[(&str, &str)]| send(&program.address, "GET", STATS, headers, "");
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
    let complaints = |text: &str| program.said().matches(text).count();
    let began = Instant::now();
    while complaints("session") + complaints("no password can match") < 2
        && began.elapsed() < QUICKLY
    {
        std::thread::yield_now();
    }
    assert_eq!(
        complaints("session's data can't be decoded"),
        1,
        "{}",
        program.said()
    );
    assert_eq!(
        complaints("no password can match what is stored for user 1"),
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
