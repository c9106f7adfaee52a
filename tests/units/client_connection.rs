//! A connection without a network: its timeouts by a clock that stands still while something runs, and where it finds the
//! requests among the bytes that come.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix_web::rt::System;
use actix_web::rt::time::{Instant, sleep_until, timeout};
use futures_util::future::join;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use watchtower_sidecar::client_connection::activity::BodyFraming;
use watchtower_sidecar::client_connection::{HEAD_TIMEOUT, KEEP_ALIVE, TimedConnection};

/// The most bytes that are read before the worker's other connections get their turn.
const MOST_AT_ONCE: usize = 8 * 1024;

/// The most bytes that are read of a body while its request is being answered.
const MOST_OF_BODY: usize = 32 * 1024;

/// The longest head.
const LARGEST_HEAD: usize = 32 * 1024;

/// Runs with a clock that moves on by itself where everything waits.
fn with_paused_clock(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::pause();
        test.await;
    });
}

/// A client's end with room for this number of bytes, and the connection.
fn connection(room: usize) -> (DuplexStream, TimedConnection) {
    let (client, server) = duplex(room);
    (client, TimedConnection::new(server))
}

/// Reads once; how many seconds it took, and whether it timed out.
async fn read(connection: &mut TimedConnection) -> (u64, bool) {
    let began = Instant::now();
    let mut bytes = [0; 8];
    let mut buf = ReadBuf::new(&mut bytes);
    let read = poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, &mut buf)).await;
    (began.elapsed().as_secs(), read.is_err())
}

/// Reads this number of bytes, in pieces of eight.
async fn read_bytes(connection: &mut TimedConnection, count: usize) {
    for _ in 0..count.div_ceil(8) {
        assert!(!read(connection).await.1);
    }
}

/// Sends bytes that fit into the pipe.
async fn send(client: &mut DuplexStream, bytes: &[u8]) {
    let sent = poll_fn(|cx| Pin::new(&mut *client).poll_write(cx, bytes));
    assert_eq!(sent.await.unwrap(), bytes.len());
}

/// What some polls give, one after the other.
async fn polled<const POLLS: usize>(connection: &mut TimedConnection) -> [Vec<u8>; POLLS] {
    // Tokio lets a task read only so often between two yields.
    tokio::task::yield_now().await;
    let mut bytes = vec![0; LARGEST_HEAD];
    let mut buf = ReadBuf::new(&mut bytes);
    poll_fn(|cx| {
        Poll::Ready([(); POLLS].map(|()| {
            buf.clear();
            let _ = Pin::new(&mut *connection).poll_read(cx, &mut buf);
            buf.filled().to_vec()
        }))
    })
    .await
}

/// All that is handed over without a pause.
async fn handed_over(connection: &mut TimedConnection) -> String {
    let mut all = Vec::new();
    loop {
        // More polls than a head has pieces.
        match polled::<10>(connection).await.concat() {
            nothing if nothing.is_empty() => return String::from_utf8(all).unwrap(),
            some => all.extend(some),
        }
    }
}

#[test]
fn half_a_head_is_waited_for_no_longer_than_a_whole_one_may_take() {
    with_paused_clock(async {
        let (mut client, mut connection) = connection(1024);
        send(&mut client, b"A\r\n\r\n").await;
        assert!(!read(&mut connection).await.1);
        // A whole request is read and answered; the connection is idle, and then half a head comes.
        drop(connection.activity.begin(BodyFraming::Length));
        send(&mut client, b"GET").await;
        assert_eq!(read(&mut connection).await, (HEAD_TIMEOUT.as_secs(), true));
    });
}

#[test]
fn half_a_head_that_came_along_with_a_request_is_half_a_head() {
    let request = "GET / HTTP/1.1\r\n\r\n";
    for (more, waited) in [("GET", HEAD_TIMEOUT), ("", KEEP_ALIVE)] {
        with_paused_clock(async {
            let (mut client, mut connection) = connection(1024);
            send(&mut client, format!("{request}{more}").as_bytes()).await;
            read_bytes(&mut connection, request.len()).await;
            drop(connection.activity.begin(BodyFraming::None));
            assert_eq!(read(&mut connection).await, (waited.as_secs(), true));
        });
    }
}

#[test]
fn an_idle_connection_ends_and_a_request_in_progress_does_not() {
    with_paused_clock(async {
        let (_client, mut connection) = connection(1024);
        let request = connection.activity.begin(BodyFraming::None);
        let in_progress = timeout(3 * KEEP_ALIVE, read(&mut connection)).await;
        assert!(in_progress.is_err());
        drop(request);
        assert_eq!(read(&mut connection).await, (KEEP_ALIVE.as_secs(), true));
    });
}

