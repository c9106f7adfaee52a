//! How many passwords are stored by which hasher, which users no password admits, and whether dates fit the time zone.

use super::findings::*;
use crate::db::inspection::passwords::StoredPasswords;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::Clock;
use crate::django::hashers::{Unusable, Work};

/// How many seconds after now a date may be because clocks differ.
const SOON: i64 = 300;

/// Checks all stored passwords in one pass, then the dates.
pub(super) fn check(examined: &mut Examined, table: &UserTable) {
    let (settings, findings) = (&examined.config.django, examined.findings);
    let passwords = examined.inspector.passwords(table);
    if let Some(passwords) = findings.answer("stored passwords", passwords) {
        hashers(&passwords, findings);
        unusable(&passwords, findings);
        iterations(settings.pbkdf2_iterations, &passwords, findings);
    }
    // A date in the future was stored in another time zone than the configured one.
    let clock = Clock::new(settings.use_tz, &settings.time_zone);
    let future = examined.inspector.joined_after(table, clock.now_plus(SOON));
    let count = findings.answer("dates of joining", future).unwrap_or(0);
    if count > 0 {
        findings.warning(
            "settings.time-zone",
            &format!(
                "{count} users joined in the future: DJANGO_USE_TZ or DJANGO_TIME_ZONE may not be Django's, and then \
                 sessions end at the wrong time"
            ),
            "compare DJANGO_USE_TZ and DJANGO_TIME_ZONE with USE_TZ and TIME_ZONE",
        );
    }
}

fn hashers(passwords: &StoredPasswords, findings: &Findings) {
    let used = passwords.usable.iter();
    let used = used.map(|(work, (users, _))| format!("{} {users}", name(*work)));
    let without = passwords.unusable.get(&Unusable::NoPassword);
    let without = without.map(|(users, _)| format!("without a password {users}"));
    let kinds: Vec<String> = used.chain(without).collect();
    let text = match kinds.is_empty() {
        true => "no user has a usable password".to_owned(),
        false => format!("users by hasher: {}", kinds.join("; ")),
    };
    findings.ok("passwords.hashers", &text);
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
            "are malformed hashes, over which Django answers 500",
            "set new passwords: manage.py changepassword NAME",
        ),
    ] {
        let Some((users, staff)) = passwords.unusable.get(&reason) else {
            continue;
        };
        let text = format!(
            "the passwords of {} (of these {staff} active staff) {what}: by HTTP Basic and login they are refused \
             here; their sessions are good",
            many(*users, "user")
        );
        // Only staff are ever admitted.
        let level = if *staff == 0 {
            Level::Warning
        } else {
            Level::Error
        };
        findings.add(level, id, &text, advice);
    }
}

fn iterations(configured: u32, passwords: &StoredPasswords, findings: &Findings) {
    let pbkdf2 = passwords.usable.keys().filter_map(|work| match work {
        Work::Pbkdf2Sha256(iterations) => Some(*iterations),
        _ => None,
    });
    let Some(most) = pbkdf2.max() else {
        return;
    };
    const ID: &str = "passwords.iterations";
    if most == configured {
        findings.ok(ID, &format!("the newest hashes have {most}, as configured"));
        return;
    }
    findings.warning(
        ID,
        &format!(
            "the costliest pbkdf2_sha256 hash has {most} iterations, DJANGO_PBKDF2_ITERATIONS is {configured}: a \
             stranger may tell by the time of a refusal whether a name exists"
        ),
        &format!("set DJANGO_PBKDF2_ITERATIONS={most}, unless Django has just been updated to {configured}"),
    );
}
