//! What one request did: noted while it is answered, and told when the last byte of the answer is gone, as one access line
//! and to the metrics. Audit lines ([`super::audit`]) are written before the first byte leaves.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage, HttpRequest};
use log::Level;

use crate::error::{self, Error};
use crate::request;
use crate::route::Route;
use crate::state::State;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over, in bytes.
const LONGEST_ID: usize = 128;

/// What is known of a request. In its extensions, for whoever has something to add.
#[derive(Default)]
pub struct Trace {
    id: String,
    address: Option<IpAddr>,
    route: Cell<Option<Route>>,
    user: RefCell<Option<String>>,
    database: Cell<Duration>,
    hashing: Cell<Duration>,
    exported_rows: Cell<Option<u64>>,
}

impl Trace {
    /// The request's.
    pub fn of(req: &HttpRequest) -> Rc<Trace> {
        req.extensions()
            .get::<Rc<Trace>>()
            .cloned()
            .unwrap_or_default()
    }

    /// Which route it takes.
    pub fn set_route(&self, route: Route) {
        self.route.set(Some(route));
    }

    /// The route it takes.
    pub fn route(&self) -> Option<Route> {
        self.route.get()
    }

    /// Who is calling: the user's id.
    pub fn set_user(&self, user: &impl ToString) {
        self.user.replace(Some(user.to_string()));
    }

    /// Counts the time until `answer` comes as the database's.
    pub async fn time_database<T>(&self, answer: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = answer.await;
        self.database.set(self.database.get() + began.elapsed());
        answer
    }

    /// Counts this time as hashing, waiting for a turn included.
    pub fn add_hashing(&self, time: Duration) {
        self.hashing.set(self.hashing.get() + time);
    }

    /// The request's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The client's address as text; `None` for a client of the unix socket.
    pub(super) fn address(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }

    /// The caller's id.
    pub(super) fn user(&self) -> Option<String> {
        self.user.borrow().clone()
    }

    /// The name of the route in log lines and metrics.
    pub(super) fn route_label(&self) -> &'static str {
        self.route.get().map_or("other", Route::label)
    }

    /// How many users the answer exports, for the metrics.
    pub(super) fn set_exported_rows(&self, rows: u64) {
        self.exported_rows.set(Some(rows));
    }
}

/// The middleware around all others: gives the request an id and a [`Trace`], and tells what became of it.
///
/// # Errors
/// Those of the service it wraps.
pub async fn observe(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let began = Instant::now();
    // `server.rs` adds it.
    let Some(state) = req.app_data::<Data<State>>().cloned() else {
        return Ok(next.call(req).await?.map_into_boxed_body());
    };
    let given = req.headers().get(X_REQUEST_ID).cloned();
    let given = given.filter(|id| is_usable(id) && request::is_from_proxy(&state, req.request()));
    let id = given.unwrap_or_else(|| state.request_ids.next());
    let method = known(req.method());
    let trace = Rc::new(Trace {
        id: id.to_str().unwrap_or_default().to_owned(),
        address: request::client(&state, req.request()),
        ..Trace::default()
    });
    req.extensions_mut().insert(Rc::clone(&trace));

    let mut response = next.call(req).await?;
    response.headers_mut().insert(X_REQUEST_ID, id);
    let status = response.status();
    let error = response.response().error();
    if let Some(cause) = error.and_then(|error| error.as_error::<Error>()?.cause()) {
        let log = &state.rate_limited_log;
        log.every_minute(Level::Error, error::LOGGER, cause);
    }
    Ok(response.map_body(|_, body| {
        let is_sent = matches!(body.size(), BodySize::None | BodySize::Sized(0));
        BoxBody::new(Observed {
            body: body.boxed(),
            sent: 0,
            is_sent,
            end: End {
                state,
                trace,
                method,
                status,
                began,
            },
        })
    }))
}

/// Whether an id may stand in a log line as it is.
fn is_usable(id: &HeaderValue) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(legal)
}

/// Request ids of our own: random numbers of the process, counted up.
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that no other process has.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> Result<RequestIds, getrandom::Error> {
        Ok(RequestIds {
            process: getrandom::u64()?,
            next: AtomicU64::new(getrandom::u64()?),
        })
    }

    fn next(&self) -> HeaderValue {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}{next:016x}", self.process);
        // Digits only.
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// A method's name, unless it is of the client's own invention.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// A body that tells its end.
struct Observed {
    body: BoxBody,
    sent: u64,
    is_sent: bool,
    end: End,
}

impl MessageBody for Observed {
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

impl Drop for Observed {
    fn drop(&mut self) {
        self.end.tell(self.sent, self.is_sent);
    }
}

/// What is told at the end.
struct End {
    state: Data<State>,
    trace: Rc<Trace>,
    method: &'static str,
    status: StatusCode,
    began: Instant,
}

impl End {
    fn tell(&self, bytes: u64, is_sent: bool) {
        let (trace, metrics) = (&self.trace, &self.state.metrics);
        let took = self.began.elapsed();
        let (route, label) = (trace.route.get(), trace.route_label());
        metrics.answered(label, self.method, self.status.as_str(), took);
        if let Some(rows) = trace.exported_rows.get() {
            let outcome = if is_sent { "sent" } else { "cut" };
            metrics.exported(outcome, rows, bytes);
        }
        let mut repeated = None;
        let level = match self.status.is_server_error() {
            true => {
                // An outage is warned of once a minute; the other requests have their lines at the usual level.
                repeated = self.state.rate_limited_log.admit((label, self.status));
                repeated.map_or(Level::Info, |_| Level::Warn)
            }
            // They come every few seconds, for ever.
            false if route.is_some_and(Route::is_for_operators) => return,
            false => Level::Info,
        };
        if !log::log_enabled!(target: "access", level) {
            return;
        }
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1000.0;
        let (user, address) = (trace.user(), trace.address());
        let repeated = repeated.filter(|count| *count > 0);
        let (method, status) = (self.method, self.status.as_u16());
        log::log!(target: "access", level,
            request_id = trace.id.as_str(), address = address.as_deref(), user = user.as_deref(),
            method, route = label, status, bytes, is_cut = !is_sent,
            ms = milliseconds(took), database_ms = milliseconds(trace.database.get()),
            hashing_ms = milliseconds(trace.hashing.get()), repeated;
            "request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_only_if_it_can_stand_in_a_line() {
        let usable = |id: &str| is_usable(&HeaderValue::from_str(id).unwrap());
        assert!(usable("0af7651916cd43dd8448eb211c80319c"));
        assert!(usable("Root=1-67891233-abcdef012345678912345678"));
        assert!(!usable(""));
        assert!(!usable("a b"));
        assert!(!usable("a\"b"));
        assert!(!usable(&"x".repeat(129)));
    }
}
