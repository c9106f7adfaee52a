//! The answers of the customer's two views to a query that failed.

use log::Level;

use crate::db::error::{DbError, ExportError};
use crate::django::negotiation::Renderer;
use crate::error::{Error, Kind};
use crate::telemetry::{RateLimitedLog, truncated};

/// The views' own logger, which the customer's `LOGGING` writes to `watchtower.log`.
pub(super) const LOGGER: &str = "api.views.admin.admin_views";

/// What `export_stats` answers when its figures can't be had.
pub(super) fn stats_error(log: &RateLimitedLog, error: &ExportError, renderer: Renderer) -> Error {
    view_error(log, error, renderer, |details| {
        let message = format!("Error getting export stats: {}", truncated(&details));
        log.every_minute(Level::Error, LOGGER, message);
        Kind::StatsFailed
    })
}

/// An outage is 503; what the view's own `try` would catch becomes its documented body; what it would not, Django's page.
pub(super) fn view_error(
    log: &RateLimitedLog,
    error: &ExportError,
    renderer: Renderer,
    failed: impl FnOnce(String) -> Kind,
) -> Error {
    match error {
        ExportError::Database(error @ DbError::Unavailable(_)) => {
            Error::unavailable(error, renderer)
        }
        ExportError::Database(error) => Error::rendered(failed(error.to_string()), renderer),
        ExportError::View(details) => Error::rendered(failed(details.clone()), renderer),
        // No room on the disk or no descriptor, for now.
        ExportError::Spool(error) => Error::unavailable(
            &DbError::Unavailable(format!("no spool: {error}")),
            renderer,
        ),
        ExportError::Unrenderable => {
            let message = "Internal Server Error: a value is not JSON serializable";
            log.every_minute(Level::Error, "django.request", message);
            Error::new(Kind::ServerErrorPage)
        }
    }
}
