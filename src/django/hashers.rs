//! Passwords against the texts Django stores: `EncodedPassword::parse`, then `verify`.
//! Mirrors `contrib.auth.hashers` (`verify_password`, `identify_hasher` and the hashers) of Django 4.0 to 6.1 with its
//! default `PASSWORD_HASHERS` and bcrypt. Leaves out encoding new passwords and hash upgrades (the sidecar never writes
//! passwords), and md5, sha1 and crypt, which no default setting has had since 4.0.
//! Where Django raises (an HTML 500), and where a hash costs more than the limits of its module, every password is wrong here.

mod argon2;
mod bcrypt;
mod pbkdf2;
mod scrypt;
mod work;

use argon2::Argon2;
use bcrypt::Bcrypt;
use pbkdf2::{Digest, Pbkdf2};
use scrypt::Scrypt;
use std::hint::black_box;
pub use work::{Unusable, Work};

/// The project's default hasher, Django's `PBKDF2PasswordHasher`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hashing {
    /// `PBKDF2PasswordHasher.iterations`: 1,000,000 in Django 5.2; other versions differ.
    pub pbkdf2_iterations: u32,
}

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verification {
    /// Whether the password is the user's.
    pub correct: bool,
    /// The work that the comparison took.
    pub work: Work,
}

/// A user's password column, parsed. No `Debug`: it is a hash.
pub enum EncodedPassword {
    /// `pbkdf2_sha256`, `pbkdf2_sha1`
    Pbkdf2(Pbkdf2),
    /// `argon2`: argon2id, argon2i and argon2d
    Argon2(Argon2),
    /// `bcrypt_sha256`, `bcrypt`
    Bcrypt(Bcrypt),
    /// `scrypt`
    Scrypt(Scrypt),
    /// A text that no password matches.
    Unusable(Unusable),
}

impl EncodedPassword {
    /// Parses the password column. Never fails: what cannot be used is [`EncodedPassword::Unusable`].
    pub fn parse(encoded: &str) -> Self {
        if encoded.starts_with('!') {
            return Self::Unusable(Unusable::NoPassword);
        }
        let (algorithm, rest) = encoded.split_once('$').unwrap_or((encoded, ""));
        let parsed = match algorithm {
            "pbkdf2_sha256" => Pbkdf2::parse(Digest::Sha256, rest).map(Self::Pbkdf2),
            "pbkdf2_sha1" => Pbkdf2::parse(Digest::Sha1, rest).map(Self::Pbkdf2),
            "argon2" => Argon2::parse(rest).map(Self::Argon2),
            "bcrypt_sha256" => Bcrypt::parse(true, rest).map(Self::Bcrypt),
            "bcrypt" => Bcrypt::parse(false, rest).map(Self::Bcrypt),
            "scrypt" => Scrypt::parse(rest).map(Self::Scrypt),
            _ => Err(Unusable::UnknownAlgorithm),
        };
        parsed.unwrap_or_else(Self::Unusable)
    }

    /// `verify_password`. Costs the same as Django's, also for a wrong password and an unusable hash: tens to hundreds of
    /// milliseconds of processor time, so never on a thread of the server.
    pub fn verify(&self, password: &str, hashing: &Hashing) -> Verification {
        let (correct, work) = match self {
            Self::Pbkdf2(stored) => {
                let correct = stored.verify(password);
                let extra = match correct {
                    true => 0,
                    false => harden_runtime(stored, password, hashing),
                };
                (Some(correct), stored.work(extra))
            }
            Self::Argon2(stored) => (stored.verify(password), stored.work()),
            Self::Bcrypt(stored) => (stored.verify(password), stored.work()),
            Self::Scrypt(stored) => (Some(stored.verify(password)), stored.work()),
            Self::Unusable(_) => return verify_unknown_user(password, hashing),
        };
        match correct {
            Some(correct) => Verification { correct, work },
            None => verify_unknown_user(password, hashing),
        }
    }

    /// The work of verifying the right password; `None` where no password matches.
    pub fn work(&self) -> Option<Work> {
        match self {
            Self::Pbkdf2(stored) => Some(stored.work(0)),
            Self::Argon2(stored) => Some(stored.work()),
            Self::Bcrypt(stored) => Some(stored.work()),
            Self::Scrypt(stored) => Some(stored.work()),
            Self::Unusable(_) => None,
        }
    }

    /// Why no password matches, if so.
    pub fn unusable(&self) -> Option<Unusable> {
        match self {
            Self::Unusable(reason) => Some(*reason),
            _ => None,
        }
    }
}

/// `PBKDF2PasswordHasher.harden_runtime`: after a wrong password, the iterations that are missing to the cost of an unknown
/// user. Only for the default algorithm, as in Django (`verify_password` asks `not hasher_changed`). Returns their number.
fn harden_runtime(stored: &Pbkdf2, password: &str, hashing: &Hashing) -> u32 {
    if stored.digest() != Digest::Sha256 {
        return 0;
    }
    let extra = hashing
        .pbkdf2_iterations
        .saturating_sub(stored.iterations());
    if extra > 0 {
        let (password, salt) = (password.as_bytes(), stored.salt().as_bytes());
        black_box(stored.digest().derive(password, salt, extra));
    }
    extra
}

/// The work for a user who does not exist (`ModelBackend.authenticate`) or has no usable password: one default hash.
pub fn verify_unknown_user(password: &str, hashing: &Hashing) -> Verification {
    // As long as Django's random salts. The result is not used.
    const SALT: &[u8; 22] = b"watchtowerwatchtowerwa";
    let iterations = hashing.pbkdf2_iterations.max(1);
    black_box(Digest::Sha256.derive(black_box(password.as_bytes()), SALT, iterations));
    Verification {
        correct: false,
        work: Work::Pbkdf2Sha256(iterations),
    }
}

#[cfg(test)]
mod tests;
