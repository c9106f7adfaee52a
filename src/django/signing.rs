//! Signed texts as Django writes and reads them: the salted HMAC, the timestamp signer, base62 and the optional zlib.
//! Mirrors `django.core.signing` and `django.utils.crypto.salted_hmac` (alike in 4.0 to 6.1, always with SHA-256).
//! Leaves out `max_age` (sessions expire by their row), signed cookies, and algorithms other than SHA-256.

use super::python::a2b_base64;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Decompress, FlushDecompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io::Write;
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
    current: SecretKey,
    fallbacks: Vec<SecretKey>,
}

impl SecretKeys {
    /// The current key signs; all of them verify.
    pub fn new(current: SecretKey, fallbacks: Vec<SecretKey>) -> Self {
        Self { current, fallbacks }
    }

    /// The key that signs.
    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    /// The keys that were current earlier, in the order of the setting.
    pub fn fallbacks(&self) -> &[SecretKey] {
        &self.fallbacks
    }

    /// The current key, then the fallbacks: the order in which Django tries them.
    pub fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.fallbacks)
    }
}

/// Why a signed text was refused. Django raises `BadSignature` for the first two and various exceptions for the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningError {
    /// No key made this signature, or there is none.
    BadSignature,
    /// The part between payload and signature is not a base62 number.
    BadTimestamp,
    /// The payload is not base64, or not the zlib stream that its leading `.` announces.
    BadPayload,
    /// The payload is larger than [`MAX_PAYLOAD_BYTES`].
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

/// `b62_encode`: digits, upper case, lower case; a leading `-` when negative.
pub fn b62_encode(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(BASE62_ALPHABET[(rest % 62) as usize]));
        rest /= 62;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

/// Whether `b62_decode` accepts the text, also a lone `-`. The value is not needed: sessions are read without `max_age`.
fn is_b62(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !text.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `TimestampSigner(salt=salt).sign(value)` at the given Unix time in seconds.
pub fn sign(value: &str, salt: &str, key: &SecretKey, unix_seconds: i64) -> String {
    let stamped = format!("{value}:{}", b62_encode(unix_seconds));
    let signature = signature(&stamped, salt, key);
    format!("{stamped}:{signature}")
}

/// `TimestampSigner(salt=salt).unsign(signed)`: the value without timestamp and signature.
/// The signature is compared as text, in constant time, under each key in turn.
pub fn unsign<'a>(signed: &'a str, salt: &str, keys: &SecretKeys) -> Result<&'a str, SigningError> {
    let (stamped, given) = signed.rsplit_once(':').ok_or(SigningError::BadSignature)?;
    let made_by = |key: &SecretKey| {
        bool::from(
            signature(stamped, salt, key)
                .as_bytes()
                .ct_eq(given.as_bytes()),
        )
    };
    if !keys.iter().any(made_by) {
        return Err(SigningError::BadSignature);
    }
    match stamped.rsplit_once(':') {
        Some((value, timestamp)) if is_b62(timestamp) => Ok(value),
        _ => Err(SigningError::BadTimestamp),
    }
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

/// `signing.loads(..., salt=salt)` up to the serializer: the bytes that were signed. Nothing is decoded or inflated
/// before the signature holds.
pub fn unsign_object(signed: &str, salt: &str, keys: &SecretKeys) -> Result<Vec<u8>, SigningError> {
    let payload = unsign(signed, salt, keys)?;
    let (compressed, text) = match payload.strip_prefix('.') {
        Some(rest) => (true, rest),
        None => (false, payload),
    };
    let data = b64_decode(text.as_bytes()).ok_or(SigningError::BadPayload)?;
    let data = if compressed { inflate(&data)? } else { data };
    if data.len() > MAX_PAYLOAD_BYTES {
        return Err(SigningError::TooLarge);
    }
    Ok(data)
}

fn signature(value: &str, salt: &str, key: &SecretKey) -> String {
    URL_SAFE_NO_PAD.encode(salted_hmac_sha256(
        &format!("{salt}signer"),
        value.as_bytes(),
        key,
    ))
}

/// `signing.b64_decode`: Python's non-strict `urlsafe_b64decode` after padding to a multiple of four. Reads `+/` like `-_`.
/// `None` where Python raises.
fn b64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let missing = text.len().wrapping_neg() % 4;
    let standard = text.iter().map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    });
    let padded = standard.chain(std::iter::repeat_n(b'=', missing));
    a2b_base64(padded).map(|mut decoded| std::mem::take(&mut *decoded))
}

