//! `PBKDF2PasswordHasher` and `PBKDF2SHA1PasswordHasher`: `algorithm$iterations$salt$base64`.

use super::work::{StoredHash, Unusable, Work, canonical_number, equal};
use ::pbkdf2::{Algorithm, Params, pbkdf2_hmac, pbkdf2_hmac_with_params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::Sha256;
use std::hint::black_box;
use zeroize::Zeroizing;

/// More iterations than this (some seconds) are refused. Django has no limit.
const MAX_ITERATIONS: u32 = 10_000_000;

/// The hash function below PBKDF2.
#[derive(Clone, Copy)]
pub(super) enum Digest {
    Sha256,
    Sha1,
}

/// A stored PBKDF2 hash.
pub(super) struct Pbkdf2 {
    digest: Digest,
    iterations: u32,
    salt: String,
    hash: Zeroizing<String>,
}

impl Pbkdf2 {
    /// `decode`, over the text behind `algorithm$`.
    pub(super) fn parse(digest: Digest, rest: &str) -> Result<Self, Unusable> {
        let fields: Vec<_> = rest.splitn(3, '$').collect();
        let [iterations, salt, hash] = fields[..] else {
            return Err(Unusable::Malformed);
        };
        let iterations = canonical_number(iterations).ok_or(Unusable::Malformed)?;
        if iterations > MAX_ITERATIONS {
            return Err(Unusable::TooCostly);
        }
        if salt.is_empty() {
            return Err(Unusable::Malformed);
        }
        Ok(Self {
            digest,
            iterations,
            salt: salt.to_owned(),
            hash: Zeroizing::new(hash.to_owned()),
        })
    }

    /// The work of these iterations and `extra` ones.
    fn work_with(&self, extra: u32) -> Work {
        let iterations = self.iterations.saturating_add(extra);
        match self.digest {
            Digest::Sha256 => Work::Pbkdf2Sha256(iterations),
            Digest::Sha1 => Work::Pbkdf2Sha1(iterations),
        }
    }
}

impl StoredHash for Pbkdf2 {
    fn work(&self) -> Work {
        self.work_with(0)
    }

    /// Django compares the whole encoded text. Here the fields before the hash are equal by construction.
    fn verify(&self, password: &str) -> Option<bool> {
        let (password, salt) = (password.as_bytes(), self.salt.as_bytes());
        let derived = self.digest.derive(password, salt, self.iterations);
        Some(equal(
            STANDARD.encode(&*derived).as_bytes(),
            self.hash.as_bytes(),
        ))
    }

    /// The iterations that are missing to the cost of an unknown user. Only for the default algorithm, as in Django
    /// (`verify_password` asks `not hasher_changed`).
    fn harden_runtime(&self, password: &str, default_iterations: u32) -> Work {
        let extra = match self.digest {
            Digest::Sha256 => default_iterations.saturating_sub(self.iterations),
            Digest::Sha1 => 0,
        };
        if extra > 0 {
            let (password, salt) = (password.as_bytes(), self.salt.as_bytes());
            black_box(self.digest.derive(password, salt, extra));
        }
        self.work_with(extra)
    }
}

impl Digest {
    /// `hashlib.pbkdf2_hmac` with the digest's own length: the first block is the whole result. At least one iteration.
    pub(super) fn derive(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
    ) -> Zeroizing<Vec<u8>> {
        let mut derived = Zeroizing::new(match self {
            Digest::Sha256 => vec![0; 32],
            Digest::Sha1 => vec![0; 20],
        });
        match self {
            Digest::Sha256 => match Params::new(iterations) {
                // This function is not generic, so debug builds call the crate's optimized code.
                Ok(params) => pbkdf2_hmac_with_params(
                    password,
                    salt,
                    Algorithm::Pbkdf2Sha256,
                    params,
                    &mut derived,
                ),
                // Fewer iterations than the crate recommends
                Err(_) => pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut derived),
            },
            Digest::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut derived),
        }
        derived
    }
}
