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
use work::StoredHash;
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
pub struct EncodedPassword(Box<dyn StoredHash>);

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
        Ok(Self(match algorithm {
            "pbkdf2_sha256" => Box::new(Pbkdf2::parse(Digest::Sha256, rest)?),
            "pbkdf2_sha1" => Box::new(Pbkdf2::parse(Digest::Sha1, rest)?),
            "argon2" => Box::new(Argon2::parse(rest)?),
            "bcrypt_sha256" => Box::new(Bcrypt::parse(true, rest)?),
            "bcrypt" => Box::new(Bcrypt::parse(false, rest)?),
            "scrypt" => Box::new(Scrypt::parse(rest)?),
            _ => return Err(Unusable::UnknownAlgorithm),
        }))
    }

    /// The work of verifying the right password.
    pub fn work(&self) -> Work {
        self.0.work()
    }
}

/// `verify_password`, under the project's `PBKDF2PasswordHasher.iterations`. Costs the same as Django's, also for a wrong
/// password and an unusable hash: tens to hundreds of milliseconds of processor time, so never on a thread of the server.
/// What can't be compared costs one default hash, as a user who does not exist (`ModelBackend.authenticate`).
pub fn verify(
    encoded: &Result<EncodedPassword, Unusable>,
    password: &str,
    default_iterations: u32,
) -> Verification {
    // As long as Django's random salts. The result is not used.
    const SALT: &[u8; 22] = b"watchtowerwatchtowerwa";
    let compared = match encoded {
        Ok(EncodedPassword(stored)) => stored.verify(password).map(|correct| (stored, correct)),
        Err(_) => None,
    };
    let (correct, work) = match compared {
        Some((stored, true)) => (true, stored.work()),
        Some((stored, false)) => (false, stored.harden_runtime(password, default_iterations)),
        None => {
            let iterations = default_iterations.max(1);
            black_box(Digest::Sha256.derive(black_box(password.as_bytes()), SALT, iterations));
            (false, Work::Pbkdf2Sha256(iterations))
        }
    };
    Verification { correct, work }
}
