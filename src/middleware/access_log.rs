//! The outermost middleware but one: gives each request an id and a [`Trace`], and writes its access line and its metrics when
//! the last byte of the answer is gone. Audit lines ([`crate::telemetry::audit`]) are written before the first byte leaves.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use log::Level;

use crate::client_connection::activity::{Activity, BodyFraming, InProgress};
use crate::error::{self, Error};
use crate::request::{client, is_from_proxy};
use crate::route::Route;
use crate::state::State;
use crate::telemetry::trace::Trace;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a proxy, in bytes.
const LONGEST_ID: usize = 128;

/// Gives the request an id and a [`Trace`], and logs and counts it at its end.
pub async fn access_log(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let began = Instant::now();
    // `server/http.rs` adds it.
    let Some(state) = req.app_data::<Data<State>>().cloned() else {
        return Ok(next.call(req).await?.map_into_boxed_body());
    };
    let given = req.headers().get(X_REQUEST_ID).cloned();
    let given = given.filter(|id| is_usable(id) && is_from_proxy(&state, req.request()));
    let id = given.unwrap_or_else(|| state.request_ids.next());
    let method = known(req.method());
    let trace = Rc::new(Trace {
        id: id.to_str().unwrap_or_default().to_owned(),
        address: client(&state, req.request()).map(|address| address.to_string()),
        ..Trace::default()
    });
    req.extensions_mut().insert(Rc::clone(&trace));
    // No timeout of the connection runs while the request is answered.
    let activity = req.conn_data::<Rc<Activity>>();
    let in_progress = activity.map(|activity| activity.begin(BodyFraming::of(req.headers())));

    let mut response = next.call(req).await?;
    response.headers_mut().insert(X_REQUEST_ID, id);
    let status = response.status();
    let error = response.response().error();
    if let Some(cause) = error.and_then(|error| error.as_error::<Error>()?.cause.as_deref()) {
        let log = &state.rate_limited_log;
        log.every_minute(Level::Error, error::LOGGER, cause);
    }
    Ok(response.map_body(|_, body| {
        let is_sent = matches!(body.size(), BodySize::None | BodySize::Sized(0));
        BoxBody::new(LoggedBody {
            body: body.boxed(),
            sent: 0,
            is_sent,
            state,
            trace,
            method,
            status,
            began,
            _in_progress: in_progress,
        })
    }))
}

/// Whether a proxy's request id can stand in a log line as it is.
fn is_usable(id: &HeaderValue) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(legal)
}

/// The name of a known method: a client must not invent labels.
fn known(method: &Method) -> &'static str {
    let mut known = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"].into_iter();
    let name = known.find(|name| *name == method.as_str());
    name.unwrap_or("other")
}

/// An answer's body that logs its request when it is dropped, and keeps it in progress until then.
struct LoggedBody {
    body: BoxBody,
    sent: u64,
    is_sent: bool,
    state: Data<State>,
    trace: Rc<Trace>,
    method: &'static str,
    status: StatusCode,
    began: Instant,
    _in_progress: Option<InProgress>,
}

impl MessageBody for LoggedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => self.sent += bytes.len() as u64,
            Poll::Ready(None) => self.is_sent = true,
            _ => {}
        }
        next
    }
}

impl Drop for LoggedBody {
    fn drop(&mut self) {
        let (trace, metrics) = (&self.trace, &self.state.metrics);
        let took = self.began.elapsed();
        let (route, bytes) = (trace.route_label(), self.sent);
        metrics.answered(route, self.method, self.status.as_str(), took);
        if let Some(rows) = trace.exported_rows.get() {
            let outcome = if self.is_sent { "sent" } else { "cut" };
            metrics.exported(outcome, rows, bytes);
        }
        let mut repeated = None;
        let level = match self.status.is_server_error() {
            true => {
                // One line a minute is a warning in an outage; the others stay at the usual level.
                repeated = self.state.rate_limited_log.admit((route, self.status));
                repeated.map_or(Level::Info, |_| Level::Warn)
            }
            // Health checks come every few seconds.
            false if trace.route().is_some_and(Route::is_for_operators) => return,
            false => Level::Info,
        };
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1000.0;
        log::log!(target: "access", level,
            request_id = trace.id, address = trace.address.as_deref(), user = trace.user().as_deref(),
            method = self.method, route, status = self.status.as_u16(), bytes, is_cut = !self.is_sent,
            ms = milliseconds(took), database_ms = milliseconds(trace.database.get()),
            hashing_ms = milliseconds(trace.hashing.get()), repeated = repeated.filter(|count| *count > 0);
            "request");
    }
}
