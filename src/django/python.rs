//! The conversions of Python's standard library that several modules of [`super`] need.

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
    // As in `hex`.
    let room = encoded.size_hint().0 / 4 * 3 + 3;
    let mut decoded = Zeroizing::new(Vec::with_capacity(room));
    let (mut quad_position, mut pads, mut left) = (0, 0, 0u8);
    for byte in encoded {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if quad_position >= 2 => {
                pads += 1;
                if quad_position + pads >= 4 {
                    return Some(decoded);
                }
                continue;
            }
            _ => continue,
        };
        pads = 0;
        match quad_position {
            0 => {}
            1 => decoded.push(left << 2 | digit >> 4),
            2 => decoded.push(left << 4 | digit >> 2),
            _ => decoded.push(left << 6 | digit),
        }
        left = digit;
        quad_position = (quad_position + 1) % 4;
    }
    (quad_position == 0).then_some(decoded)
}
