//! `Argon2PasswordHasher`: `argon2` and then libargon2's own text, `$argon2id$v=19$m=102400,t=2,p=8$salt$hash`.
//! Mirrors `decode_string` of libargon2 (through argon2-cffi), which refuses any other spelling. Leaves out versions
//! other than 16 and 19, which libargon2 computes but nothing writes.

use super::work::{StoredHash, Unusable, Work, canonical_number, equal};
use ::argon2::{Algorithm, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// More memory than this is refused: 1 GiB. Django's default is 100 MiB.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;
/// More KiB written, passes times memory, than this (some seconds) are refused. Django's default is 200 MiB.
const MAX_WORK_KIB: u64 = 4 * 1024 * 1024;

/// A stored Argon2 hash.
pub(super) struct Argon2 {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    hash: Zeroizing<Vec<u8>>,
}

impl Argon2 {
    /// `decode_string`, over the text behind `argon2$`.
    pub(super) fn parse(rest: &str) -> Result<Self, Unusable> {
        Self::decode(rest).unwrap_or(Err(Unusable::Malformed))
    }

    /// `None`: malformed.
    fn decode(rest: &str) -> Option<Result<Self, Unusable>> {
        // A C string ends at NUL; a non-ASCII character anywhere raises before that.
        let rest = rest.is_ascii().then(|| rest.split('\0').next())??;
        let fields: Vec<_> = rest.split('$').collect();
        let (variety, version, costs, salt, hash) = match fields[..] {
            [variety, costs, salt, hash] => (variety, "v=16", costs, salt, hash),
            [variety, version, costs, salt, hash] => (variety, version, costs, salt, hash),
            _ => return None,
        };
        let algorithm = match variety {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return None,
        };
        let version = match version {
            "v=16" => Version::V0x10,
            "v=19" => Version::V0x13,
            _ => return None,
        };
        let costs: Vec<_> = costs.split(',').collect();
        let [memory, passes, lanes] = costs[..] else {
            return None;
        };
        let memory = canonical_number(memory.strip_prefix("m=")?)?;
        let passes = canonical_number(passes.strip_prefix("t=")?)?;
        let lanes = canonical_number(lanes.strip_prefix("p=")?)?;
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let hash = Zeroizing::new(STANDARD_NO_PAD.decode(hash).ok()?);
        if salt.len() < 8 {
            return None;
        }
        if u64::from(memory) > MAX_MEMORY_KIB
            || u64::from(memory) * u64::from(passes) > MAX_WORK_KIB
        {
            return Some(Err(Unusable::TooCostly));
        }
        // Refuses what `validate_inputs` does: no pass, no lane, under 8 KiB per lane, a hash under 4 bytes.
        let params = Params::new(memory, passes, lanes, Some(hash.len())).ok()?;
        Some(Ok(Self {
            algorithm,
            version,
            params,
            salt,
            hash,
        }))
    }
}

impl StoredHash for Argon2 {
    fn work(&self) -> Work {
        let params = &self.params;
        Work::Argon2(params.m_cost(), params.t_cost(), params.p_cost())
    }

    /// `None`: nothing was computed, for lack of memory. Django too takes that for a wrong password.
    fn verify(&self, password: &str) -> Option<bool> {
        let mut computed = Zeroizing::new(vec![0; self.hash.len()]);
        let hasher = ::argon2::Argon2::new(self.algorithm, self.version, self.params.clone());
        let done = hasher.hash_password_into(password.as_bytes(), &self.salt, &mut computed);
        done.is_ok().then(|| equal(&computed, &self.hash))
    }
}
