//! The conversions of Python's standard library that several modules of [`super`] need.

use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use base64::{Engine as _, alphabet};
use zeroize::Zeroizing;

/// `bytes.decode("latin-1")`: each byte is the code point of the same number.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// `str.strip()`: removes Unicode's white space and the four ASCII separators from both ends.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// `bytes.hex()`: two lower-case digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // With room for all of it: a buffer that grows would leave copies of a secret behind.
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    text
}

/// `binascii.a2b_base64` with `strict_mode=False`: skips bytes outside the alphabet and stops at correct padding. `None`
/// where Python raises, because padding is missing.
pub(super) fn a2b_base64(encoded: impl Iterator<Item = u8>) -> Option<Zeroizing<Vec<u8>>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        NO_PAD.with_decode_allow_trailing_bits(true),
    );
    // As in `hex`.
    let mut digits = Zeroizing::new(Vec::with_capacity(encoded.size_hint().0));
    let mut pads = 0;
    for byte in encoded {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                digits.push(byte);
                pads = 0;
            }
            b'=' if digits.len() % 4 >= 2 => pads += 1,
            _ => continue,
        }
        if pads > 0 && digits.len() % 4 + pads == 4 {
            break;
        }
    }
    let is_padded = (digits.len() + pads).is_multiple_of(4);
    is_padded.then(|| LENIENT.decode(&*digits).ok().map(Zeroizing::new))?
}