#[test]
fn bytes_that_make_no_request_end_in_time_though_they_never_pause() {
    with_paused_clock(async {
        let (mut client, mut connection) = connection(64 * 1024);
        let began = Instant::now();
        loop {
            send(&mut client, b"x").await;
            match timeout(Duration::from_millis(100), read(&mut connection)).await {
                Ok((_, is_late)) => break assert!(is_late),
                Err(_) => assert!(began.elapsed() <= HEAD_TIMEOUT),
            }
        }
        assert_eq!(began.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    });
}

/// Reads the head of a request with a large body.
async fn read_head(client: &mut DuplexStream, connection: &mut TimedConnection) {
    let head = "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
    send(client, head.as_bytes()).await;
    assert_eq!(handed_over(connection).await, head);
}

#[test]
fn a_client_that_sends_without_end_lets_others_have_their_turn() {
    with_paused_clock(async {
        let (mut client, mut connection) = connection(64 * 1024);
        read_head(&mut client, &mut connection).await;
        let _request = connection.activity.begin(BodyFraming::Length);
        send(&mut client, &[b'x'; 2 * MOST_AT_ONCE]).await;
        let lengths = polled(&mut connection).await.map(|piece| piece.len());
        assert_eq!(lengths, [MOST_AT_ONCE, 0, MOST_AT_ONCE]);
    });
}

#[test]
fn no_more_than_the_limit_of_a_body_is_read_while_its_request_is_answered() {
    with_paused_clock(async {
        let (mut client, mut connection) = connection(1024 * 1024);
        read_head(&mut client, &mut connection).await;
        send(&mut client, &[b'x'; 2 * MOST_OF_BODY]).await;
        let request = connection.activity.begin(BodyFraming::Length);
        let body = handed_over(&mut connection).await.len();
        let most = MOST_OF_BODY + MOST_AT_ONCE;
        assert!((MOST_OF_BODY..most).contains(&body), "{body}");
        drop(request);
        assert_ne!(handed_over(&mut connection).await, "");
    });
}

#[test]
fn nothing_is_read_behind_a_request_that_is_being_answered() {
    with_paused_clock(async {
        let (mut client, mut connection) = connection(1024);
        let request = connection.activity.begin(BodyFraming::None);
        send(&mut client, b"GET / HTTP/1.1\r\n\r\n").await;
        let next = timeout(3 * KEEP_ALIVE, read(&mut connection));
        assert!(next.await.is_err());
        // Its end is what reading goes on at.
        let answered = async {
            sleep_until(Instant::now() + KEEP_ALIVE).await;
            drop(request);
        };
        let (next, ()) = join(read(&mut connection), answered).await;
        assert_eq!(next, (KEEP_ALIVE.as_secs(), false));
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    with_paused_clock(async {
        let (_client, mut connection) = connection(8);
        let mut write =
            async || poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, b"12345678")).await;
        assert_eq!(write().await.unwrap(), 8);
        let began = Instant::now();
        let error = write().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 30);
    });
}

/// What is handed over once these pieces have come, if no request is answered yet.
async fn out_of(pieces: &[&str]) -> String {
    let (mut client, mut connection) = connection(64 * 1024);
    let mut out = String::new();
    for piece in pieces {
        send(&mut client, piece.as_bytes()).await;
        out.push_str(&handed_over(&mut connection).await);
    }
    out
}

const UPGRADE: &str = "GET /upgrade HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nX-Upgrade: upgrade\r\n\r\n";
const IGNORING: &str = "GET /upgrade HTTP/1.1\r\nConnection: ignored, HTTP2-Settings\r\nignored: h2c\r\nX-Upgrade: upgrade\r\n\r\n";

#[test]
fn requests_are_the_same_wherever_they_are_cut() {
    let body = "\nUpgrade: x\r\n\r\nConnection: upgrade\n\n";
    let length = body.len();
    let post = format!("POST / HTTP/1.1\r\ncontent-LENGTH: {length}\r\n\r\n{body}");
    with_paused_clock(async {
        for before in [
            "",
            "\r\n",
            UPGRADE,
            &post,
            &format!("{post}\r\n{UPGRADE}{post}"),
        ] {
            let requests = format!("{before}{UPGRADE}{post}\n{UPGRADE}");
            let expected = requests.replace(UPGRADE, IGNORING);
            for cut in 1..requests.len() {
                let (start, rest) = requests.split_at(cut);
                assert_eq!(out_of(&[start, rest]).await, expected, "{cut}");
            }
            let bytes: Vec<&str> = requests.split_inclusive(|_| true).collect();
            assert_eq!(out_of(&bytes).await, expected);
        }
    });
}

#[test]
fn a_head_is_handed_over_once_it_is_whole_and_without_its_upgrade() {
    with_paused_clock(async {
        for (pieces, expected) in [
            (
                &["POST / HTTP/1.1\nCONNECTION:close ,\tuPGRADE\r\nupgrade:websocket\n\n"][..],
                "POST / HTTP/1.1\nCONNECTION:close ,\tignored\r\nignored:websocket\n\n",
            ),
            (&["GET / HTTP/1.1\r\nHost: x\r\n\r"], ""),
            (&["\r\n", "\r\n", "GET"], ""),
            (&[UPGRADE, "GET / HTTP"], IGNORING),
        ] {
            assert_eq!(out_of(pieces).await, expected);
        }
    });
}

#[test]
fn what_is_behind_an_unknown_length_is_left_to_actix() {
    with_paused_clock(async {
        for head in [
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nContent-Length: +1",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1",
            "POST / HTTP/1.1\r\nContent-Length:",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
            "CONNECT x:1 HTTP/1.1",
        ] {
            let all = format!("{head}\r\n\r\na\r\n\r\n{UPGRADE}");
            assert_eq!(out_of(&[&all]).await, all);
        }
    });
}

#[test]
fn a_head_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let head = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(length - 23));
    let largest = head(LARGEST_HEAD);
    assert_eq!(largest.len(), LARGEST_HEAD);
    with_paused_clock(async {
        for (text, is_too_large) in [
            (&largest, false),
            (&head(LARGEST_HEAD + 1), true),
            (&format!("\r\n{largest}"), true),
        ] {
            for step in [700, 8192, 50_000] {
                let (mut client, mut connection) = connection(64 * 1024);
                let mut out = String::new();
                for piece in text.as_bytes().chunks(step) {
                    send(&mut client, piece).await;
                    out.push_str(&handed_over(&mut connection).await);
                }
                assert_eq!(connection.activity.is_head_too_large.get(), is_too_large);
                let substitute =
                    "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n";
                let expected = if is_too_large { substitute } else { text };
                assert!(out.starts_with(expected), "{step}");
            }
        }
    });
}
