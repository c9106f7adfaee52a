//! Health checks and metrics for operators: without authentication and host check, so their answers tell nothing that helps
//! an attacker.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use futures_util::future::join;
use log::Level;
use tokio::sync::Semaphore;

use crate::error::RETRY_AFTER_SECONDS;
use crate::state::State;
use crate::telemetry::metrics::CONTENT_TYPE;

/// `GET healthz`: the process is alive. Asks the database nothing.
pub async fn healthz() -> HttpResponse {
    ok()
}

/// Permits for requests of readyz that wait for the database, so that they can't take all connections of a listener.
pub struct ReadinessPermits(Semaphore);

impl ReadinessPermits {
    /// Permits for this number of requests.
    pub fn new(permits: usize) -> ReadinessPermits {
        ReadinessPermits(Semaphore::new(permits))
    }
}

/// `GET readyz`: 200 if the database answers, both tables can be read, and large exports can be spooled; otherwise 503 and the
/// name of the check that failed. Also 503 once the service stops, and without a permit.
pub async fn readyz(state: Data<State>, permits: Data<ReadinessPermits>) -> HttpResponse {
    if state.is_stopping.load(Ordering::Relaxed) {
        return unavailable(r#"{"status":"stopping"}"#.to_owned());
    }
    let Ok(_permit) = permits.0.try_acquire() else {
        return not_ready(&state, "database", &"too many requests wait for its answer");
    };
    match join(state.db.ready(), state.temporary_folder.check()).await {
        (Ok(()), Ok(())) => ok(),
        (Err(failed), _) => not_ready(&state, failed.0, &failed.1),
        (Ok(()), Err(error)) => not_ready(&state, "temporary_folder", &error),
    }
}

fn ok() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"status":"ok"}"#)
}

fn not_ready(state: &State, check: &str, cause: &dyn Display) -> HttpResponse {
    let message = format_args!("not ready: {check}: {cause}");
    let log = &state.rate_limited_log;
    log.every_minute(Level::Warn, module_path!(), message);
    unavailable(format!(r#"{{"status":"unavailable","failed":"{check}"}}"#))
}

/// `GET metrics`: the metrics for Prometheus, on the operators' listener alone.
pub async fn metrics(state: Data<State>) -> HttpResponse {
    let metrics = &state.metrics;
    metrics.set_password_queue(state.passwords.queue_length());
    for figures in state.db.figures() {
        metrics.set_database(&figures);
    }
    let (questions, queries) = state.db.statistics_figures();
    metrics.set_statistics(questions, queries);
    match metrics.text() {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(error) => {
            log::warn!("the metrics can't be written: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn unavailable(json: String) -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS))
        .content_type("application/json")
        .body(json)
}
