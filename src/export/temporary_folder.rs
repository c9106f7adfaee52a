//! Whether large exports can be spooled: the check of the folder of temporary files for `readyz` and `check`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::timeout;
use tokio::sync::Semaphore;

use super::spool;
use crate::blocking::workers::Workers;
use crate::db::error::ExportError;

/// How long the folder may take, which may be a network's.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The folder of temporary files, checked by one caller at a time.
pub struct TemporaryFolder {
    permit: Arc<Semaphore>,
    worker: Arc<Workers>,
}

impl Default for TemporaryFolder {
    fn default() -> Self {
        TemporaryFolder {
            permit: Arc::new(Semaphore::new(1)),
            worker: Workers::new("temporary-folder", 1),
        }
    }
}

impl TemporaryFolder {
    /// Writes a small file that has no name, and sees that there is room for more.
    ///
    /// # Errors
    /// [`ExportError::Spool`]
    pub async fn check(&self) -> Result<(), ExportError> {
        // The job holds the permit: a folder that hangs holds up one job, however often it is checked.
        let checked = timeout(TIMEOUT, async {
            let permit = Arc::clone(&self.permit).acquire_owned().await.ok()?;
            let job = self.worker.start(move |_| {
                let checked = check();
                drop(permit);
                checked
            });
            job.result(TIMEOUT, TIMEOUT).await
        });
        let silent = || Err(ExportError::Spool(io::ErrorKind::TimedOut.into()));
        checked.await.ok().flatten().unwrap_or_else(silent)
    }
}

/// The same, blocking.
///
/// # Errors
/// [`ExportError::Spool`]
pub fn check() -> Result<(), ExportError> {
    spool::probe().map_err(ExportError::Spool)
}
