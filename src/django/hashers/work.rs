//! What the hashers have in common: what a hash costs, why one can't be used, and comparing.

use subtle::ConstantTimeEq;

/// The work of a hash, so that tests compare costs without a clock: equal work takes equal time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Work {
    /// Iterations of PBKDF2 over HMAC-SHA256
    Pbkdf2Sha256(u32),
    /// Iterations of PBKDF2 over HMAC-SHA1
    Pbkdf2Sha1(u32),
    /// KiB of memory, passes and lanes
    Argon2(u32, u32, u32),
    /// The binary logarithm of the number of rounds
    Bcrypt(u32),
    /// N, r and p
    Scrypt(u64, u32, u32),
}

/// Why no password can match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Unusable {
    /// `set_unusable_password()`: the text begins with `!`.
    NoPassword,
    /// Empty, plain text, or an algorithm outside the default `PASSWORD_HASHERS`.
    UnknownAlgorithm,
    /// A known algorithm in a form that raises in Django, or that can never equal what Django would encode.
    Malformed,
    /// A known algorithm whose cost passes the sidecar's limits.
    TooCostly,
}

/// The hash of one password.
pub(super) trait StoredHash {
    /// The work of verifying the right password.
    fn work(&self) -> Work;

    /// Whether this password is the right one. `None`: nothing was computed.
    fn verify(&self, password: &str) -> Option<bool>;

    /// Evens the cost of a wrong password (`BasePasswordHasher.harden_runtime`); returns the work that it took in all.
    fn harden_runtime(&self, _password: &str, _default_iterations: u32) -> Work {
        self.work()
    }
}

/// `constant_time_compare`
pub(super) fn equal(computed: &[u8], stored: &[u8]) -> bool {
    computed.ct_eq(stored).into()
}

/// A number as `%d` prints it, but 0. `None` for any other spelling that Python's `int()` takes: Django encodes the hash again,
/// and the text then differs from the stored one. `None` also for a number of more than 32 bits, over which Django raises.
pub(super) fn canonical_number(text: &str) -> Option<u32> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_canonical.then(|| text.parse().ok())?
}
