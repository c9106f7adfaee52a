//! `PBKDF2PasswordHasher` and `PBKDF2SHA1PasswordHasher`: `algorithm$iterations$salt$base64`.
//! SHA-256, nearly every login's cost, has a loop of its own over the compression function: a fifth faster than the
//! `pbkdf2` crate's (which serves SHA-1, and proves ours right in the tests), 2.5 times as fast as Python's OpenSSL.

use super::{Unusable, Work, canonical_number, equal};
use ::pbkdf2::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// More iterations than this (some seconds) are refused. Django has no limit.
const MAX_ITERATIONS: u64 = 10_000_000;

/// The hash function below PBKDF2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    Sha256,
    Sha1,
}

/// A stored PBKDF2 hash.
pub struct Pbkdf2 {
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
        let iterations = u32::try_from(iterations).map_err(|_| Unusable::TooCostly)?;
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

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(super) fn salt(&self) -> &str {
        &self.salt
    }

    /// With so many iterations on top.
    pub(super) fn work(&self, extra: u32) -> Work {
        let iterations = self.iterations.saturating_add(extra);
        match self.digest {
            Digest::Sha256 => Work::Pbkdf2Sha256(iterations),
            Digest::Sha1 => Work::Pbkdf2Sha1(iterations),
        }
    }

    /// Django compares the whole encoded text; the fields before the hash are equal by construction.
    pub(super) fn verify(&self, password: &str) -> bool {
        let derived =
            self.digest
                .derive(password.as_bytes(), self.salt.as_bytes(), self.iterations);
        equal(STANDARD.encode(&*derived).as_bytes(), self.hash.as_bytes())
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
        match self {
            Digest::Sha256 => Zeroizing::new(derive_sha256(password, salt, iterations).to_vec()),
            Digest::Sha1 => {
                let mut derived = Zeroizing::new(vec![0; 20]);
                // HMAC takes keys of any length, so there is no error.
                let _ = pbkdf2::<Hmac<Sha1>>(password, salt, iterations, &mut derived);
                derived
            }
        }
    }
}

/// The first 32 bytes of PBKDF2-HMAC-SHA256: two compressions per iteration, over blocks that are padded only once.
fn derive_sha256(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 64]);
    if password.len() > key.len() {
        key[..32].copy_from_slice(&Sha256::digest(password));
    } else {
        key[..password.len()].copy_from_slice(password);
    }
    let keyed = |pad: u8| {
        let mut state = INITIAL_STATE;
        compress256(&mut state, &[key.map(|byte| byte ^ pad)]);
        Zeroizing::new(state)
    };
    let (inner, outer) = (keyed(0x36), keyed(0x5c));

    let mut first = Hmac::<Sha256>::new((&*key).into());
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    // A digest, padded as the second block of a message of 96 bytes: what both hashes of HMAC read from here on.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(&first.finalize().into_bytes());
    block[32] = 0x80;
    block[62..].copy_from_slice(&(96u16 * 8).to_be_bytes());

    // Kept as words: eight operations per iteration rather than 32, which debug builds feel.
    let mut sum = Zeroizing::new([0; 8]);
    for (word, bytes) in sum.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for _ in 1..iterations {
        let mut state = *inner;
        compress256(&mut state, std::slice::from_ref(&*block));
        write_words(&state, &mut block);
        state = *outer;
        compress256(&mut state, std::slice::from_ref(&*block));
        write_words(&state, &mut block);
        for index in 0..8 {
            sum[index] ^= state[index];
        }
    }
    write_words(&sum, &mut block);
    let mut derived = Zeroizing::new([0; 32]);
    derived.copy_from_slice(&block[..32]);
    derived
}

fn write_words(words: &[u32; 8], block: &mut [u8; 64]) {
    for (bytes, word) in block.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
}

/// SHA-256's initial chaining value (FIPS 180-4, 5.3.3).
const INITIAL_STATE: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_loop_derives_what_the_pbkdf2_crate_derives() {
        for length in [0, 1, 63, 64, 65, 200] {
            let password = vec![b'p'; length];
            for iterations in [1, 2, 3, 1000] {
                let mut expected = [0; 32];
                pbkdf2::<Hmac<Sha256>>(&password, b"some salt", iterations, &mut expected)
                    .expect("HMAC takes any key");
                assert_eq!(
                    *derive_sha256(&password, b"some salt", iterations),
                    expected,
                    "{length} {iterations}"
                );
            }
        }
    }
}
