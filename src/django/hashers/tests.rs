//! Passwords against hashes a live Django made (tests/vectors/auth.json), and what verifying costs.

use super::*;

const HASHING: Hashing = Hashing {
    pbkdf2_iterations: 10,
};
/// Django's hash of `secret` with two iterations.
const TWO_ITERATIONS: &str = "pbkdf2_sha256$2$salt$+S9F+d9MKuq64e08Fve2RmDB+ON3+ptGmbI8LDop9Wk=";

fn verify(encoded: &str, password: &str) -> Verification {
    EncodedPassword::parse(encoded).verify(password, &HASHING)
}

#[test]
fn hashes_are_verified_as_django_verifies_them() {
    let file = include_str!("../../../tests/vectors/auth.json");
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
        (
            "pbkdf2_sha256$99999999999999999999999$salt$x",
            Unusable::TooCostly,
        ),
        ("pbkdf2_sha1$4294967297$salt$x", Unusable::TooCostly),
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
    ];
    for (encoded, reason) in cases {
        let parsed = EncodedPassword::parse(encoded);
        assert_eq!(parsed.unusable(), Some(reason), "{encoded}");
        let one_dummy_hash = Verification {
            correct: false,
            work: Work::Pbkdf2Sha256(10),
        };
        assert_eq!(
            parsed.verify("secret", &HASHING),
            one_dummy_hash,
            "{encoded}"
        );
    }
    assert_eq!(EncodedPassword::parse(TWO_ITERATIONS).unusable(), None);
}

#[test]
fn a_wrong_password_costs_what_an_unknown_user_costs() {
    assert_eq!(
        verify_unknown_user("wrong", &HASHING),
        Verification {
            correct: false,
            work: Work::Pbkdf2Sha256(10)
        }
    );
    assert_eq!(
        verify(TWO_ITERATIONS, "wrong"),
        Verification {
            correct: false,
            work: Work::Pbkdf2Sha256(10)
        }
    );
    assert_eq!(
        verify(TWO_ITERATIONS, "secret"),
        Verification {
            correct: true,
            work: Work::Pbkdf2Sha256(2)
        }
    );
    let costly = TWO_ITERATIONS.replace("$2$", "$50$");
    assert_eq!(
        verify(&costly, "secret"),
        Verification {
            correct: false,
            work: Work::Pbkdf2Sha256(50)
        }
    );
}

#[test]
fn another_algorithm_than_the_default_is_not_hardened_as_in_django() {
    assert_eq!(
        verify("pbkdf2_sha1$2$salt$x", "wrong"),
        Verification {
            correct: false,
            work: Work::Pbkdf2Sha1(2)
        }
    );
}

#[test]
fn what_can_not_be_computed_costs_what_an_unknown_user_costs() {
    let bcrypt = "bcrypt$$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    assert_eq!(verify(bcrypt, "short").work, Work::Bcrypt(4));
    let too_long = "x".repeat(73);
    assert_eq!(
        verify(bcrypt, &too_long),
        verify_unknown_user("x", &HASHING)
    );
}
