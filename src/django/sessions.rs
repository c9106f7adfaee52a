//! Session data (the column `django_session.session_data`) and the user who is logged in with it.
//! Mirrors `contrib.sessions.backends.base` and `.db` (format of Django 3.1 to 6.1), `contrib.auth._get_user_session_key`,
//! the comparison in `contrib.auth.get_user` and `AbstractBaseUser.get_session_auth_hash`.
//! Leaves out the rows of the session and the user, which `db` reads. Where Django answers with an HTML 500 (a payload that is
//! not an object, a user id that is not an id), the session has no user here.

mod user_id;

pub use user_id::{KeyType, UserId};

use std::borrow::Cow;
use std::fmt;

use super::python::{hex, latin1};
use super::signing::{self, SecretKey, SecretKeys, SigningError};
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;

/// `contrib.auth.SESSION_KEY`
pub const USER_ID_NAME: &str = "_auth_user_id";
/// `contrib.auth.BACKEND_SESSION_KEY`
pub const BACKEND_NAME: &str = "_auth_user_backend";
/// `contrib.auth.HASH_SESSION_KEY`
pub const AUTH_HASH_NAME: &str = "_auth_user_hash";

/// `SessionStore.key_salt` of the engine `db` (and `cached_db`, which stores the same row).
const SALT: &str = "django.contrib.sessions.SessionStore";
const AUTH_HASH_SALT: &str = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";

/// Why session data could not be read. Django takes all but `TooLarge` for an empty session, or answers 500.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecodable {
    /// Not signed by any of the keys (or in the format before Django 3.1).
    BadSignature,
    /// Signed, but with a bad timestamp, base64 or zlib stream.
    BadPayload,
    /// Signed, but not a JSON object, or one with `NaN` or `Infinity`, which only Python takes for JSON.
    NotAnObject,
    /// Larger than [`signing::MAX_PAYLOAD_BYTES`]; Django reads it.
    TooLarge,
}

/// The names and values of a session, in order. The values stay JSON text, so that what this program does not know is
/// written back as it was read. No `Debug`: the values hold the session auth hash.
#[derive(Clone, Default)]
pub struct SessionData(IndexMap<String, Box<RawValue>>);

impl SessionData {
    /// An empty session.
    pub fn new() -> Self {
        Self::default()
    }

    /// `SessionBase.decode`. A repeated name keeps its first place and its last value, as in a Python dict. Takes time and
    /// memory in proportion to the text: serde_json scans values without recursion, however deeply they nest.
    pub fn decode(session_data_column: &str, keys: &SecretKeys) -> Result<Self, Undecodable> {
        from_json(session_data_column, keys).map(Self)
    }

    /// The same, but with only the three values that `login()` stores: the memory of a session of many keys is that of its text.
    pub fn decode_login(column: &str, keys: &SecretKeys) -> Result<Self, Undecodable> {
        from_json(column, keys).map(|LoginValues(values)| Self(values))
    }

    /// `SessionBase.encode` at the given Unix time in seconds. Django reads it back.
    pub fn encode(&self, keys: &SecretKeys, unix_seconds: i64) -> String {
        signing::sign_object(
            self.to_json().as_bytes(),
            SALT,
            keys.current(),
            unix_seconds,
        )
    }

