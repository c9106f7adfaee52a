//! What is shut down, and what is not: on real sockets, which a server that says nothing holds open.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use super::*;
use crate::db::pool::lifeline::{Hold, Lifeline};

/// All sockets are the process's: a test that ends some has them for itself.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

fn server() -> (TcpListener, SocketAddr) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

fn attempts(ports: &[SocketAddr]) -> [Attempts; 2] {
    let ports: Vec<u16> = ports.iter().map(SocketAddr::port).collect();
    let under_way = UnderWay::new(ports.clone());
    ["database", "replica"].map(|name| Attempts::new(name, ports.clone(), &under_way))
}

/// Makes what is under way so old that it is overdue, and its latest look long ago.
fn grow_old(attempts: &Attempts, by: Duration) {
    for attempt in lock(&attempts.all.attempts).iter_mut() {
        attempt.since -= by;
        attempt.looked -= by;
    }
}

/// Whether it has not been shut down: its other end says nothing.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream
        .peek(&mut [0])
        .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn is_of(socket: Option<Socket>, stream: &TcpStream) -> bool {
    socket.is_some_and(|socket| socket.descriptor == stream.as_raw_fd())
}

#[test]
fn a_job_that_hangs_in_a_read_is_ended_by_its_lifeline() {
    let _alone = lock(&ALONE);
    let (_server, address) = server();
    let mut other = TcpStream::connect(address).unwrap();
    let [attempts, _] = attempts(&[address]);
    let (mut stream, socket) = attempts.watch(|| TcpStream::connect(address)).unwrap();
    assert!(socket.is_some());
    let lifeline = Lifeline::default();
    let cutter = lifeline.clone();
    let attached = lifeline.attach(Hold {
        socket,
        session: None,
    });
    let cut = std::thread::spawn(move || cutter.cut());
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert!(cut.join().unwrap());
    drop(attached);
    // The other connection is as it was, and a lifeline without a job cuts nothing.
    assert!(!lifeline.cut());
    assert!(other.write(b"x").is_ok());
    assert!(stream.write(b"x").is_err());
}

#[test]
fn a_descriptor_that_has_gone_to_another_socket_is_let_be() {
    let _alone = lock(&ALONE);
    let (_server, address) = server();
    let [attempts, _] = attempts(&[address]);
    let (stream, socket) = attempts.watch(|| TcpStream::connect(address)).unwrap();
    let number = stream.as_raw_fd();
    let lifeline = Lifeline::default();
    let _attached = lifeline.attach(Hold {
        socket,
        session: None,
    });
    // As a library does with a connection that it has found broken.
    drop(stream);
    let mut others = Vec::new();
    while others
        .iter()
        .all(|other: &TcpStream| other.as_raw_fd() != number)
    {
        others.push(TcpStream::connect(address).unwrap());
    }
    assert!(!lifeline.cut());
    assert!(others.iter().all(is_open));
}

#[test]
fn an_overdue_attempt_is_ended_and_nothing_else() {
    let _alone = lock(&ALONE);
    let (_server, address) = server();
    let [primary, replica] = attempts(&[address]);
    let hung = replica.watch(|| {
        let mut hung = TcpStream::connect(address).unwrap();
        // Meanwhile another database is connected to at the same port, a listener is bound, a client comes.
        let (pooled, socket) = primary.watch(|| TcpStream::connect(address)).unwrap();
        assert!(is_of(socket, &pooled));
        let (late, late_address) = server();
        let client = TcpStream::connect(late_address).unwrap();
        let accepted = late.accept().unwrap().0;
        assert!(replica.end_overdue());
        assert!(is_open(&hung));
        hung.set_nonblocking(false).unwrap();
        // The first look that sees its socket counts from then on.
        grow_old(&replica, CONNECT_TIMEOUT);
        assert!(replica.end_overdue());
        grow_old(&replica, CONNECT_TIMEOUT);
        assert!(replica.end_overdue());
        assert_eq!(hung.read(&mut [0]).unwrap(), 0);
        assert!([&pooled, &client, &accepted].into_iter().all(is_open));
        assert!(TcpStream::connect(late_address).is_ok());
        Err::<(), _>(())
    });
    assert!(hung.is_err());
}

#[test]
fn of_two_attempts_at_once_the_one_that_is_overdue_is_ended() {
    let _alone = lock(&ALONE);
    let (_server, address) = server();
    let [primary, replica] = attempts(&[address]);
    let hung = replica.watch(|| {
        let mut hung = TcpStream::connect(address).unwrap();
        grow_old(&replica, CONNECT_TIMEOUT);
        let young = primary.watch(|| {
            let young = TcpStream::connect(address).unwrap();
            assert!(replica.end_overdue());
            assert_eq!(hung.read(&mut [0]).unwrap(), 0);
            assert!(is_open(&young));
            // When both are, both are.
            grow_old(&primary, CONNECT_TIMEOUT);
            assert!(primary.end_overdue());
            assert!(!is_open(&young));
            Err::<(), _>(())
        });
        assert!(young.is_err());
        Err::<(), _>(())
    });
    assert!(hung.is_err());
}

#[test]
fn of_two_attempts_at_once_each_is_told_its_socket() {
    let _alone = lock(&ALONE);
    let (_server, address) = server();
    let [primary, replica] = attempts(&[address]);
    for _ in 0..20 {
        let both = Barrier::new(2);
        let attempt = |attempts: &Attempts| {
            let connected = attempts.watch(|| {
                let stream = TcpStream::connect(address);
                // As long as its server lets it wait.
                both.wait();
                stream
            });
            let (stream, socket) = connected.unwrap();
            assert!(is_of(socket, &stream));
        };
        std::thread::scope(|scope| {
            scope.spawn(|| attempt(&primary));
            scope.spawn(|| attempt(&replica));
        });
    }
}

#[test]
fn an_attempt_that_goes_on_to_the_next_address_has_its_time_anew() {
    let _alone = lock(&ALONE);
    let (_server, first) = server();
    let (_other_server, second) = server();
    let [attempts, _] = attempts(&[first, second]);
    let connected = attempts.watch(|| {
        let silent = TcpStream::connect(first).unwrap();
        grow_old(&attempts, LOOKS);
        assert!(attempts.end_overdue());
        drop(silent);
        grow_old(&attempts, CONNECT_TIMEOUT);
        let next = TcpStream::connect(second).unwrap();
        assert!(attempts.end_overdue());
        assert!(is_open(&next));
        Ok::<_, ()>(next)
    });
    assert!(connected.unwrap().1.is_some());
}

#[test]
fn after_a_panic_nothing_is_under_way() {
    let _alone = lock(&ALONE);
    let (_server, address) = server();
    let [attempts, _] = attempts(&[address]);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        attempts.watch(|| -> Result<(), ()> { panic!("on purpose") })
    }));
    assert!(panicked.is_err());
    let pooled = TcpStream::connect(address).unwrap();
    assert!(!attempts.all.end_older_than(Duration::ZERO, "database"));
    attempts.finish();
    assert!(is_open(&pooled));
}
