//! A session store for actix-session over the `django_session` table, so that any Actix application can share Django's
//! sessions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;

use crate::db::Db;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::sessions::SessionRow;
use crate::db::pool::task::deadline;
use crate::db::types::stored_time::{Clock, StoredTime};
use crate::django::sessions::{SessionData, new_session_key};
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

    /// The row of this state, and its expiry. actix-session keeps every value as JSON text.
    ///
    /// # Errors
    /// A value is not JSON.
    fn row(
        &self,
        key: &str,
        state: &HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<(SessionRow, StoredTime), anyhow::Error> {
        let mut data = SessionData::default();
        // Sorted, so that equal states give equal rows.
        for (name, json) in state.iter().collect::<BTreeMap<_, _>>() {
            data.set_json(name, json)?;
        }
        let now = self.clock.now_plus(0).unix_seconds();
        let row = SessionRow {
            key: key.to_owned(),
            data: data.encode(&self.settings.secret_keys, now),
        };
        Ok((row, self.clock.now_plus(ttl.whole_seconds())))
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
        let decode = move |data: &str, _| {
            let data = SessionData::decode(data, &settings.secret_keys).unwrap_or_default();
            let members = data.iter();
            members
                .map(|(name, json)| (name.to_owned(), json.to_owned()))
                .collect()
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
        let key =
            new_session_key(getrandom::fill).map_err(|error| SaveError::Other(error.into()))?;
        let row = self.row(&key, &state, ttl);
        let (row, expires) = row.map_err(SaveError::Serialization)?;
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
        let row = self.row(key.as_ref(), &state, ttl);
        let (row, expires) = row.map_err(UpdateError::Serialization)?;
        let updated = self
            .write(move |connection| row.update(connection, expires))
            .await
            .map_err(UpdateError::Other)?;
        if updated {
            return Ok(key);
        }
        let saved = self.save(state, ttl).await;
        saved.map_err(|error| UpdateError::Other(error.into()))
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let key = key.as_ref().to_owned();
        let expires = self.clock.now_plus(ttl.whole_seconds());
        self.write(move |connection| SessionRow::set_expiry(connection, &key, expires))
            .await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let key = key.as_ref().to_owned();
        self.write(move |connection| SessionRow::delete(connection, &key))
            .await
    }
}
