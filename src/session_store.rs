//! A session store for actix-session over the `django_session` table, so that any Actix application can share Django's
//! sessions.

use std::collections::HashMap;
use std::sync::Arc;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;

use crate::db::Db;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::sessions::{SessionRow, new_session_key};
use crate::db::pool::task::deadline;
use crate::db::types::stored_time::Clock;
use crate::django::sessions::SessionData;
use crate::django::settings::Settings;
use crate::session_reader::SessionReader;

/// Django's database session store as a [`SessionStore`] of actix-session. It uses the same table, the same form of keys and
/// the same signed data as Django, so that a session made by either side is valid on the other.
#[derive(Clone)]
pub struct DjangoSessionStore {
    db: Db,
    reader: SessionReader,
    settings: Arc<Settings>,
    clock: Clock,
}

impl DjangoSessionStore {
    /// A store that signs with `SECRET_KEY`, and verifies with the fallback keys, too.
    pub fn new(db: Db, settings: Arc<Settings>, clock: Clock) -> Self {
        DjangoSessionStore {
            reader: SessionReader::new(db.clone()),
            db,
            settings,
            clock,
        }
    }

    /// The state as signed session data. actix-session keeps every value as JSON text.
    ///
    /// # Errors
    /// A value is not JSON.
    fn encode(&self, state: &HashMap<String, String>) -> Result<String, anyhow::Error> {
        let mut data = SessionData::new();
        // Sorted, so that equal states give equal rows.
        let mut members: Vec<_> = state.iter().collect();
        members.sort_unstable();
        for (name, json) in members {
            data.set_json(name, json)?;
        }
        Ok(data.encode(
            &self.settings.secret_keys,
            self.clock.now_plus(0).unix_seconds(),
        ))
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, anyhow::Error> {
        let write = move |connection: &mut Connection, _: &_| job(connection);
        Ok(self.db.write(deadline(), write).await?)
    }
}

impl SessionStore for DjangoSessionStore {
    /// The session with this key, unless it has expired. As in Django, data that can't be decoded is an empty session.
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        let settings = Arc::clone(&self.settings);
        let decode = move |data: &str, _| match SessionData::decode(data, &settings.secret_keys) {
            Ok(data) => data
                .iter()
                .map(|(name, json)| (name.to_owned(), json.to_owned()))
                .collect(),
            Err(_) => HashMap::new(),
        };
        let (key, now) = (key.as_ref().to_owned(), self.clock.now_plus(0));
        let state = self.reader.read(deadline(), key, now, decode).await;
        state.map_err(|error| LoadError::Other(error.into()))
    }

    async fn save(
        &self,
        state: HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<SessionKey, SaveError> {
        let key = new_session_key().map_err(|error| SaveError::Other(error.into()))?;
        let expires = self.clock.now_plus(ttl.whole_seconds());
        let row = SessionRow {
            key: key.clone(),
            data: self.encode(&state).map_err(SaveError::Serialization)?,
        };
        self.write(move |connection| row.insert(connection, expires))
            .await
            .map_err(SaveError::Other)?;
        SessionKey::try_from(key).map_err(|error| SaveError::Serialization(error.into()))
    }

    /// Overwrites the row. If it was deleted meanwhile, saves a new session under a new key.
    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let expires = self.clock.now_plus(ttl.whole_seconds());
        let row = SessionRow {
            key: key.as_ref().to_owned(),
            data: self.encode(&state).map_err(UpdateError::Serialization)?,
        };
        let updated = self
            .write(move |connection| row.update(connection, expires))
            .await
            .map_err(UpdateError::Other)?;
        match updated {
            true => Ok(key),
            false => self
                .save(state, ttl)
                .await
                .map_err(|error| UpdateError::Other(error.into())),
        }
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let (key, expires) = (
            key.as_ref().to_owned(),
            self.clock.now_plus(ttl.whole_seconds()),
        );
        self.write(move |connection| SessionRow::set_expiry(connection, &key, expires))
            .await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let key = key.as_ref().to_owned();
        self.write(move |connection| SessionRow::delete(connection, &key))
            .await
    }
}
