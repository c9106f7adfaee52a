//! A client's connection with the limits that actix-http does not have: a timeout for the head of every request but the
//! first, for bytes that make no request, and for a client that does not read its answer; and a limit to the bytes that are
//! buffered. Requests are handed to Actix head by head ([`RequestHead`]), and no client keeps a worker to itself.
//! (`TCP_USER_TIMEOUT` does not replace the write timeout: the kernel would cut off a client that reads 16 KiB a second.)

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::{Instant, Sleep, sleep_until};
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::request_head::{END_LENGTH, RequestHead};

/// The most bytes that are read before other connections have their turn: a client may send requests without end.
const MOST_AT_ONCE: usize = 8 * 1024;

/// The most bytes that are read of a body, and of what stands behind it, while its request is being answered. Login's
/// largest body fits in, also in chunks of 16 bytes.
const MOST_BEHIND_HEAD: usize = 32 * 1024;

/// What every head ends with.
const END_OF_HEAD: &[u8; END_LENGTH] = b"\r\n\r\n";

/// The limits of one connection.
#[derive(Clone, Copy)]
pub struct Limits {
    /// For a head, from its first byte on
    pub head: Duration,
    /// Without a request
    pub idle: Duration,
    /// For the rest of a body whose request has been answered
    pub rest: Duration,
    /// Without a byte taken of what is sent
    pub write: Duration,
}

/// What happens on a connection, as the requests tell it.
pub struct Activity {
    requests: Cell<u64>,
    body: Cell<Body>,
    in_progress: Cell<u32>,
    latest: Cell<Instant>,
    /// The connection's task, while it reads no further until the request is answered
    reader: Cell<Option<Waker>>,
    is_head_too_large: Cell<bool>,
}

/// What a request has behind its head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing, or `Content-Length: 0`
    None,
    /// Bytes of a known number
    Length,
    /// Chunks, which may never end: it is the connection's last request
    Chunked,
}

impl Body {
    /// What these headers announce.
    pub fn of(headers: &HeaderMap) -> Body {
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return Body::Chunked;
        }
        let length = headers.get(header::CONTENT_LENGTH);
        match length.is_none_or(|length| length.as_bytes().iter().all(|digit| *digit == b'0')) {
            true => Body::None,
            false => Body::Length,
        }
    }
}

/// A request that is being answered, until it is dropped.
pub struct InProgress(Rc<Activity>);

impl Activity {
    /// Whether the latest request stands for one whose head was too large.
    pub fn is_head_too_large(&self) -> bool {
        self.is_head_too_large.get()
    }

