//! Signed texts as Django writes and reads them: the salted HMAC, the timestamp signer, base62 and the optional zlib.
//! Mirrors `django.core.signing` and `django.utils.crypto.salted_hmac` (alike in 4.0 to 6.1, always with SHA-256).
//! Leaves out `max_age` (sessions expire by their row), signed cookies, and algorithms other than SHA-256.

use super::python::a2b_base64;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::bufread::ZlibDecoder;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The most bytes a signed payload may hold, before and after inflation. Django has no limit.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

const BASE62_ALPHABET: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Django's `SECRET_KEY` (or one of its fallbacks). Wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes the text exactly as Django's setting holds it.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether it is easily guessed. As Django's check of `SECRET_KEY` (`django.core.checks.security.base`), but a key needs 32
    /// characters instead of 50.
    pub fn is_weak(&self) -> bool {
        const SHORTEST: usize = 32;
        const FEWEST_DIFFERENT: usize = 5;
        const INSECURE_PREFIX: &str = "django-insecure-";
        let different: std::collections::BTreeSet<char> = self.0.chars().collect();
        self.0.chars().count() < SHORTEST
            || different.len() < FEWEST_DIFFERENT
            || self.0.starts_with(INSECURE_PREFIX)
    }
}

/// `SECRET_KEY` and `SECRET_KEY_FALLBACKS` (Django 4.1 and later; empty for 4.0).
#[derive(Clone)]
pub struct SecretKeys {
    /// The key that signs
    pub current: SecretKey,
    /// The keys that were current earlier, in the order of the setting: they verify.
    pub fallbacks: Vec<SecretKey>,
}

impl SecretKeys {
    /// The current key, then the fallbacks: the order in which Django tries them.
    fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.fallbacks)
    }
}

/// Why signed data could not be read. Django takes all but `TooLarge` for an empty session, or answers 500.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecodable {
    /// Not signed by any of the keys (or in the format before Django 3.1).
    BadSignature,
    /// Signed, but without a timestamp in base62, not base64, or not the zlib stream that its leading `.` announces.
    BadPayload,
    /// Signed, but not a JSON object, or one with `NaN` or `Infinity`, which only Python takes for JSON.
    NotAnObject,
    /// Larger than [`MAX_PAYLOAD_BYTES`]; Django reads it.
    TooLarge,
}

/// HMAC-SHA256 of `value` under SHA-256(`salt` + key): `salted_hmac(salt, value, key, algorithm="sha256")`.
pub fn salted_hmac_sha256(salt: &str, value: &[u8], key: &SecretKey) -> [u8; 32] {
    let derived = Sha256::new()
        .chain_update(salt)
        .chain_update(key.0.as_bytes())
        .finalize();
    // HMAC pads keys with zeros to the block, so a padded key is the same key, and its length cannot be wrong.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(&derived);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(value);
    mac.finalize().into_bytes().into()
}

/// `b62_encode`: digits, upper case, lower case. The seconds since 1970 are not negative.
fn b62_encode(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(BASE62_ALPHABET[(rest % 62) as usize]));
        rest /= 62;
        if rest == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// `TimestampSigner(salt=salt).sign(value)` at the given Unix time in seconds.
pub fn sign(value: &str, salt: &str, key: &SecretKey, unix_seconds: i64) -> String {
    let stamped = format!("{value}:{}", b62_encode(unix_seconds));
    let signature = signature(&stamped, salt, key);
    format!("{stamped}:{signature}")
}

/// `signing.dumps(..., salt=salt, compress=True)` of an already serialized object: zlib only where it saves more than a byte.
pub fn sign_object(json: &[u8], salt: &str, key: &SecretKey, unix_seconds: i64) -> String {
    let payload = match deflate(json) {
        Some(compressed) if compressed.len() + 1 < json.len() => {
            format!(".{}", URL_SAFE_NO_PAD.encode(compressed))
        }
        _ => URL_SAFE_NO_PAD.encode(json),
    };
    sign(&payload, salt, key, unix_seconds)
}

/// `signing.loads(..., salt=salt)` up to the serializer: the bytes that were signed. The signature is compared as text, in
/// constant time, under each key in turn. Nothing is decoded or inflated before it holds.
pub fn unsign_object(signed: &str, salt: &str, keys: &SecretKeys) -> Result<Vec<u8>, Undecodable> {
    let (stamped, given) = signed.rsplit_once(':').ok_or(Undecodable::BadSignature)?;
    let made_by = |key: &SecretKey| {
        let signature = signature(stamped, salt, key);
        bool::from(signature.as_bytes().ct_eq(given.as_bytes()))
    };
    if !keys.iter().any(made_by) {
        return Err(Undecodable::BadSignature);
    }
    let (payload, timestamp) = stamped.rsplit_once(':').ok_or(Undecodable::BadPayload)?;
    let compressed = payload.strip_prefix('.');
    let data = b64_decode(compressed.unwrap_or(payload)).filter(|_| is_b62(timestamp));
    let mut data = data.ok_or(Undecodable::BadPayload)?;
    if compressed.is_some() {
        data = inflate(&data).map_err(|_| Undecodable::BadPayload)?;
    }
    match data.len() {
        0..=MAX_PAYLOAD_BYTES => Ok(data),
        _ => Err(Undecodable::TooLarge),
    }
}

fn signature(value: &str, salt: &str, key: &SecretKey) -> String {
    URL_SAFE_NO_PAD.encode(salted_hmac_sha256(
        &format!("{salt}signer"),
        value.as_bytes(),
        key,
    ))
}

/// Whether `b62_decode` accepts the text, also a lone `-`. The value is not needed: sessions are read without `max_age`.
fn is_b62(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !text.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `signing.b64_decode`: Python's non-strict `urlsafe_b64decode` after padding to a multiple of four. Reads `+/` like `-_`.
/// `None` where Python raises.
fn b64_decode(text: &str) -> Option<Vec<u8>> {
    let missing = text.len().wrapping_neg() % 4;
    let standard = text.bytes().map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    let padded = standard.chain(std::iter::repeat_n(b'=', missing));
    a2b_base64(padded).map(|mut data| std::mem::take(&mut *data))
}

fn deflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).ok()?;
    encoder.finish().ok()
}

/// `zlib.decompress`, up to one byte over [`MAX_PAYLOAD_BYTES`].
fn inflate(data: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut inflated = Vec::new();
    let mut stream = ZlibDecoder::new(data).take(MAX_PAYLOAD_BYTES as u64 + 1);
    stream.read_to_end(&mut inflated)?;
    Ok(inflated)
}
