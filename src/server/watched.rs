//! A client's connection with the time limits that actix-http does not have: for the head of every request but the first,
//! for what is no request at all, and for a client that does not read what it is sent. It also sees to it that no client
//! has a worker to itself. (`TCP_USER_TIMEOUT` is not for this: the kernel cuts off who reads 16 KiB a second.)

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::time::{Instant, Sleep, sleep_until};
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are read before other connections have their turn: a client may send requests without end.
const MOST_AT_ONCE: usize = 8 * 1024;

/// What every head ends with.
const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

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
}

/// What a request has behind its head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing
    None,
    /// So many bytes
    Length,
    /// Chunks, of which nobody knows whether they will end: it is the connection's last request
    Chunked,
}

/// A request that is being answered, until it is dropped.
pub struct InProgress(Rc<Activity>);

impl Activity {
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
    tail: [u8; END_OF_HEAD.len()],
    /// More may be there, but other connections come first
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
        };
        Watched {
            io,
            limits,
            activity: Rc::new(activity),
            fresh: None,
            tail: *END_OF_HEAD,
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
        let most = buf.remaining().min(MOST_AT_ONCE);
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(most));
        if let Poll::Ready(read) = Pin::new(&mut this.io).poll_read(cx, &mut piece) {
            read?;
            let came = piece.filled().len();
            this.has_had_its_turn = came == MOST_AT_ONCE;
            buf.advance(came);
            if came > 0 {
                let bytes = buf.filled();
                this.bytes_came(&bytes[bytes.len() - came..])?;
            }
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_idle(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::rt::System;
    use actix_web::rt::time::timeout;
    use tokio::io::duplex;

    use super::*;

    const LIMITS: Limits = Limits {
        head: Duration::from_secs(5),
        idle: Duration::from_secs(75),
        rest: Duration::from_secs(1),
        write: Duration::from_secs(30),
    };

    /// Runs with a clock that moves on by itself where everything waits.
    fn with_paused_clock(test: impl Future<Output = ()>) {
        System::new().block_on(async {
            tokio::time::pause();
            test.await;
        });
    }

    /// Reads once; how many seconds it took, and whether it timed out.
    async fn read<T: AsyncRead + Unpin>(watched: &mut Watched<T>) -> (u64, bool) {
        let began = Instant::now();
        let mut bytes = [0; 8];
        let mut buf = ReadBuf::new(&mut bytes);
        let read = std::future::poll_fn(|cx| Pin::new(&mut *watched).poll_read(cx, &mut buf)).await;
        (began.elapsed().as_secs(), read.is_err())
    }

    #[test]
    fn half_a_head_is_waited_for_no_longer_than_a_whole_one_may_take() {
        with_paused_clock(async {
            let (mut client, server) = duplex(1024);
            let mut watched = Watched::new(server, LIMITS);
            let mut send = async || {
                let sent = std::future::poll_fn(|cx| Pin::new(&mut client).poll_write(cx, b"GET"));
                assert_eq!(sent.await.unwrap(), 3);
            };
            send().await;
            assert!(!read(&mut watched).await.1);
            // A whole request is read and answered; the connection is idle, and then half a head comes.
            drop(watched.activity().begin(Body::Length));
            send().await;
            assert!(!read(&mut watched).await.1);
            assert_eq!(read(&mut watched).await, (LIMITS.head.as_secs(), true));
        });
    }

    #[test]
    fn half_a_head_that_came_along_with_a_request_is_half_a_head() {
        for (came, waited) in [
            ("GET / HTTP/1.1\r\n\r\nGET", LIMITS.head),
            ("GET / HTTP/1.1\r\n\r\n", LIMITS.idle),
        ] {
            with_paused_clock(async {
                let (mut client, server) = duplex(1024);
                let mut watched = Watched::new(server, LIMITS);
                let sent = std::future::poll_fn(|cx| {
                    Pin::new(&mut client).poll_write(cx, came.as_bytes())
                });
                sent.await.unwrap();
                while !came.as_bytes().ends_with(&watched.tail) || watched.fresh.is_none() {
                    assert!(!read(&mut watched).await.1);
                }
                drop(watched.activity().begin(Body::None));
                assert_eq!(read(&mut watched).await, (waited.as_secs(), true));
            });
        }
    }

    #[test]
    fn an_idle_connection_ends_and_a_request_in_progress_does_not() {
        with_paused_clock(async {
            let (_client, server) = duplex(1024);
            let mut watched = Watched::new(server, LIMITS);
            let request = watched.activity().begin(Body::None);
            let in_progress = timeout(3 * LIMITS.idle, read(&mut watched)).await;
            assert!(in_progress.is_err());
            drop(request);
            assert_eq!(read(&mut watched).await, (LIMITS.idle.as_secs(), true));
        });
    }

    #[test]
    fn bytes_that_make_no_request_end_in_time_though_they_never_pause() {
        with_paused_clock(async {
            let (mut client, server) = duplex(64 * 1024);
            let mut watched = Watched::new(server, LIMITS);
            let began = Instant::now();
            let late = loop {
                let sent = std::future::poll_fn(|cx| Pin::new(&mut client).poll_write(cx, b"x"));
                assert_eq!(sent.await.unwrap(), 1);
                if read(&mut watched).await.1 {
                    break began.elapsed().as_secs();
                }
                tokio::time::advance(Duration::from_millis(100)).await;
            };
            assert_eq!(late, LIMITS.head.as_secs());
        });
    }

    #[test]
    fn who_sends_without_end_lets_others_have_their_turn() {
        with_paused_clock(async {
            let (mut client, server) = duplex(64 * 1024);
            let mut watched = Watched::new(server, LIMITS);
            let much = vec![b'x'; 2 * MOST_AT_ONCE];
            let sent = std::future::poll_fn(|cx| Pin::new(&mut client).poll_write(cx, &much));
            assert_eq!(sent.await.unwrap(), much.len());
            let mut bytes = vec![0; much.len()];
            let mut buf = ReadBuf::new(&mut bytes);
            let mut polls = Vec::new();
            std::future::poll_fn(|cx| {
                for _ in 0..3 {
                    polls.push(Pin::new(&mut watched).poll_read(cx, &mut buf).is_ready());
                }
                Poll::Ready(())
            })
            .await;
            assert_eq!(polls, [true, false, true]);
        });
    }

    #[test]
    fn who_does_not_read_is_cut_off() {
        with_paused_clock(async {
            let (_client, server) = duplex(8);
            let mut watched = Watched::new(server, LIMITS);
            let mut write = async || {
                let bytes = b"12345678";
                std::future::poll_fn(|cx| Pin::new(&mut watched).poll_write(cx, bytes)).await
            };
            assert_eq!(write().await.unwrap(), 8);
            let began = Instant::now();
            let error = write().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(began.elapsed().as_secs(), LIMITS.write.as_secs());
        });
    }
}
