//! The data collected about one request, for its access line, its audit lines and the metrics.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use actix_web::{HttpMessage, HttpRequest};

use crate::route::Route;

/// Data collected about a request, stored in its extensions.
#[derive(Default)]
pub struct Trace {
    pub(crate) id: String,
    /// The client's address; `None` for a client of the unix socket
    pub(crate) address: Option<String>,
    /// `None` while it is not resolved, and for unknown paths
    pub(crate) route: Cell<Option<Route>>,
    pub(crate) user: RefCell<Option<String>>,
    /// The time spent waiting for the database
    pub(crate) database: Cell<Duration>,
    pub(crate) hashing: Cell<Duration>,
    /// How many users the answer exports
    pub(crate) exported_rows: Cell<Option<u64>>,
}

impl Trace {
    /// The trace of this request.
    pub fn of(req: &HttpRequest) -> Rc<Trace> {
        req.extensions()
            .get::<Rc<Trace>>()
            .cloned()
            .unwrap_or_default()
    }

    /// The route; `None` while it is not resolved, and for unknown paths.
    pub fn route(&self) -> Option<Route> {
        self.route.get()
    }

    /// The name of the route in log lines and metrics.
    pub fn route_label(&self) -> &'static str {
        self.route.get().map_or("other", Route::label)
    }

    /// Sets the id of the authenticated user.
    pub fn set_user(&self, user: &impl ToString) {
        self.user.replace(Some(user.to_string()));
    }

    /// The id of the authenticated user.
    pub fn user(&self) -> Option<String> {
        self.user.borrow().clone()
    }

    /// Adds the time until `answer` is ready to the database's time.
    pub async fn time_database<T>(&self, answer: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = answer.await;
        self.database.set(self.database.get() + began.elapsed());
        answer
    }

    /// Adds time spent hashing, the wait in the queue included.
    pub fn add_hashing(&self, time: Duration) {
        self.hashing.set(self.hashing.get() + time);
    }
}

/// Makes request ids: a random number of the process, and a counter.
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that no other process makes.
    pub fn new() -> Result<RequestIds, getrandom::Error> {
        Ok(RequestIds {
            process: getrandom::u64()?,
            next: AtomicU64::new(getrandom::u64()?),
        })
    }

    /// The next id.
    pub fn next(&self) -> HeaderValue {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}{next:016x}", self.process);
        // Hexadecimal digits always make a header.
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
    }
}
