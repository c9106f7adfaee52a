//! Health checks and metrics for operators: without authentication and host check, so their answers tell nothing that helps
//! an attacker.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use futures_util::future::join;
use log::Level;

use crate::error::RETRY_AFTER_SECONDS;
use crate::state::State;
use crate::telemetry::metrics::CONTENT_TYPE;

/// `GET healthz`: the process is alive. Asks the database nothing.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"status":"ok"}"#)
}

/// `GET readyz`: 200 if the database answers, both tables can be read, and large exports can be spooled; otherwise 503 and the
/// name of the check that failed. Also 503 once the service stops.
pub async fn readyz(state: Data<State>) -> HttpResponse {
    if state.is_stopping.load(Ordering::Relaxed) {
        return unavailable(r#"{"status":"stopping"}"#.to_owned());
    }
    let (database, folder) = join(state.db.ready(), state.temporary_folder.check()).await;
    let (check, error) = match (database, folder) {
        (Err(failed), _) => (failed.0, failed.1.to_string()),
        (Ok(()), Err(error)) => ("temporary_folder", error.to_string()),
        (Ok(()), Ok(())) => {
            return HttpResponse::Ok()
                .content_type("application/json")
                .body(r#"{"status":"ok"}"#);
        }
    };
    let message = format_args!("not ready: {check}: {error}");
    let log = &state.rate_limited_log;
    log.every_minute(Level::Warn, module_path!(), message);
    unavailable(format!(r#"{{"status":"unavailable","failed":"{check}"}}"#))
}

/// `GET metrics`: the metrics for Prometheus, on the operators' listener alone.
pub async fn metrics(state: Data<State>) -> HttpResponse {
    let metrics = &state.metrics;
    metrics.set_password_queue(state.passwords.queue_length());
    for pool in state.db.pools() {
        let connections = [pool.idle, pool.used, pool.most];
        metrics.set_pool(pool.database, connections, pool.is_up);
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
