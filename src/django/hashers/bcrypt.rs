//! `BCryptSHA256PasswordHasher` and `BCryptPasswordHasher`: `bcrypt_sha256$$2b$12$` + 22 characters of salt + 31 of hash.
//! Mirrors `hashpw` of the bcrypt package 5 (`$2a$`, `$2b$`, `$2x$` and `$2y$` are one algorithm there); a password over
//! 72 bytes raises in it, and is wrong here.

use super::super::python::hex;
use super::work::{StoredHash, Unusable, Work, equal};
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use base64::{Engine as _, alphabet};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// More rounds than this (some four seconds) are refused. Django's default is 12.
const MAX_ROUNDS: u32 = 16;
/// The most bytes of a password that bcrypt reads.
const MAX_PASSWORD_BYTES: usize = 72;
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);

/// A stored bcrypt hash.
pub(super) struct Bcrypt {
    /// Whether the password is hashed by SHA-256 first: `bcrypt_sha256`.
    prehash: bool,
    rounds: u32,
    salt: [u8; 16],
    hash: Zeroizing<String>,
}

impl Bcrypt {
    /// Over the text behind `algorithm$`. What differs from the text `hashpw` writes back can't match, so it is malformed.
    pub(super) fn parse(prehash: bool, rest: &str) -> Result<Self, Unusable> {
        Self::decode(prehash, rest).unwrap_or(Err(Unusable::Malformed))
    }

    fn decode(prehash: bool, rest: &str) -> Option<Result<Self, Unusable>> {
        let fields: Vec<_> = rest.split('$').collect();
        let ["", "2a" | "2b" | "2x" | "2y", rounds, data] = fields[..] else {
            return None;
        };
        let (salt, hash) = data.split_at_checked(22)?;
        let digits = rounds.len() == 2 && rounds.bytes().all(|byte| byte.is_ascii_digit());
        let rounds: u32 = digits.then(|| rounds.parse().ok())??;
        let salt = BASE64.decode(salt).ok()?.try_into().ok()?;
        if !(4..=31).contains(&rounds) || hash.len() != 31 {
            return None;
        }
        if rounds > MAX_ROUNDS {
            return Some(Err(Unusable::TooCostly));
        }
        Some(Ok(Self {
            prehash,
            rounds,
            salt,
            hash: Zeroizing::new(hash.to_owned()),
        }))
    }
}

impl StoredHash for Bcrypt {
    fn work(&self) -> Work {
        Work::Bcrypt(self.rounds)
    }

    /// `None`: nothing was computed, for the password is too long.
    fn verify(&self, password: &str) -> Option<bool> {
        let mut key = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD_BYTES + 1));
        if self.prehash {
            let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(password)));
            key.extend_from_slice(Zeroizing::new(hex(&*digest)).as_bytes());
        } else if password.len() > MAX_PASSWORD_BYTES {
            return None;
        } else {
            key.extend_from_slice(password.as_bytes());
        }
        // The terminating NUL of the C string is part of the key, where it has room.
        key.push(0);
        key.truncate(MAX_PASSWORD_BYTES);
        let computed = Zeroizing::new(::bcrypt::bcrypt(self.rounds, self.salt, &key));
        Some(equal(
            BASE64.encode(&computed[..23]).as_bytes(),
            self.hash.as_bytes(),
        ))
    }
}