    /// The session as one JSON object, all ASCII, since Django reads the bytes as Latin-1.
    pub fn to_json(&self) -> String {
        // Texts and raw JSON under texts: nothing that can't be serialized.
        let json = serde_json::to_string(&self.0).unwrap_or_default();
        let mut ascii = String::with_capacity(json.len());
        for character in json.chars() {
            match character.is_ascii() {
                true => ascii.push(character),
                // In JSON it can only stand within a string.
                false => character
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| ascii.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        ascii
    }

    /// The JSON text of a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get())
    }

    /// A value that is a JSON string (without lone surrogates).
    pub fn get_str(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Sets a value from any JSON text; a new name goes last.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn set_json(&mut self, name: &str, json_text: &str) -> Result<(), serde_json::Error> {
        self.0
            .insert(name.to_owned(), serde_json::from_str(json_text)?);
        Ok(())
    }

    /// Sets a value to a string; a new name goes last.
    pub fn set_str(&mut self, name: &str, text: &str) {
        // A text can always be serialized.
        if let Ok(json) = serde_json::value::to_raw_value(text) {
            self.0.insert(name.to_owned(), json);
        }
    }

    /// Names and JSON texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.get()))
    }

    /// `_get_user_session_key`: the primary key of the user who logged in, as `str(pk)` writes it. `None` for any other
    /// text, and for a key of another type.
    pub fn user_id(&self, key_type: KeyType) -> Option<UserId> {
        let text = self.get_str(USER_ID_NAME)?;
        UserId::parse(&text).filter(|id| id.key_type() == key_type && id.to_string() == text)
    }
}

/// Checks the signature of the column's text, and parses its JSON.
fn from_json<T: for<'de> Deserialize<'de>>(
    column: &str,
    keys: &SecretKeys,
) -> Result<T, Undecodable> {
    let data = signing::unsign_object(column, SALT, keys).map_err(|error| match error {
        SigningError::BadSignature => Undecodable::BadSignature,
        SigningError::BadTimestamp | SigningError::BadPayload => Undecodable::BadPayload,
        SigningError::TooLarge => Undecodable::TooLarge,
    })?;
    let json = match data.is_ascii() {
        // As Django writes it: no copy is needed.
        true => String::from_utf8(data).map_err(|_| Undecodable::NotAnObject)?,
        false => latin1(&data),
    };
    serde_json::from_str(&json).map_err(|_| Undecodable::NotAnObject)
}

/// The values of [`SessionData::decode_login`].
struct LoginValues(IndexMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for LoginValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LoginVisitor)
    }
}

struct LoginVisitor;

/// A name, which is copied only if it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for LoginVisitor {
    type Value = LoginValues;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<LoginValues, A::Error> {
        let mut values = IndexMap::new();
        while let Some(Name(name)) = members.next_key()? {
            if [USER_ID_NAME, BACKEND_NAME, AUTH_HASH_NAME].contains(&&*name) {
                values.insert(name.into_owned(), members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(LoginValues(values))
    }
}

/// `AbstractBaseUser.get_session_auth_hash` under one key: hex HMAC-SHA256 over the password column.
pub fn session_auth_hash(password_column: &str, key: &SecretKey) -> String {
    hex(&signing::salted_hmac_sha256(
        AUTH_HASH_SALT,
        password_column.as_bytes(),
        key,
    ))
}

/// Whether a session's auth hash belongs to the user's present password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthHash {
    /// Made under the current key.
    Current,
    /// Made under a fallback key: valid; Django would rotate the session.
    Fallback,
    /// Made for another password, or missing, empty, or not a string: the session has no user.
    Wrong,
}

/// The comparison in `contrib.auth.get_user`, in constant time.
pub fn verify_session_auth_hash(
    session: &SessionData,
    password_column: &str,
    keys: &SecretKeys,
) -> AuthHash {
    let given = session.get_str(AUTH_HASH_NAME).unwrap_or_default();
    let made_by = |key: &SecretKey| {
        bool::from(
            session_auth_hash(password_column, key)
                .as_bytes()
                .ct_eq(given.as_bytes()),
        )
    };
    if made_by(keys.current()) {
        AuthHash::Current
    } else if keys.fallbacks().iter().any(made_by) {
        AuthHash::Fallback
    } else {
        AuthHash::Wrong
    }
}

/// The characters of a new session key: `VALID_KEY_CHARS`.
const KEY_CHARACTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// The length of a new session key.
const KEY_LENGTH: usize = 32;

/// `_get_new_session_key`: 32 characters `[a-z0-9]`, each equally likely. `fill` must fill its buffer with
/// cryptographically secure random bytes. Bytes that would favour some characters are skipped, so it may be called again.
pub fn new_session_key<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<String, E> {
    let mut key = String::with_capacity(KEY_LENGTH);
    let mut random = [0; 64];
    while key.len() < KEY_LENGTH {
        fill(&mut random)?;
        // 252 is the largest multiple of 36 in a byte.
        let unbiased = random
            .iter()
            .filter(|&&byte| byte < 252)
            .map(|&byte| char::from(KEY_CHARACTERS[usize::from(byte % 36)]));
        key.extend(unbiased.take(KEY_LENGTH - key.len()));
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
