//! The answers of the customer's two views to a query that failed.

use log::Level;

use crate::db::error::{DbError, ExportError};
use crate::django::negotiation::Renderer;
use crate::error::{Error, ErrorKind};
use crate::telemetry::{RateLimitedLog, truncated};

/// The views' own logger, which the customer's `LOGGING` writes to `watchtower.log`.
pub(super) const LOGGER: &str = "api.views.admin.admin_views";

/// The answer of `export_stats` to a failed query.
pub(super) fn stats_error(log: &RateLimitedLog, error: &ExportError, renderer: Renderer) -> Error {
    view_error(log, error, renderer, |details| {
        let message = format!("Error getting export stats: {}", truncated(&details));
        log.every_minute(Level::Error, LOGGER, message);
        ErrorKind::StatsFailed
    })
}

/// The answer to a failed query: 503 for an outage; the view's own body for what its `try` catches; Django's page for the
/// rest.
pub(super) fn view_error(
    log: &RateLimitedLog,
    error: &ExportError,
    renderer: Renderer,
    failed: impl FnOnce(String) -> ErrorKind,
) -> Error {
    match error {
        ExportError::Database(error @ DbError::Unavailable(_)) => {
            Error::unavailable(error, renderer)
        }
        ExportError::Database(error) => Error::rendered(failed(error.to_string()), renderer),
        ExportError::View(details) => Error::rendered(failed(details.clone()), renderer),
        // The disk is full, or no descriptor is left.
        ExportError::Spool(_) => Error::unavailable(error, renderer),
        ExportError::Unrenderable => {
            let message = format!("Internal Server Error: {error}");
            log.every_minute(Level::Error, "django.request", message);
            Error::from(ErrorKind::ServerErrorPage)
        }
    }
}
