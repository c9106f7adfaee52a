//! A client's connection with the limits that actix-http lacks: timeouts for the head of every request but the first, for
//! bytes that make no request, and for a client that does not read its answer; and a limit to buffered bytes. Requests reach
//! Actix as [`RequestFraming`] finds them, and other connections of the worker get their turn after every 8 KiB.
//! (`TCP_USER_TIMEOUT` can't replace the write timeout: the kernel would cut off a client that reads 16 KiB a second.)

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::time::{Instant, Sleep, sleep_until};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub mod activity;
mod request_framing;

use activity::{Activity, BodyFraming};
use request_framing::RequestFraming;

/// The most bytes that are read before the worker's other connections get their turn.
const MOST_AT_ONCE: usize = 8 * 1024;

/// The most bytes that are read of a body while its request is being answered. Login's largest body fits in, also in
/// chunks of 16 bytes.
const MOST_OF_BODY: usize = 32 * 1024;

/// How long a request's head may take, from its first byte on.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept without a request: a little longer than nginx keeps it, so that nginx closes it.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the connection stays open for a client that sends more than is read, so that it can read the answer.
pub const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a client may read nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream of either family of sockets.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The connection.
pub struct TimedConnection {
    io: Box<dyn Stream>,
    /// Where the requests of this connection report
    pub activity: Rc<Activity>,
    /// When the first bytes of what may be a head came, and the number of requests before them
    fresh: Option<(Instant, u64)>,
    framing: RequestFraming,
    /// The number of a request, and how many bytes came while it was being answered
    of_body: (u64, usize),
    /// The next read first yields, to other connections and to Actix, which parses what it has
    yields: bool,
    idle_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl TimedConnection {
    /// The connection over this stream.
    pub fn new(io: impl Stream + 'static) -> TimedConnection {
        TimedConnection {
            io: Box::new(io),
            activity: Rc::default(),
            fresh: None,
            framing: RequestFraming::default(),
            of_body: (0, 0),
            yields: false,
            idle_timer: None,
            write_timer: None,
        }
    }

    /// Notes that bytes came; an error if they have come for longer than the head's timeout without making a request.
    fn bytes_came(&mut self) -> io::Result<()> {
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

    /// The deadline of a head whose first bytes came at `since`. They may also be the rest of a body, and the head may have had to
    /// wait for the end of an answer.
    fn head_deadline(&self, since: Instant) -> Instant {
        let behind_an_answer = match self.activity.body.get() {
            BodyFraming::None => HEAD_TIMEOUT,
            BodyFraming::Length | BodyFraming::Chunked => DISCONNECT_TIMEOUT,
        };
        (since + HEAD_TIMEOUT).max(self.activity.latest.get() + behind_an_answer)
    }

    /// The deadline of the next bytes.
    fn deadline(&self) -> Instant {
        let Activity {
            requests, latest, ..
        } = &*self.activity;
        if self.activity.in_progress.get() > 0 {
            // No deadline: check again after this time.
            return Instant::now() + DISCONNECT_TIMEOUT;
        }
        match (self.fresh, self.activity.body.get()) {
            (Some((since, earlier)), _) if earlier == requests.get() => self.head_deadline(since),
            // The next head began in the same read as the latest request.
            (Some(_), _) if self.framing.is_within_head() => latest.get() + HEAD_TIMEOUT,
            (_, BodyFraming::Chunked) => latest.get() + DISCONNECT_TIMEOUT,
            _ => latest.get() + KEEP_ALIVE,
        }
    }

    /// Ready once the deadline of the next bytes is over.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline();
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let timer = self
            .idle_timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().reset(deadline);
        timer.as_mut().poll(cx)
    }

    /// Reads at most `most` bytes into `buf`. Returns their number; an error after the deadline.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let most = buf.remaining().min(MOST_AT_ONCE).min(most);
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(most));
        if Pin::new(&mut self.io)
            .poll_read(cx, &mut piece)?
            .is_pending()
        {
            ready!(self.poll_idle(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let came = piece.filled().len();
        self.yields = came == MOST_AT_ONCE;
        buf.advance(came);
        if came > 0 {
            self.bytes_came()?;
        }
        Poll::Ready(Ok(came))
    }

    /// Reads a part of a body: at most [`MOST_OF_BODY`] bytes while its request is being answered.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_in_progress = self.activity.in_progress.get() > 0;
        let requests = self.activity.requests.get();
        if self.of_body.0 != requests {
            self.of_body = (requests, 0);
        }
        let room = match is_in_progress {
            true => MOST_OF_BODY.saturating_sub(self.of_body.1),
            false => usize::MAX,
        };
        if room == 0 {
            return self.wait_for_answer(cx);
        }
        let left = usize::try_from(self.framing.body_left()).unwrap_or(usize::MAX);
        let came = ready!(self.poll_piece(cx, buf, left))?;
        self.framing.body_came(came);
        self.of_body.1 += came;
        Poll::Ready(Ok(()))
    }

    /// Waits until the request is answered.
    fn wait_for_answer(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.activity.reader.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Collects a head until it is complete (`true`) or the client closes (`false`).
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [0; MOST_AT_ONCE];
        loop {
            let mut piece = ReadBuf::new(&mut bytes);
            if ready!(self.poll_piece(cx, &mut piece, MOST_AT_ONCE))? == 0 {
                return Poll::Ready(Ok(false));
            }
            // Bytes behind a head that was too large are dropped.
            if !self.activity.is_head_too_large.get() {
                self.framing.push(piece.filled());
                self.activity
                    .is_head_too_large
                    .set(self.framing.is_too_large());
                if self.framing.is_ready() {
                    return Poll::Ready(Ok(true));
                }
            }
            if std::mem::take(&mut self.yields) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl AsyncRead for TimedConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !this.framing.is_ready() {
            let is_in_progress = this.activity.in_progress.get() > 0;
            let is_dropped = this.activity.is_head_too_large.get() && !is_in_progress;
            if this.framing.body_left() > 0 && !is_dropped {
                return this.poll_body(cx, buf);
            }
            if is_in_progress {
                return this.wait_for_answer(cx);
            }
            if !ready!(this.poll_head(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        this.framing.hand_over(buf);
        // Actix parses what it has before more is read. Then the request is in progress.
        this.yields |= !this.framing.is_ready();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TimedConnection {
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
        let timer = this
            .write_timer
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + WRITE_TIMEOUT)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        match this.activity.is_head_too_large.get() {
            // The client has its last answer and need not wait for the disconnect timeout.
            true => Pin::new(&mut this.io).poll_shutdown(cx),
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