fn deflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).ok()?;
    encoder.finish().ok()
}

/// `zlib.decompress`, stopping at [`MAX_PAYLOAD_BYTES`]. Bytes after the stream's end are ignored, as Python does.
fn inflate(data: &[u8]) -> Result<Vec<u8>, SigningError> {
    let mut stream = Decompress::new(true);
    let mut inflated = Vec::new();
    loop {
        // Grows as the data does, so that a small payload costs little and a bomb costs one byte over the limit.
        let room = (inflated.len().max(4096)).min(MAX_PAYLOAD_BYTES + 1 - inflated.len());
        inflated.reserve_exact(room);
        let consumed = usize::try_from(stream.total_in()).map_err(|_| SigningError::BadPayload)?;
        let before = (stream.total_in(), stream.total_out());
        let status = stream.decompress_vec(&data[consumed..], &mut inflated, FlushDecompress::None);
        match status {
            _ if inflated.len() > MAX_PAYLOAD_BYTES => return Err(SigningError::TooLarge),
            Ok(Status::StreamEnd) => return Ok(inflated),
            Ok(_) if (stream.total_in(), stream.total_out()) != before => {}
            _ => return Err(SigningError::BadPayload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SecretKeys {
        let key = |text: &str| SecretKey::new(text.to_owned());
        SecretKeys::new(key("test-secret-key"), vec![key("older"), key("oldest")])
    }

    #[test]
    fn base62_is_written_as_django_writes_it() {
        let written: Vec<_> = [0, 61, 62, -1, 1_700_000_000, i64::MIN]
            .map(b62_encode)
            .into();
        assert_eq!(written, ["0", "z", "10", "-1", "1r31eq", "-AzL8n0Y58m8"]);
    }

    #[test]
    fn a_signed_value_comes_back_under_every_key_and_under_no_other() {
        for key in keys().iter() {
            let signed = sign("value", "salt", key, -5);
            assert_eq!(unsign(&signed, "salt", &keys()), Ok("value"));
            assert_eq!(
                unsign(&signed, "other salt", &keys()),
                Err(SigningError::BadSignature)
            );
        }
        let foreign = sign("value", "salt", &SecretKey::new("foreign".to_owned()), 5);
        assert_eq!(
            unsign(&foreign, "salt", &keys()),
            Err(SigningError::BadSignature)
        );
    }

    #[test]
    fn a_timestamp_must_be_base62_but_may_be_a_lone_minus() {
        for (timestamp, expected) in [
            ("-", Ok("v")),
            ("-zz", Ok("v")),
            ("", Err(SigningError::BadTimestamp)),
            ("1_", Err(SigningError::BadTimestamp)),
        ] {
            let stamped = format!("v:{timestamp}");
            let signed = format!(
                "{stamped}:{}",
                signature(&stamped, "salt", keys().current())
            );
            assert_eq!(unsign(&signed, "salt", &keys()), expected, "{timestamp:?}");
        }
    }

    #[test]
    fn a_payload_may_be_padded_and_hold_foreign_characters() {
        for text in ["e30", "e30=", "e30==", "e!3\n0", "é e30=ignored"] {
            assert_eq!(
                b64_decode(text.as_bytes()).as_deref(),
                Some(&b"{}"[..]),
                "{text}"
            );
        }
        assert_eq!(b64_decode(b"e30ab"), None);
        assert_eq!(b64_decode(b"-_+/"), Some(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn inflation_stops_at_the_limit() {
        for (size, expected) in [
            (MAX_PAYLOAD_BYTES, Ok(MAX_PAYLOAD_BYTES)),
            (MAX_PAYLOAD_BYTES + 1, Err(SigningError::TooLarge)),
            (50 << 20, Err(SigningError::TooLarge)),
        ] {
            let bomb = deflate(&vec![b'x'; size]).expect("deflating a vector");
            assert_eq!(inflate(&bomb).map(|data| data.len()), expected);
        }
    }

    #[test]
    fn a_broken_zlib_stream_is_refused_and_trailing_bytes_are_not() {
        let whole = deflate(b"some text, some text").expect("deflating a vector");
        assert_eq!(
            inflate(&[&whole[..], b"more"].concat()),
            Ok(b"some text, some text".to_vec())
        );
        for broken in [&whole[..whole.len() - 1], &whole[2..], &[]] {
            assert_eq!(inflate(broken), Err(SigningError::BadPayload));
        }
    }
}
