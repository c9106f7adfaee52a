//! The user table's primary key: the type of its column, and keys as parameters of a statement.

use crate::db::sql::Parameter;
use crate::db::types::compared_text::ComparedText;
use crate::django::sessions::{KeyType, UserId};

/// The type of the key's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyColumn {
    /// Any integer type
    Integer,
    /// The database's own UUID type
    Uuid,
    /// Django's `char(32)` of hexadecimal digits
    UuidText,
}

impl KeyColumn {
    /// The type of a user's key, for reading `_auth_user_id` (`Field.to_python` of the key).
    pub(crate) fn key_type(self) -> KeyType {
        match self {
            KeyColumn::Integer => KeyType::Integer,
            KeyColumn::Uuid | KeyColumn::UuidText => KeyType::Uuid,
        }
    }

    /// A key as the value of a placeholder that is compared with the column `id`.
    pub(crate) fn parameter(self, id: &UserId) -> Parameter {
        match (id, self) {
            (UserId::Integer(id), _) => match i64::try_from(*id) {
                Ok(id) => Parameter::Integer(id),
                // MySQL's unsigned type has integers above those of `BigInt`.
                Err(_) => Parameter::Cast(id.to_string(), "DECIMAL(20)"),
            },
            (UserId::Uuid(_), KeyColumn::UuidText) => {
                Parameter::AnyText(ComparedText(id.to_string().replace('-', "")))
            }
            (UserId::Uuid(_), _) => Parameter::Cast(id.to_string(), "uuid"),
        }
    }
}
