//! `ScryptPasswordHasher`: `scrypt$N$salt$r$p$base64`, the salt second and r before p.
//! Mirrors `hashlib.scrypt(..., maxmem=0)`, whose OpenSSL refuses more than 32 MiB.

use super::work::{StoredHash, Unusable, Work, canonical_number, equal};
use ::scrypt::Params;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// OpenSSL's `SCRYPT_MAX_MEM`.
const MAX_MEMORY_BYTES: u128 = 32 * 1024 * 1024;
/// A larger N·r·p than this (some seconds) is refused. Django's default is 5 · 2^17.
const MAX_WORK: u128 = 1 << 23;

/// A stored scrypt hash.
pub(super) struct Scrypt {
    params: Params,
    salt: String,
    hash: Zeroizing<String>,
}

impl Scrypt {
    /// `decode`, over the text behind `scrypt$`.
    pub(super) fn parse(rest: &str) -> Result<Self, Unusable> {
        let fields: Vec<_> = rest.split('$').collect();
        let [n, salt, r, p, hash] = fields[..] else {
            return Err(Unusable::Malformed);
        };
        let number = |text| canonical_number(text).ok_or(Unusable::Malformed);
        let (n, r, p) = (number(n)?, number(r)?, number(p)?);
        if salt.is_empty() || n < 2 || !n.is_power_of_two() {
            return Err(Unusable::Malformed);
        }
        let [wide_n, wide_r, wide_p] = [n, r, p].map(u128::from);
        // `EVP_PBE_scrypt`: the blocks, and N + 2 of them to mix with.
        if 128 * wide_r * (wide_p + wide_n + 2) > MAX_MEMORY_BYTES {
            return Err(Unusable::Malformed);
        }
        if wide_n * wide_r * wide_p > MAX_WORK {
            return Err(Unusable::TooCostly);
        }
        // Refuses N from 2^(16 r) on, as OpenSSL does. It multiplies the numbers without a check, so they are limited before.
        let params =
            Params::new(n.trailing_zeros() as u8, r, p).map_err(|_| Unusable::Malformed)?;
        Ok(Self {
            params,
            salt: salt.to_owned(),
            hash: Zeroizing::new(hash.to_owned()),
        })
    }
}

impl StoredHash for Scrypt {
    fn work(&self) -> Work {
        let params = &self.params;
        Work::Scrypt(1 << params.log_n(), params.r(), params.p())
    }

    fn verify(&self, password: &str) -> Option<bool> {
        let mut computed = Zeroizing::new([0; 64]);
        let done = ::scrypt::scrypt(
            password.as_bytes(),
            self.salt.as_bytes(),
            &self.params,
            &mut *computed,
        );
        done.is_ok()
            .then(|| equal(STANDARD.encode(*computed).as_bytes(), self.hash.as_bytes()))
    }
}