    /// Notes that a request has come.
    pub fn begin(self: &Rc<Self>, body: Body) -> InProgress {
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

/// An answer's body: until all of it is on its way, its request is in progress.
pub struct Sending<B> {
    body: B,
    _in_progress: Option<InProgress>,
}

impl<B> Sending<B> {
    /// The body of this request's answer.
    pub fn new(body: B, in_progress: Option<InProgress>) -> Sending<B> {
        Sending {
            body,
            _in_progress: in_progress,
        }
    }
}

impl<B: MessageBody + Unpin> MessageBody for Sending<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

/// A stream of either family of sockets.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The connection.
pub struct Watched<T = Box<dyn Stream>> {
    io: T,
    limits: Limits,
    activity: Rc<Activity>,
    /// When bytes came that may be the beginning of a head, and how many requests had come before
    fresh: Option<(Instant, u64)>,
    /// The last bytes that came
    tail: [u8; END_LENGTH],
    /// The head that is being collected or handed over
    head: Option<RequestHead>,
    /// How many bytes came while this request, by its number, was being answered
    behind_head: (u64, usize),
    /// More may be there, but Actix parses what it has, and other connections come first
    has_had_its_turn: bool,
    idle_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Watched<T> {
    /// With these limits from now on.
    pub fn new(io: T, limits: Limits) -> Watched<T> {
        let activity = Activity {
            requests: Cell::new(0),
            body: Cell::new(Body::None),
            in_progress: Cell::new(0),
            latest: Cell::new(Instant::now()),
            reader: Cell::new(None),
            is_head_too_large: Cell::new(false),
        };
        Watched {
            io,
            limits,
            activity: Rc::new(activity),
            fresh: None,
            tail: *END_OF_HEAD,
            head: None,
            behind_head: (0, 0),
            has_had_its_turn: false,
            idle_timer: None,
            write_timer: None,
        }
    }

    /// For the requests of this connection to tell of themselves.
    pub fn activity(&self) -> Rc<Activity> {
        Rc::clone(&self.activity)
    }

    /// Notes which bytes came; an error if they have come for too long without making a request.
    fn bytes_came(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in &bytes[bytes.len().saturating_sub(self.tail.len())..] {
            self.tail.rotate_left(1);
            self.tail[END_OF_HEAD.len() - 1] = *byte;
        }
        let requests = self.activity.requests.get();
        match self.fresh {
            Some((since, earlier)) if earlier == requests => {
                let is_late = self.head_deadline(since) < Instant::now();
                if is_late && self.activity.in_progress.get() == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            _ => self.fresh = Some((Instant::now(), requests)),
        }
        Ok(())
    }

    /// Until when a head must have come whose first bytes came then, or what may also be the rest of a body. It may have
    /// had to wait for the end of an answer.
    fn head_deadline(&self, since: Instant) -> Instant {
        let behind_an_answer = match self.activity.body.get() {
            Body::None => self.limits.head,
            Body::Length | Body::Chunked => self.limits.rest,
        };
        (since + self.limits.head).max(self.activity.latest.get() + behind_an_answer)
    }

    /// Until when something must have come.
    fn deadline(&self) -> Instant {
        let Activity {
            requests, latest, ..
        } = &*self.activity;
        if self.activity.in_progress.get() > 0 {
            // To look again by then.
            return Instant::now() + self.limits.rest;
        }
        let head = self.limits.head;
        match (self.fresh, self.activity.body.get()) {
            (Some((since, earlier)), _) if earlier == requests.get() => self.head_deadline(since),
            // The next head has begun in one breath with the latest request.
            (Some(_), Body::None) if self.tail != *END_OF_HEAD => latest.get() + head,
            (_, Body::Chunked) => latest.get() + self.limits.rest,
            _ => latest.get() + self.limits.idle,
        }
    }

    /// Ready when there was nothing to read for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline();
        let timer = self
            .idle_timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // A timer that goes off too early is set again then.
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl<T: AsyncRead + Unpin> Watched<T> {
    /// Reads a piece into `buf`; an error when nothing came for too long.
    fn poll_piece(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = buf.remaining().min(MOST_AT_ONCE);
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(most));
        if Pin::new(&mut self.io)
            .poll_read(cx, &mut piece)?
            .is_pending()
        {
            ready!(self.poll_idle(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let came = piece.filled().len();
        self.has_had_its_turn = came == MOST_AT_ONCE;
        buf.advance(came);
        Poll::Ready(Ok(()))
    }

    /// Reads on while a request is being answered: its body alone, and not without end.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let requests = self.activity.requests.get();
        if self.behind_head.0 != requests {
            self.behind_head = (requests, 0);
        }
        let room = match self.activity.body.get() {
            Body::None => 0,
            Body::Length | Body::Chunked => MOST_BEHIND_HEAD.saturating_sub(self.behind_head.1),
        };
        if room == 0 {
            self.activity.reader.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(self.poll_piece(cx, buf))?;
        let came = &buf.filled()[before..];
        self.behind_head.1 += came.len();
        if !came.is_empty() {
            self.bytes_came(came)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Collects a head until it is whole (`true`) or the client sends no more (`false`).
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [0; MOST_AT_ONCE];
        loop {
            let mut piece = ReadBuf::new(&mut bytes);
            ready!(self.poll_piece(cx, &mut piece))?;
            let came = piece.filled();
            if came.is_empty() {
                return Poll::Ready(Ok(false));
            }
            let tail = self.tail;
            self.bytes_came(came)?;
            // What comes behind a head that is too large is dropped.
            if !self.activity.is_head_too_large() {
                let head = self.head.get_or_insert_with(|| RequestHead::behind(tail));
                head.push(came);
                self.activity.is_head_too_large.set(head.is_too_large());
                if head.is_whole() {
                    return Poll::Ready(Ok(true));
                }
            }
            if std::mem::take(&mut self.has_had_its_turn) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.has_had_its_turn) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.head.as_ref().is_none_or(|head| !head.is_whole()) {
            if this.activity.in_progress.get() > 0 {
                return this.poll_body(cx, buf);
            }
            if !ready!(this.poll_head(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        if let Some(head) = &mut this.head {
            buf.put_slice(head.take(buf.remaining()));
            if head.is_taken() {
                this.head = None;
                // Actix parses it before more is read: by then it is known whether a body follows.
                this.has_had_its_turn = true;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = Pin::new(&mut this.io).poll_write(cx, bytes) {
            this.write_timer = None;
            this.activity.latest.set(Instant::now());
            return Poll::Ready(written);
        }
        let limit = this.limits.write;
        let timer = this
            .write_timer
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        match this.activity.is_head_too_large() {
            // The client has its last answer. It need not wait for the end of the time in which it may go on sending.
            true => Pin::new(&mut this.io).poll_shutdown(cx),
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
