//! Health checks for operators: no authentication, no host check, nothing that helps an attacker.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use log::warn;

use crate::server::State;

/// `GET healthz`: the process is alive. It asks the database nothing.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"status":"ok"}"#)
}

/// `GET readyz`: the database answers and both tables are as they should be; else 503 and the name of the failing check.
/// Also 503 once the service is asked to stop.
pub async fn readyz(state: Data<State>) -> HttpResponse {
    if state.is_stopping.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable()
            .content_type("application/json")
            .body(r#"{"status":"stopping"}"#);
    }
    let (status, body) = match state.db.ready().await {
        Ok(()) => (StatusCode::OK, r#"{"status":"ok"}"#.to_owned()),
        Err(failed) => {
            let (check, error) = &*failed;
            warn!("not ready: {check}: {error}");
            let body = format!(r#"{{"status":"unavailable","failed":"{check}"}}"#);
            (StatusCode::SERVICE_UNAVAILABLE, body)
        }
    };
    HttpResponse::build(status)
        .content_type("application/json")
        .body(body)
}
