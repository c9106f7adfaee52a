//! Session data, the column `django_session.session_data`, and who it says is logged in.
//! Mirrors `contrib.sessions.backends.base` and `.db` (format of Django 3.1 to 6.1), `contrib.auth._get_user_session_key`,
//! the comparison in `contrib.auth.get_user` and `AbstractBaseUser.get_session_auth_hash`.
//! Leaves out the row (expiry, existence) and the user's row: `db/` asks for those. What Django answers with an HTML 500
//! (a payload that is no object, a user id that is no id) is here a session of nobody.

mod user_id;

pub use user_id::{KeyType, UserId};

use super::json::{self, JsonError, Text, Value};
use super::signing::{self, SecretKey, SecretKeys, SigningError};
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

/// Why session data could not be read. Django takes the first four for an empty session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecodable {
    /// Not signed by any of the keys (or in the format before Django 3.1).
    BadSignature,
    /// Signed, but with a bad timestamp, base64 or zlib stream.
    BadPayload,
    /// Signed, but not JSON.
    BadJson,
    /// Larger than [`signing::MAX_PAYLOAD_BYTES`]; Django reads it.
    TooLarge,
    /// Nested deeper than [`json::MAX_DEPTH`]; Django reads it up to Python's recursion limit.
    TooDeep,
    /// JSON, but no object: Django answers 500.
    NotAnObject,
}

/// What a session remembers, in order: names and values, each value as the JSON text that Python writes.
/// No `Debug`: the values hold the session auth hash.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionData {
    entries: Vec<(Text, String)>,
}

impl SessionData {
    /// An empty session.
    pub fn new() -> Self {
        Self::default()
    }

    /// `SessionBase.decode`.
    pub fn decode(session_data_column: &str, keys: &SecretKeys) -> Result<Self, Undecodable> {
        let data =
            signing::unsign_object(session_data_column, SALT, keys).map_err(
                |error| match error {
                    SigningError::BadSignature => Undecodable::BadSignature,
                    SigningError::BadTimestamp | SigningError::BadPayload => {
                        Undecodable::BadPayload
                    }
                    SigningError::TooLarge => Undecodable::TooLarge,
                },
            )?;
        let value = json::loads_latin1(&data).map_err(|error| match error {
            JsonError::TooDeep => Undecodable::TooDeep,
            JsonError::Syntax { .. } | JsonError::TooManyDigits(_) => Undecodable::BadJson,
        })?;
        let Value::Object(members) = value else {
            return Err(Undecodable::NotAnObject);
        };
        Ok(Self {
            entries: members
                .into_iter()
                .map(|(name, value)| (name, json::dumps(&value)))
                .collect(),
        })
    }

    /// `SessionBase.encode` at the given Unix time in seconds. Django reads it back; the bytes are also those Django
    /// would write, except inside the zlib stream of a compressed session, which differs with the zlib in use.
    pub fn encode(&self, keys: &SecretKeys, unix_seconds: i64) -> String {
        signing::sign_object(
            self.to_json().as_bytes(),
            SALT,
            keys.current(),
            unix_seconds,
        )
    }

    /// The whole session as `json.dumps(session, separators=(",", ":"))` writes it.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        for (index, (name, value)) in self.entries.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            name.write_quoted(&mut json);
            json.push(':');
            json.push_str(value);
        }
        json.push('}');
        json
    }

    /// The JSON text of a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.place(name).map(|place| self.entries[place].1.as_str())
    }

    /// A value that is a JSON string (without lone surrogates).
    pub fn get_str(&self, name: &str) -> Option<String> {
        self.get_value(name)?.as_str().map(str::to_owned)
    }

    /// Sets a value from any JSON text; a new name goes last, as in a dict.
    pub fn set_json(&mut self, name: &str, json_text: &str) -> Result<(), JsonError> {
        let value = json::loads(json_text)?;
        self.set(name, &value);
        Ok(())
    }

    /// Sets a value to a string.
    pub fn set_str(&mut self, name: &str, text: &str) {
        self.set(name, &Value::String(text.into()));
    }

    /// Removes a value, if it is there.
    pub fn remove(&mut self, name: &str) {
        self.entries.retain(|(key, _)| key.as_str() != Some(name));
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and JSON texts in order. A name with a lone surrogate is not listed, though [`encode`](Self::encode) keeps it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .filter_map(|(name, value)| Some((name.as_str()?, value.as_str())))
    }

    /// `_get_user_session_key`: the primary key of the user who logged in. `None` when there is none, and where Django
    /// answers 500.
    pub fn user_id(&self, key_type: KeyType) -> Option<UserId> {
        user_id::to_python(&self.get_value(USER_ID_NAME)?, key_type)
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|(key, _)| key.as_str() == Some(name))
    }

    fn get_value(&self, name: &str) -> Option<Value> {
        // Stored texts come from `dumps`, so that only an absent name gives `None`.
        json::loads(self.get(name)?).ok()
    }

    fn set(&mut self, name: &str, value: &Value) {
        let json = json::dumps(value);
        match self.place(name) {
            Some(place) => self.entries[place].1 = json,
            None => self.entries.push((name.into(), json)),
        }
    }
}

/// `AbstractBaseUser.get_session_auth_hash` under one key: hex HMAC-SHA256 over the password column.
pub fn session_auth_hash(password_column: &str, key: &SecretKey) -> String {
    let digest = signing::salted_hmac_sha256(AUTH_HASH_SALT, password_column.as_bytes(), key);
    let hex_digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    digest
        .iter()
        .flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 0xf)])
        .collect()
}

/// Whether a session's auth hash belongs to the user's present password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthHash {
    /// Made under the current key.
    Current,
    /// Made under a fallback key: valid; Django would rotate the session.
    Fallback,
    /// Made for another password, or missing, empty, or no string: the session is nobody's.
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
/// cryptographically secure random bytes; it is called again for the few that would favour some characters.
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
