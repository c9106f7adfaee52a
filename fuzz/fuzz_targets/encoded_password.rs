//! The password column, as `django::hashers` parses it. What is cheap is verified too, and must have cost what the text
//! says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchtower_sidecar_fuzz::django::hashers::{
    EncodedPassword, Unusable, Verification, Work, verify,
};

const ITERATIONS: u32 = 3;

/// The cost written in the text, read without the parser under test; `None` where it can't be read.
fn written_cost(encoded: &str) -> Option<Work> {
    let text = match encoded.split_once('\0') {
        // A C string ends there.
        Some((text, _)) if encoded.starts_with("argon2$") => text,
        _ => encoded,
    };
    let fields: Vec<&str> = text.split('$').collect();
    Some(match fields[..] {
        ["pbkdf2_sha256", iterations, ..] => Work::Pbkdf2Sha256(iterations.parse().ok()?),
        ["pbkdf2_sha1", iterations, ..] => Work::Pbkdf2Sha1(iterations.parse().ok()?),
        ["bcrypt" | "bcrypt_sha256", "", _, rounds, _] => Work::Bcrypt(rounds.parse().ok()?),
        ["scrypt", n, _, r, p, _] => {
            Work::Scrypt(n.parse().ok()?, r.parse().ok()?, p.parse().ok()?)
        }
        ["argon2", .., costs, _, _] => {
            let mut numbers = costs.split(',').map(|cost| cost.get(2..)?.parse().ok());
            Work::Argon2(numbers.next()??, numbers.next()??, numbers.next()??)
        }
        _ => return None,
    })
}

/// The work in units of about a microsecond, and the most that is accepted of it.
fn microseconds(work: Work) -> u64 {
    match work {
        Work::Pbkdf2Sha256(iterations) | Work::Pbkdf2Sha1(iterations) => {
            assert!(iterations <= 10_000_000);
            u64::from(iterations)
        }
        Work::Argon2(memory, passes, _) => {
            let kib = u64::from(memory) * u64::from(passes);
            assert!(memory <= 1 << 20 && kib <= 1 << 22);
            kib
        }
        Work::Bcrypt(rounds) => {
            assert!((4..=16).contains(&rounds));
            60 << rounds
        }
        Work::Scrypt(n, r, p) => {
            let blocks = n * u64::from(r) * u64::from(p);
            assert!(blocks <= 1 << 23 && (n + u64::from(p)) * u64::from(r) * 128 <= 1 << 25);
            blocks
        }
    }
}

fuzz_target!(|encoded: &str| {
    let stored = EncodedPassword::parse(encoded);
    let hashed_for_nobody = Work::Pbkdf2Sha256(ITERATIONS);
    if let Err(reason) = stored {
        let expected = Verification {
            correct: false,
            work: hashed_for_nobody,
        };
        assert_eq!(verify(&stored, "secret", ITERATIONS), expected);
        assert_eq!(encoded.starts_with('!'), reason == Unusable::NoPassword);
        return;
    }
    let cost = written_cost(encoded).expect("a cost in a text that can be used");
    if microseconds(cost) > 2_000 {
        return;
    }
    let [right, wrong] =
        ["secret", "secretx"].map(|password| verify(&stored, password, ITERATIONS));
    assert!(!wrong.correct, "two passwords of one hash");
    for verification in [right, wrong] {
        let expected = match cost {
            // The extra work of a wrong password, up to the default.
            Work::Pbkdf2Sha256(iterations) if !verification.correct => {
                Work::Pbkdf2Sha256(iterations.max(ITERATIONS))
            }
            _ => cost,
        };
        assert_eq!(verification.work, expected);
    }
});
