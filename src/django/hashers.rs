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
}

impl EncodedPassword {
    /// Parses the password column.
    ///
    /// # Errors
    /// No password matches it.
    pub fn parse(encoded: &str) -> Result<Self, Unusable> {
        if encoded.starts_with('!') {
            return Err(Unusable::NoPassword);
        }
        let (algorithm, rest) = encoded.split_once('$').unwrap_or((encoded, ""));
        match algorithm {
            "pbkdf2_sha256" => Pbkdf2::parse(Digest::Sha256, rest).map(Self::Pbkdf2),
            "pbkdf2_sha1" => Pbkdf2::parse(Digest::Sha1, rest).map(Self::Pbkdf2),
            "argon2" => Argon2::parse(rest).map(Self::Argon2),
            "bcrypt_sha256" => Bcrypt::parse(true, rest).map(Self::Bcrypt),
            "bcrypt" => Bcrypt::parse(false, rest).map(Self::Bcrypt),
            "scrypt" => Scrypt::parse(rest).map(Self::Scrypt),
            _ => Err(Unusable::UnknownAlgorithm),
        }
    }

    /// The work of verifying the right password.
    pub fn work(&self) -> Work {
        match self {
            Self::Pbkdf2(stored) => stored.work(0),
            Self::Argon2(stored) => stored.work(),
            Self::Bcrypt(stored) => stored.work(),
            Self::Scrypt(stored) => stored.work(),
        }
    }
}

/// `verify_password`, under the project's `PBKDF2PasswordHasher.iterations`. Costs the same as Django's, also for a wrong
/// password and an unusable hash: tens to hundreds of milliseconds of processor time, so never on a thread of the server.
pub fn verify(
    encoded: &Result<EncodedPassword, Unusable>,
    password: &str,
    default_iterations: u32,
) -> Verification {
    let Ok(stored) = encoded else {
        return verify_unknown_user(password, default_iterations);
    };
    let mut work = stored.work();
    let correct = match stored {
        EncodedPassword::Pbkdf2(stored) => {
            let correct = stored.verify(password);
            if !correct {
                work = stored.work(stored.harden_runtime(password, default_iterations));
            }
            Some(correct)
        }
        EncodedPassword::Argon2(stored) => stored.verify(password),
        EncodedPassword::Bcrypt(stored) => stored.verify(password),
        EncodedPassword::Scrypt(stored) => Some(stored.verify(password)),
    };
    match correct {
        Some(correct) => Verification { correct, work },
        // Nothing was computed.
        None => verify_unknown_user(password, default_iterations),
    }
}

/// The work for a user who does not exist (`ModelBackend.authenticate`) or has no usable password: one default hash.
pub fn verify_unknown_user(password: &str, default_iterations: u32) -> Verification {
    // As long as Django's random salts. The result is not used.
    const SALT: &[u8; 22] = b"watchtowerwatchtowerwa";
    let iterations = default_iterations.max(1);
    black_box(Digest::Sha256.derive(black_box(password.as_bytes()), SALT, iterations));
    Verification {
        correct: false,
        work: Work::Pbkdf2Sha256(iterations),
    }
}
