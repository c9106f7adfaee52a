//! Decodes session data beside the database's queries, one session at a time. A large session takes some milliseconds and a few
//! MiB, so neither a query nor an Actix worker may wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt::time::timeout;
use tokio::sync::Semaphore;

use crate::blocking::workers::Workers;
use crate::db::Db;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::models::sessions::SessionRow;
use crate::db::models::user_table::UserTable;
use crate::db::types::stored_time::StoredTime;
use crate::django::sessions::KeyType;

/// The most bytes of session data that the query which reads them also decodes. Usual sessions have some hundred.
pub const DECODED_IN_QUERY: i32 = 32 * 1024;

/// How many sessions are read at a time: each is held in memory until it is decoded.
const HELD: usize = 8;

/// Reads and decodes sessions.
#[derive(Clone)]
pub struct SessionReader {
    db: Db,
    permits: Arc<Semaphore>,
    worker: Arc<Workers>,
}

impl SessionReader {
    /// A reader over this database.
    pub fn new(db: Db) -> SessionReader {
        SessionReader {
            db,
            permits: Arc::new(Semaphore::new(HELD)),
            worker: Workers::new("session", 1),
        }
    }

    /// Runs `decode` on the data of the session with this key; `None` if there is no such session, or it has expired.
    ///
    /// # Errors
    /// The database's, or [`DbError::Busy`] if other sessions have taken all the time until the deadline.
    pub async fn read<T: Send + 'static>(
        &self,
        deadline: Instant,
        key: String,
        now: StoredTime,
        decode: impl FnOnce(&str, KeyType) -> T + Send + 'static,
    ) -> Result<Option<T>, DbError> {
        let busy = || DbError::Busy("other large sessions are being read");
        let left = || deadline.saturating_duration_since(Instant::now());
        let permit = timeout(left(), Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(busy)?;
        let find = move |connection: &mut Connection, table: &UserTable| {
            let data = SessionRow::find(connection, &key, now)?;
            Ok::<_, DbError>(data.map(|data| (data, table.key_type())))
        };
        let Some((data, key_type)) = self.db.run(deadline, find).await? else {
            return Ok(None);
        };
        let decoded = self.worker.start(move |_| {
            let decoded = decode(&data, key_type);
            drop((data, permit));
            decoded
        });
        let decoded = decoded.result(left(), Duration::ZERO).await;
        decoded.map(Some).ok_or_else(busy)
    }
}
