//! What the requests of a connection report to it: which are in progress, and what bodies they have.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Waker;

use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::Instant;

/// The state that the requests of a connection share with it.
pub struct Activity {
    pub(super) requests: Cell<u64>,
    pub(super) body: Cell<BodyFraming>,
    pub(super) in_progress: Cell<u32>,
    pub(super) latest: Cell<Instant>,
    /// The connection's task, while it waits for a request to be answered before it reads on
    pub(super) reader: Cell<Option<Waker>>,
    /// Whether the latest request replaces one whose head was too large
    pub is_head_too_large: Cell<bool>,
}

/// The kind of body that a request announces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// Nothing, or `Content-Length: 0`
    None,
    /// A known number of bytes
    Length,
    /// Chunks, which may never end: the request is the connection's last
    Chunked,
}

impl BodyFraming {
    /// The kind that these headers announce.
    pub fn of(headers: &HeaderMap) -> BodyFraming {
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return BodyFraming::Chunked;
        }
        let length = headers.get(header::CONTENT_LENGTH);
        match length.is_none_or(|length| length.as_bytes().iter().all(|digit| *digit == b'0')) {
            true => BodyFraming::None,
            false => BodyFraming::Length,
        }
    }
}

/// A request that is being answered. Dropping it marks the answer as sent.
pub struct InProgress(Rc<Activity>);

impl Default for Activity {
    /// A connection without requests.
    fn default() -> Activity {
        Activity {
            requests: Cell::new(0),
            body: Cell::new(BodyFraming::None),
            in_progress: Cell::new(0),
            latest: Cell::new(Instant::now()),
            reader: Cell::new(None),
            is_head_too_large: Cell::new(false),
        }
    }
}

impl Activity {
    /// Records the start of a request.
    pub fn begin(self: &Rc<Self>, body: BodyFraming) -> InProgress {
        self.body.set(body);
        self.requests.set(self.requests.get() + 1);
        self.in_progress.set(self.in_progress.get() + 1);
        InProgress(Rc::clone(self))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.set(self.0.in_progress.get() - 1);
        self.0.latest.set(Instant::now());
        if let Some(reader) = self.0.reader.take() {
            reader.wake();
        }
    }
}
