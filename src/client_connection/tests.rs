use actix_web::rt::System;
use actix_web::rt::time::timeout;
use futures_util::future::join;
use tokio::io::{DuplexStream, duplex};

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
async fn read<T: AsyncRead + Unpin>(connection: &mut TimedConnection<T>) -> (u64, bool) {
    let began = Instant::now();
    let mut bytes = [0; 8];
    let mut buf = ReadBuf::new(&mut bytes);
    let read = std::future::poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, &mut buf)).await;
    (began.elapsed().as_secs(), read.is_err())
}

/// Sends bytes that fit into the pipe.
async fn send(client: &mut DuplexStream, bytes: &[u8]) {
    let sent = std::future::poll_fn(|cx| Pin::new(&mut *client).poll_write(cx, bytes));
    assert_eq!(sent.await.unwrap(), bytes.len());
}

#[test]
fn half_a_head_is_waited_for_no_longer_than_a_whole_one_may_take() {
    with_paused_clock(async {
        let (mut client, server) = duplex(1024);
        let mut connection = TimedConnection::new(server, LIMITS);
        send(&mut client, b"A\r\n\r\n").await;
        assert!(!read(&mut connection).await.1);
        // A whole request is read and answered; the connection is idle, and then half a head comes.
        drop(connection.activity().begin(BodyFraming::Length));
        send(&mut client, b"GET").await;
        assert_eq!(read(&mut connection).await, (LIMITS.head.as_secs(), true));
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
            let mut connection = TimedConnection::new(server, LIMITS);
            send(&mut client, came.as_bytes()).await;
            while connection.fresh.is_none() || connection.framing.is_ready() {
                assert!(!read(&mut connection).await.1);
            }
            drop(connection.activity().begin(BodyFraming::None));
            assert_eq!(read(&mut connection).await, (waited.as_secs(), true));
        });
    }
}

#[test]
fn an_idle_connection_ends_and_a_request_in_progress_does_not() {
    with_paused_clock(async {
        let (_client, server) = duplex(1024);
        let mut connection = TimedConnection::new(server, LIMITS);
        let request = connection.activity().begin(BodyFraming::None);
        let in_progress = timeout(3 * LIMITS.idle, read(&mut connection)).await;
        assert!(in_progress.is_err());
        drop(request);
        assert_eq!(read(&mut connection).await, (LIMITS.idle.as_secs(), true));
    });
}

#[test]
fn bytes_that_make_no_request_end_in_time_though_they_never_pause() {
    with_paused_clock(async {
        let (mut client, server) = duplex(64 * 1024);
        let mut connection = TimedConnection::new(server, LIMITS);
        let began = Instant::now();
        loop {
            send(&mut client, b"x").await;
            match timeout(Duration::from_millis(100), read(&mut connection)).await {
                Ok((_, is_late)) => break assert!(is_late),
                Err(_) => assert!(began.elapsed() <= LIMITS.head),
            }
        }
        assert_eq!(began.elapsed().as_secs(), LIMITS.head.as_secs());
    });
}

/// What three polls give, one after the other.
async fn polled(connection: &mut TimedConnection<DuplexStream>) -> [usize; 3] {
    let mut bytes = vec![0; 3 * MOST_AT_ONCE];
    let mut buf = ReadBuf::new(&mut bytes);
    std::future::poll_fn(|cx| {
        Poll::Ready([(); 3].map(|()| {
            let before = buf.filled().len();
            let _ = Pin::new(&mut *connection).poll_read(cx, &mut buf);
            buf.filled().len() - before
        }))
    })
    .await
}

#[test]
fn who_sends_without_end_lets_others_have_their_turn() {
    with_paused_clock(async {
        let (mut client, server) = duplex(64 * 1024);
        let mut connection = within_a_body(&mut client, server).await;
        let _request = connection.activity().begin(BodyFraming::Length);
        send(&mut client, &[b'x'; 2 * MOST_AT_ONCE]).await;
        assert_eq!(
            polled(&mut connection).await,
            [MOST_AT_ONCE, 0, MOST_AT_ONCE]
        );
    });
}

/// A connection on which the head of a request with a large body has been read.
async fn within_a_body(
    client: &mut DuplexStream,
    server: DuplexStream,
) -> TimedConnection<DuplexStream> {
    let mut connection = TimedConnection::new(server, LIMITS);
    send(
        client,
        b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n",
    )
    .await;
    while connection.framing.body_left() == 0 || connection.framing.is_ready() {
        assert!(!read(&mut connection).await.1);
    }
    connection.yields = false;
    connection
}

#[test]
fn no_more_than_the_limit_of_a_body_is_read_while_its_request_is_answered() {
    with_paused_clock(async {
        let (mut client, server) = duplex(1024 * 1024);
        let mut connection = within_a_body(&mut client, server).await;
        send(&mut client, &[b'x'; 2 * MOST_OF_BODY]).await;
        let request = connection.activity().begin(BodyFraming::Length);
        let mut body = 0;
        loop {
            match polled(&mut connection).await.iter().sum() {
                0 => break,
                read => body += read,
            }
        }
        let most = MOST_OF_BODY + MOST_AT_ONCE;
        assert!((MOST_OF_BODY..most).contains(&body), "{body}");
        drop(request);
        assert!(polled(&mut connection).await.iter().sum::<usize>() > 0);
    });
}

#[test]
fn nothing_is_read_behind_a_request_that_is_being_answered() {
    with_paused_clock(async {
        let (mut client, server) = duplex(1024);
        let mut connection = TimedConnection::new(server, LIMITS);
        let request = connection.activity().begin(BodyFraming::None);
        send(&mut client, b"GET / HTTP/1.1\r\n\r\n").await;
        let next = timeout(3 * LIMITS.idle, read(&mut connection));
        assert!(next.await.is_err());
        // Its end is what reading goes on at.
        let answered = async {
            sleep_until(Instant::now() + LIMITS.idle).await;
            drop(request);
        };
        let (next, ()) = join(read(&mut connection), answered).await;
        assert_eq!(next, (LIMITS.idle.as_secs(), false));
    });
}

#[test]
fn who_does_not_read_is_cut_off() {
    with_paused_clock(async {
        let (_client, server) = duplex(8);
        let mut connection = TimedConnection::new(server, LIMITS);
        let mut write = async || {
            let bytes = b"12345678";
            std::future::poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, bytes)).await
        };
        assert_eq!(write().await.unwrap(), 8);
        let began = Instant::now();
        let error = write().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), LIMITS.write.as_secs());
    });
}
