//! Prints the milliseconds that one password of Django 5.2's default cost takes to verify, the sidecar's way. Takes no
//! arguments and ignores Cargo's own. `tests/bench/run` runs it in turn with Python's hashlib.

use std::time::Instant;

use watchtower_sidecar::django::hashers::{EncodedPassword, verify};

const PASSWORD: &str = "correct horse battery staple";

/// Made by Django 5.2's own `make_password`, whose default is a million iterations.
const ENCODED: &str =
    "pbkdf2_sha256$1000000$benchmarkbenchmarkbench$ZkakpZN1YyGCy1u/d2U2dCo6YG4GBBhm4b1MCF4q3+c=";

fn main() {
    let start = Instant::now();
    let verification = verify(&EncodedPassword::parse(ENCODED), PASSWORD, 1_000_000);
    let elapsed = start.elapsed();
    assert!(
        verification.correct,
        "ENCODED was not made from the password"
    );
    println!("{:.3}", elapsed.as_secs_f64() * 1e3);
}
