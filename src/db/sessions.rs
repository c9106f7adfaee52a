//! The `django_session` table (`django.contrib.sessions.backends.db.SessionStore`), and the store that offers it to
//! actix-session, so that any Actix application can share Django's sessions.

use std::collections::HashMap;
use std::sync::Arc;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::helper_types::AsExprOf;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::comparison::{AnyText, ComparedText, can_hold};
use super::connection::{Connection, with_connection};
use super::schema::django_session::dsl::{django_session, expire_date, session_data, session_key};
use super::{Clock, Db, DbError, Instant, deadline};
use crate::django::sessions::SessionData;
use crate::django::settings::Settings;

/// One row of `django_session`, as it is read and written.
pub struct SessionRow {
    /// The session key: the cookie's value
    pub key: String,
    /// The signed session data
    pub data: String,
}

impl SessionRow {
    /// The data of the session with this key, unless it has expired (`SessionStore._get_session_from_db`).
    ///
    /// # Errors
    /// The database's.
    pub fn find(
        connection: &mut Connection,
        key: &str,
        now: Instant,
    ) -> Result<Option<String>, DbError> {
        if !SessionRow::can_exist(connection, key)? {
            return Ok(None);
        }
        let live = django_session
            .select(session_data)
            .filter(has_key(key).and(expire_date.gt(now)));
        match with_connection!(connection, conn => live.first(conn).optional()) {
            // A column that can't be read holds nothing that was signed.
            Err(diesel::result::Error::DeserializationError(_)) => Ok(Some(String::new())),
            data => Ok(data?),
        }
    }

    /// Whether the column can hold this key: if not, there is no such session. On PostgreSQL, `false` aborts the transaction
    /// that the question was asked in.
    ///
    /// # Errors
    /// The database's.
    pub fn can_exist(connection: &mut Connection, key: &str) -> Result<bool, DbError> {
        can_hold(connection, "django_session", "session_key", key)
    }

    /// Writes a new row (`SessionStore.save(must_create=True)`).
    ///
    /// # Errors
    /// The database's, and that the key is taken.
    pub fn insert(&self, connection: &mut Connection, expires: Instant) -> Result<(), DbError> {
        let row = (
            session_key.eq(&self.key),
            session_data.eq(&self.data),
            expire_date.eq(expires),
        );
        with_connection!(connection, conn => diesel::insert_into(django_session).values(row).execute(conn))?;
        Ok(())
    }

    /// Deletes the row with this key, if there is one (`SessionStore.delete`).
    ///
    /// # Errors
    /// The database's.
    pub fn delete(connection: &mut Connection, key: &str) -> Result<(), DbError> {
        let row = django_session.filter(has_key(key));
        with_connection!(connection, conn => diesel::delete(row).execute(conn))?;
        Ok(())
    }
}

/// `session_key = ?`, by the column's own type.
fn has_key(key: &str) -> HasKey {
    diesel::dsl::sql::<Bool>("session_key = ").bind::<AnyText, _>(ComparedText(key.to_owned()))
}

/// The expression of [`has_key`].
type HasKey = UncheckedBind<SqlLiteral<Bool>, AsExprOf<ComparedText, AnyText>>;

/// Selects the columns that are read, to see that the table is there and the role may read it.
pub(super) fn probe(connection: &mut Connection) -> Result<(), DbError> {
    let nothing = django_session
        .select((session_key, session_data, expire_date.is_null()))
        .limit(0);
    let _: Vec<(String, String, bool)> = with_connection!(connection, conn => nothing.load(conn))?;
    Ok(())
}

/// A new session key of Django's form (`SessionBase._get_new_session_key`: 32 of `a-z0-9`).
///
/// # Errors
/// The operating system gives no randomness.
pub fn new_session_key() -> Result<String, getrandom::Error> {
    crate::django::sessions::new_session_key(getrandom::fill)
}

/// Django's database session store behind actix-session's trait: same table, same key form, same signed data, so that
/// a session made by either side is good on the other.
///
/// actix-session keeps every value as JSON text, which is what Django's session data is made of.
#[derive(Clone)]
pub struct DjangoSessionStore {
    db: Db,
    settings: Arc<Settings>,
    clock: Clock,
}

impl DjangoSessionStore {
    /// A store that signs with `SECRET_KEY` and verifies with the fallbacks as well.
    pub fn new(db: Db, settings: Arc<Settings>, clock: Clock) -> Self {
        DjangoSessionStore {
            db,
            settings,
            clock,
        }
    }

    /// The state as signed session data.
    ///
    /// # Errors
    /// A value is not JSON.
    fn encode(&self, state: &HashMap<String, String>) -> Result<String, anyhow::Error> {
        let mut data = SessionData::new();
        // A HashMap has no order; sorted, equal states give equal rows.
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
    /// The live session with this key. As in Django, data that can't be decoded is an empty session.
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        let (key, now) = (key.as_ref().to_owned(), self.clock.now_plus(0));
        let find =
            move |connection: &mut Connection, _: &_| SessionRow::find(connection, &key, now);
        let row = self.db.run(deadline(), find).await;
        let row = row.map_err(|error: DbError| LoadError::Other(error.into()))?;
        Ok(row.map(
            |data| match SessionData::decode(&data, &self.settings.secret_keys) {
                Ok(data) => data
                    .iter()
                    .map(|(name, json)| (name.to_owned(), json.to_owned()))
                    .collect(),
                Err(_) => HashMap::new(),
            },
        ))
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

    /// Rewrites the row; where it has gone meanwhile, a new session under a new key takes its place.
    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let data = self.encode(&state).map_err(UpdateError::Serialization)?;
        let expires = self.clock.now_plus(ttl.whole_seconds());
        let name = key.as_ref().to_owned();
        let updated = self
            .write(move |connection| {
                let row = diesel::update(django_session.filter(has_key(&name)))
                    .set((session_data.eq(&data), expire_date.eq(expires)));
                Ok(with_connection!(connection, conn => row.execute(conn))?)
            })
            .await
            .map_err(UpdateError::Other)?;
        match updated {
            0 => self
                .save(state, ttl)
                .await
                .map_err(|error| UpdateError::Other(error.into())),
            _ => Ok(key),
        }
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let (key, expires) = (
            key.as_ref().to_owned(),
            self.clock.now_plus(ttl.whole_seconds()),
        );
        self.write(move |connection| {
            let row =
                diesel::update(django_session.filter(has_key(&key))).set(expire_date.eq(expires));
            with_connection!(connection, conn => row.execute(conn))?;
            Ok(())
        })
        .await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let key = key.as_ref().to_owned();
        self.write(move |connection| SessionRow::delete(connection, &key))
            .await
    }
}
