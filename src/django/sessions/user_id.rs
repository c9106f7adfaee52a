//! The primary key of a user, and the text that Django makes of it: decimal digits, or a UUID with hyphens.
//! Leaves out keys of other types (text).

use std::fmt;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// The type of the user model's primary key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyType {
    /// `AutoField`, `BigAutoField` and the other integer fields
    Integer,
    /// `UUIDField`
    Uuid,
}

/// A user's primary key. Prints as `_meta.pk.value_to_string(user)`, the text `login()` stores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
            UserId::Uuid(bytes) => write!(f, "{}", Uuid::from_bytes(*bytes)),
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

    /// A whole number, or a UUID with or without hyphens.
    pub fn parse(text: &str) -> Option<UserId> {
        match text.parse() {
            Ok(id) if KEYS.contains(&id) => Some(UserId::Integer(id)),
            _ => Some(UserId::Uuid(Uuid::try_parse(text).ok()?.into_bytes())),
        }
    }
}
