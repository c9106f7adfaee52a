//! Whether large exports can be spooled: the check of the folder of temporary files for `readyz` and `check`.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::timeout;
use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;
use tokio::sync::Semaphore;

use super::spool::RUN;
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
            worker: Workers::new("temp-folder", 1),
        }
    }
}

impl TemporaryFolder {
    /// Writes a small file that has no name, and sees that there is room for more.
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
pub fn check() -> Result<(), ExportError> {
    let check = || -> io::Result<()> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&[0; 4096])?;
        let system = fstatvfs(&file)?;
        let free = system.blocks_available() * system.fragment_size();
        // A file system without a size of its own has no blocks.
        match system.blocks() > 0 && free < RUN as u64 {
            true => Err(Errno::ENOSPC.into()),
            false => Ok(()),
        }
    };
    check().map_err(ExportError::Spool)
}
