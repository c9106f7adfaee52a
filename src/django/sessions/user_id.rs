//! What the value under `_auth_user_id` means for a key type: `Field.to_python` of Django's integer and UUID keys,
//! with the rules of Python's `int()` and `uuid.UUID()`.
//! Leaves out keys of other types (text). Where Django raises (an HTML 500) there is no user.

use super::super::json::Value;
use std::fmt;
use std::ops::RangeInclusive;

/// The type of the user model's primary key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyType {
    /// `AutoField`, `BigAutoField` and the other integer fields
    Integer,
    /// `UUIDField`
    Uuid,
}

/// A user's primary key. Prints as `_meta.pk.value_to_string(user)`, the text `login()` stores.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UserId {
    /// An integer key: from -2^63 to 2^64 - 1, since MySQL has unsigned ones
    Integer(i128),
    /// A UUID key, most significant byte first
    Uuid([u8; 16]),
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserId::Integer(id) => write!(f, "{id}"),
            UserId::Uuid(bytes) => bytes.iter().enumerate().try_for_each(|(index, byte)| {
                let hyphen = if matches!(index, 4 | 6 | 8 | 10) {
                    "-"
                } else {
                    ""
                };
                write!(f, "{hyphen}{byte:02x}")
            }),
        }
    }
}

/// The integer keys that a database has: signed ones of 64 bits, and MySQL's unsigned ones.
const KEYS: RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;

impl UserId {
    /// Its type.
    pub fn key_type(&self) -> KeyType {
        match self {
            UserId::Integer(_) => KeyType::Integer,
            UserId::Uuid(_) => KeyType::Uuid,
        }
    }

    /// A key as it prints: a whole number, or a UUID with or without hyphens.
    pub fn parse(text: &str) -> Option<UserId> {
        if let Some(id) = text.parse().ok().filter(|id| KEYS.contains(id)) {
            return Some(UserId::Integer(id));
        }
        let hex = text.replace('-', "");
        let is_uuid = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_uuid.then(|| u128::from_str_radix(&hex, 16).ok())?;
        number.map(|number| UserId::Uuid(number.to_be_bytes()))
    }
}

/// `to_python` of the key's field.
pub(super) fn to_python(value: &Value, key_type: KeyType) -> Option<UserId> {
    match key_type {
        KeyType::Integer => integer(value).map(UserId::Integer),
        KeyType::Uuid => uuid(value).map(|number| UserId::Uuid(number.to_be_bytes())),
    }
}

/// `int(value)`, within 64 bits (beyond them no row matches).
fn integer(value: &Value) -> Option<i128> {
    let number = match value {
        Value::Bool(truth) => i128::from(*truth),
        Value::Integer(digits) => digits.parse().ok()?,
        Value::Float(number) if number.is_nan() => return None,
        // A float beyond 128 bits becomes the nearest end of the range, which is no key either.
        Value::Float(number) => number.trunc() as i128,
        Value::String(text) => {
            let (negative, magnitude) = parse_int(text.as_str()?, 10)?;
            let magnitude = i128::try_from(magnitude).ok()?;
            if negative { -magnitude } else { magnitude }
        }
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    KEYS.contains(&number).then_some(number)
}

/// `uuid.UUID(int=value)` of an integer (a Boolean is one), `uuid.UUID(hex=value)` of a string.
fn uuid(value: &Value) -> Option<u128> {
    match value {
        Value::Bool(truth) => Some(u128::from(*truth)),
        Value::Integer(digits) => digits.parse().ok(),
        Value::String(text) => {
            let bare = text.as_str()?.replace("urn:", "").replace("uuid:", "");
            let hex = bare.trim_matches(['{', '}']).replace('-', "");
            // Python counts characters, not digits, so that `int()`'s liberties count too.
            if hex.chars().count() != 32 {
                return None;
            }
            match parse_int(&hex, 16)? {
                (true, 1..) => None,
                (_, magnitude) => Some(magnitude),
            }
        }
        Value::Null | Value::Float(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Python's `int(text, base)` as sign and magnitude: blanks around, one sign, single underscores between digits, any
/// script's decimal digits, and `0x` in base 16. `None` where it raises, or when the magnitude passes 128 bits.
fn parse_int(text: &str, base: u32) -> Option<(bool, u128)> {
    const MAX_DECIMAL_DIGITS: usize = 4300;
    let ascii: Vec<u8> = text.chars().map(to_ascii).collect::<Option<_>>()?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = ascii.iter().position(|byte| !is_blank(byte))?;
    let end = ascii.iter().rposition(|byte| !is_blank(byte))? + 1;
    let (negative, mut digits) = match &ascii[start..end] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if let (16, [b'0', b'x' | b'X', rest @ ..]) = (base, digits) {
        digits = rest.strip_prefix(b"_").unwrap_or(rest);
    }
    let mut magnitude: u128 = 0;
    let mut count = 0;
    for group in digits.split(|&byte| byte == b'_') {
        if group.is_empty() {
            return None;
        }
        for &byte in group {
            let digit = char::from(byte).to_digit(base)?;
            magnitude = magnitude
                .checked_mul(u128::from(base))?
                .checked_add(u128::from(digit))?;
        }
        count += group.len();
    }
    if base == 10 && count > MAX_DECIMAL_DIGITS {
        return None;
    }
    Some((negative, magnitude))
}

/// `_PyUnicode_TransformDecimalAndSpaceToASCII` for one character: other scripts' digits and blanks become ASCII's.
fn to_ascii(character: char) -> Option<u8> {
    if character.is_ascii() {
        return u8::try_from(character).ok();
    }
    if character.is_whitespace() {
        return Some(b' ');
    }
    let code = u32::from(character);
    let behind = DECIMAL_ZEROS.partition_point(|&zero| zero <= code);
    let value = code - DECIMAL_ZEROS.get(behind.checked_sub(1)?)?;
    (value < 10).then(|| b'0' + value as u8)
}

/// The zero of each script outside ASCII; nine more digits follow each (Unicode 15.1, category Nd).
const DECIMAL_ZEROS: [u32; 67] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950,
    0x1fbf0,
];
