//! Passwords against hashes a live Django made (tests/vectors/auth.json), and what verifying costs.

use watchtower_sidecar::django::hashers::{self, EncodedPassword, Unusable, Verification, Work};

const ITERATIONS: u32 = 10;
/// Django's hash of `secret` with two iterations.
const TWO_ITERATIONS: &str = "pbkdf2_sha256$2$salt$+S9F+d9MKuq64e08Fve2RmDB+ON3+ptGmbI8LDop9Wk=";

fn verify(encoded: &str, password: &str) -> Verification {
    hashers::verify(&EncodedPassword::parse(encoded), password, ITERATIONS)
}

#[test]
fn hashes_are_verified_as_django_verifies_them() {
    let file = include_str!("../../vectors/auth.json");
    let vectors: serde_json::Value = serde_json::from_str(file).expect("the vectors are JSON");
    let cases = vectors["passwords"].as_array().expect("a list");
    assert!(cases.len() > 35);
    for case in cases {
        let [encoded, password] =
            ["encoded", "password"].map(|name| case[name].as_str().expect("a string"));
        let correct = case["verdict"] == "correct";
        assert_eq!(verify(encoded, password).correct, correct, "{case}");
        if correct {
            assert!(!verify(encoded, &format!("{password}x")).correct, "{case}");
        }
    }
}

#[test]
fn what_can_not_be_used_says_why() {
    let cases = [
        ("!", Unusable::NoPassword),
        ("!pbkdf2_sha256$2$salt$x", Unusable::NoPassword),
        ("", Unusable::UnknownAlgorithm),
        ("plain", Unusable::UnknownAlgorithm),
        (
            "5f4dcc3b5aa765d61d8327deb882cf99",
            Unusable::UnknownAlgorithm,
        ),
        (
            "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
            Unusable::UnknownAlgorithm,
        ),
        ("PBKDF2_SHA256$2$salt$x", Unusable::UnknownAlgorithm),
        (" pbkdf2_sha256$2$salt$x", Unusable::UnknownAlgorithm),
        ("pbkdf2_sha256", Unusable::Malformed),
        ("pbkdf2_sha256$0$salt$x", Unusable::Malformed),
        ("pbkdf2_sha256$-1$salt$x", Unusable::Malformed),
        ("pbkdf2_sha256$2$$x", Unusable::Malformed),
        ("bcrypt$$2b$12$short", Unusable::Malformed),
        ("argon2$argon2id$v=19$m=1", Unusable::Malformed),
        ("scrypt$15$salt$8$1$x", Unusable::Malformed),
        ("scrypt$32768$salt$8$1$x", Unusable::Malformed),
        ("pbkdf2_sha256$10000001$salt$x", Unusable::TooCostly),
        ("pbkdf2_sha1$4294967295$salt$x", Unusable::TooCostly),
        ("pbkdf2_sha1$4294967296$salt$x", Unusable::Malformed),
        (
            "bcrypt$$2b$17$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i",
            Unusable::TooCostly,
        ),
        (
            "argon2$argon2id$v=19$m=1048577,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAA",
            Unusable::TooCostly,
        ),
        (
            "argon2$argon2id$v=19$m=8,t=4294967295,p=1$c2FsdHNhbHQ$AAAAAAAAAAA",
            Unusable::TooCostly,
        ),
        ("scrypt$16384$salt$8$1000$x", Unusable::TooCostly),
        (
            "scrypt$1073741824$salt$107$1073741824$x",
            Unusable::Malformed,
        ),
    ];
    for (encoded, reason) in cases {
        assert_eq!(
            EncodedPassword::parse(encoded).err(),
            Some(reason),
            "{encoded}"
        );
        let one_dummy_hash = Verification {
            correct: false,
            work: Work::Pbkdf2Sha256(ITERATIONS),
        };
        assert_eq!(verify(encoded, "secret"), one_dummy_hash, "{encoded}");
    }
}

#[test]
fn a_wrong_password_costs_what_an_unknown_user_costs() {
    let unknown = Work::Pbkdf2Sha256(ITERATIONS);
    assert_eq!(verify("!", "wrong").work, unknown);
    let costly = TWO_ITERATIONS.replace("$2$", "$50$");
    for (encoded, password, correct, work) in [
        (TWO_ITERATIONS, "wrong", false, unknown),
        (TWO_ITERATIONS, "secret", true, Work::Pbkdf2Sha256(2)),
        (&costly, "secret", false, Work::Pbkdf2Sha256(50)),
        // Another algorithm than the default is not hardened, as in Django.
        ("pbkdf2_sha1$2$salt$x", "wrong", false, Work::Pbkdf2Sha1(2)),
    ] {
        assert_eq!(verify(encoded, password), Verification { correct, work });
    }
}

#[test]
fn what_can_not_be_computed_costs_what_an_unknown_user_costs() {
    let bcrypt = "bcrypt$$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    assert_eq!(verify(bcrypt, "short").work, Work::Bcrypt(4));
    let too_long = "x".repeat(73);
    assert_eq!(verify(bcrypt, &too_long), verify("!", "x"));
}
