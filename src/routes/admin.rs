//! The customer's two views: `export_users` and `export_stats` of `api/views/admin/admin_views.py`.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use log::{Level, info};

use super::view_error::{LOGGER, stats_error, view_error};
use super::{page, parameters};
use crate::auth::AdminUser;
use crate::django::metadata;
use crate::django::negotiation::Format;
use crate::error::{Error, ErrorKind};
use crate::export::{Export, ExportRequest, stats_json};
use crate::request::deadline;
use crate::response;
use crate::state::State;
use crate::telemetry::trace::Trace;
use crate::telemetry::truncated;

/// `GET export-users/`: every active TV user, oldest first.
pub async fn export_users(
    admin: AdminUser,
    state: Data<State>,
    req: HttpRequest,
) -> Result<HttpResponse, Error> {
    let renderer = admin.renderer;
    let request = ExportRequest {
        dates: state.dates.clone(),
        selection: parameters::selection(&admin, &state, &req).await?,
        layout: parameters::layout(&admin)?,
    };
    if renderer.format == Format::Html {
        return page::show(&admin, &state, &req).await;
    }
    let name = truncated(&admin.username);
    info!(target: LOGGER, "Admin user {name} requesting user export for TwentyFour/Seven");
    let log = &state.rate_limited_log;
    let Ok(slot) = Arc::clone(&state.exports).try_acquire_owned() else {
        let message = "export limit (SIDECAR_EXPORT_CONCURRENCY) reached: answering 503";
        log.every_minute(Level::Warn, module_path!(), message);
        state.metrics.exported("busy", 0, 0);
        return Err(Error::rendered(ErrorKind::Unavailable, renderer));
    };
    let failed = |details: String| {
        let message = format!(
            "Error exporting users for TwentyFour/Seven: {}",
            truncated(&details)
        );
        log.every_minute(Level::Error, LOGGER, message);
        ErrorKind::ExportFailed(state.settings().debug.then_some(details))
    };
    let trace = Trace::of(&req);
    let export = Export::collect(&state.db, deadline(&req), request);
    let export = trace.time_database(export).await.map_err(|error| {
        state.metrics.exported("failed", 0, 0);
        view_error(log, &error, renderer, failed)
    })?;
    let count = export.count;
    let (tag, is_known) = (export.tag().to_owned(), export.is_known(&req));
    let link = parameters::next_page(&admin.query, export.next_after.as_deref());
    let mut answer = export.into_response(&req, slot).await.map_err(|error| {
        state.metrics.exported("failed", 0, 0);
        Error::unavailable(&format_args!("the export can't be sent: {error}"), renderer)
    })?;
    info!(target: LOGGER, "Found {count} active TV users for export");
    info!(target: LOGGER, "Successfully exported {count} TV users for TwentyFour/Seven import");
    trace.audit_export(&admin.username, count, &tag, is_known);
    if let Some(link) = link {
        answer.headers_mut().insert(header::LINK, link);
    }
    Ok(answer)
}

/// `GET export-stats/`: how many users there are, and how many would be exported.
pub async fn export_stats(
    admin: AdminUser,
    state: Data<State>,
    req: HttpRequest,
) -> Result<HttpResponse, Error> {
    if admin.renderer.format == Format::Html {
        return page::show(&admin, &state, &req).await;
    }
    let stats = state.db.stats(deadline(&req));
    let stats = Trace::of(&req).time_database(stats).await;
    let stats =
        stats.map_err(|error| stats_error(&state.rate_limited_log, &error, admin.renderer))?;
    let json = stats_json(&stats);
    Ok(response::api_tagged(&req, admin.renderer, json.as_bytes()))
}

/// `OPTIONS export-users/` (`SimpleMetadata`).
pub async fn describe_export_users(
    admin: AdminUser,
    state: Data<State>,
    req: HttpRequest,
) -> Result<HttpResponse, Error> {
    describe(&admin, &state, &req, metadata::EXPORT_USERS)
}

/// `OPTIONS export-stats/` (`SimpleMetadata`).
pub async fn describe_export_stats(
    admin: AdminUser,
    state: Data<State>,
    req: HttpRequest,
) -> Result<HttpResponse, Error> {
    describe(&admin, &state, &req, metadata::EXPORT_STATS)
}

fn describe(
    admin: &AdminUser,
    state: &State,
    req: &HttpRequest,
    json: &str,
) -> Result<HttpResponse, Error> {
    match admin.renderer.format {
        Format::Html => page::options(state, req, json),
        _ => Ok(response::api(
            StatusCode::OK,
            admin.renderer,
            json.as_bytes(),
        )),
    }
}
