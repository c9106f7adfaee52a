//! How many passwords are stored by which hasher, which users no password admits, and whether dates fit the time zone.

use super::findings::*;
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::passwords::StoredPasswords;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::hashers::{Unusable, Work};

/// How many seconds after now a date may be because clocks differ.
const SOON: i64 = 300;

/// Checks all stored passwords in one pass, then the dates.
pub(super) fn check(
    config: &Config,
    inspector: &mut Inspector,
    table: &UserTable,
    findings: &Findings,
) {
    if let Some(passwords) = findings.answer("stored passwords", inspector.passwords(table)) {
        hashers(&passwords, findings);
        unusable(&passwords, findings);
        iterations(config, &passwords, findings);
    }
    time_zone(config, inspector, table, findings);
}

fn hashers(passwords: &StoredPasswords, findings: &Findings) {
    let used = passwords.usable.iter();
    let mut kinds: Vec<String> = used
        .map(|(work, (users, _))| format!("{} {users}", name(*work)))
        .collect();
    if let Some((users, _)) = passwords.unusable.get(&Unusable::NoPassword) {
        kinds.push(format!("without a password {users}"));
    }
    let text = match kinds.is_empty() {
        true => "no user has a usable password".to_owned(),
        false => format!("users by hasher: {}", kinds.join("; ")),
    };
    findings.ok(&HASHERS, text);
}

/// A hasher and its cost in words.
pub(super) fn name(work: Work) -> String {
    match work {
        Work::Pbkdf2Sha256(iterations) => format!("pbkdf2_sha256 with {iterations} iterations"),
        Work::Pbkdf2Sha1(iterations) => format!("pbkdf2_sha1 with {iterations} iterations"),
        Work::Argon2(memory, passes, lanes) => {
            format!("argon2 with {memory} KiB, {passes} passes and {lanes} lanes")
        }
        Work::Bcrypt(rounds) => format!("bcrypt with 2^{rounds} rounds"),
        Work::Scrypt(n, r, p) => format!("scrypt with n={n}, r={r}, p={p}"),
    }
}

fn unusable(passwords: &StoredPasswords, findings: &Findings) {
    for (reason, kind, what) in [
        (
            Unusable::TooCostly,
            TOO_COSTLY,
            "cost more to check than the sidecar's limits allow",
        ),
        (
            Unusable::UnknownAlgorithm,
            UNKNOWN_HASHER,
            "are hashed by an algorithm outside Django's defaults and bcrypt, or are no hash at all",
        ),
        (
            Unusable::Malformed,
            MALFORMED,
            "are malformed hashes, over which Django answers 500",
        ),
    ] {
        let Some((users, staff)) = passwords.unusable.get(&reason) else {
            continue;
        };
        let text = format!(
            "the passwords of {} (of these {} active staff) {what}: by HTTP Basic and login they are refused here; \
             their sessions are good",
            many(*users, "user"),
            staff
        );
        // Only staff are ever admitted.
        match staff {
            0 => findings.warning(&kind, text),
            _ => findings.error(&kind, text),
        }
    }
}

fn iterations(config: &Config, passwords: &StoredPasswords, findings: &Findings) {
    let configured = config.django.pbkdf2_iterations;
    let pbkdf2 = passwords.usable.keys().filter_map(|work| match work {
        Work::Pbkdf2Sha256(iterations) => Some(*iterations),
        _ => None,
    });
    match pbkdf2.max() {
        None => {}
        Some(most) if most == configured => findings.ok(&ITERATIONS, format!("the newest hashes have {most}, as configured")),
        Some(most) => findings.warning(
            &ITERATIONS.advising(format!(
                "set DJANGO_PBKDF2_ITERATIONS={most}, unless Django has just been updated to {configured}"
            )),
            format!(
                "the costliest pbkdf2_sha256 hash has {most} iterations, DJANGO_PBKDF2_ITERATIONS is {configured}: a \
                 stranger may tell by the time of a refusal whether a name exists"
            ),
        ),
    }
}

/// Reports users who joined in the future: their dates were stored in another time zone than the configured one.
fn time_zone(config: &Config, inspector: &mut Inspector, table: &UserTable, findings: &Findings) {
    let settings = &config.django;
    let clock = Clock::new(settings.use_tz, &settings.time_zone);
    let future = inspector.joined_after(table, clock.now_plus(SOON));
    match findings.answer("dates of joining", future) {
        Some(0) | None => {}
        Some(count) => findings.warning(
            &TIME_ZONE,
            format!(
                "{count} users joined in the future: DJANGO_USE_TZ or DJANGO_TIME_ZONE may not be Django's, and then \
                 sessions end at the wrong time"
            ),
        ),
    }
}
