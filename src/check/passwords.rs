//! How passwords are stored, in numbers; whom no password admits; and whether dates fit the time zone.

use super::{Findings, many};
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;
use crate::db::inspection::passwords::Passwords;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::hashers::{Unusable, Work};

/// Later than now by more seconds than clocks may differ.
const SOON: i64 = 300;

/// Reads all of them once.
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

fn hashers(passwords: &Passwords, findings: &Findings) {
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
    findings.ok("passwords.hashers", text);
}

/// A hasher and its cost, as people call them.
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

fn unusable(passwords: &Passwords, findings: &Findings) {
    for (reason, id, what, advice) in [
        (
            Unusable::TooCostly,
            "passwords.too-costly",
            "cost more to check than the sidecar's limits allow",
            "let Django hash them at a lower cost (PASSWORD_HASHERS), and these users log in to Django once",
        ),
        (
            Unusable::UnknownAlgorithm,
            "passwords.unknown-hasher",
            "are hashed by an algorithm outside Django's defaults and bcrypt, or are no hash at all",
            "let these users log in once to a Django that prefers one of its default hashers, which re-hashes them",
        ),
        (
            Unusable::Malformed,
            "passwords.malformed",
            "are hashes in a form that Django trips over",
            "set new passwords: manage.py changepassword NAME",
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
        // Nobody but staff is ever admitted.
        match staff {
            0 => findings.warning(id, text, advice),
            _ => findings.error(id, text, advice),
        }
    }
}

fn iterations(config: &Config, passwords: &Passwords, findings: &Findings) {
    const ID: &str = "passwords.iterations";
    let configured = config.django.hashing.pbkdf2_iterations;
    let pbkdf2 = passwords.usable.keys().filter_map(|work| match work {
        Work::Pbkdf2Sha256(iterations) => Some(*iterations),
        _ => None,
    });
    match pbkdf2.max() {
        None => {}
        Some(most) if most == configured => findings.ok(ID, format!("the newest hashes have {most}, as configured")),
        Some(most) => findings.warning(
            ID,
            format!(
                "the costliest pbkdf2_sha256 hash has {most} iterations, DJANGO_PBKDF2_ITERATIONS is {configured}: a \
                 stranger may tell by the time of a refusal whether a name exists"
            ),
            format!("set DJANGO_PBKDF2_ITERATIONS={most}, unless Django has just been updated to {configured}"),
        ),
    }
}

/// Dates stored without a zone tell whether they are in the one that is configured.
fn time_zone(config: &Config, inspector: &mut Inspector, table: &UserTable, findings: &Findings) {
    let settings = &config.django;
    let Ok(clock) = Clock::new(settings.use_tz, &settings.time_zone) else {
        return;
    };
    let future = inspector.joined_after(table, clock.now_plus(SOON));
    match findings.answer("dates of joining", future) {
        Some(0) | None => {}
        Some(count) => findings.warning(
            "settings.time-zone",
            format!(
                "{count} users joined in the future: DJANGO_USE_TZ or DJANGO_TIME_ZONE may not be Django's, and then \
                 sessions end at the wrong time"
            ),
            "compare DJANGO_USE_TZ and DJANGO_TIME_ZONE with USE_TZ and TIME_ZONE",
        ),
    }
}
