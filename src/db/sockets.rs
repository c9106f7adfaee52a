//! The sockets below the databases' client libraries, so that a job which hangs in one of them can be ended.
//!
//! libpq and MySQL's client read without a time limit, and Diesel shows no descriptor: behind a network that swallows
//! packets a thread would wait forever. The kernel's list of this process's descriptors tells which one a new connection
//! brought; a job that takes too long has its socket shut down, and its library then reports a broken connection.
//! Elsewhere than on Linux there is no such list, and nothing is shut down.

use std::os::fd::RawFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, shutdown};

/// How long one attempt to connect may take.
pub(super) const LONGEST_ATTEMPT: Duration = Duration::from_secs(3);

/// How long it is from one attempt to the next, while there are any.
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// A socket's other end, as far as it tells a connection to a server.
#[derive(PartialEq, Eq)]
enum Peer {
    /// The server's port, or a named unix socket: those who connect to us have no name
    Server,
    /// Somebody else
    Other,
    /// Nobody yet, or nobody any more
    Nobody,
}

/// A socket: its descriptor, whose number the next one may get, and its inode, which no other has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    descriptor: RawFd,
    inode: u64,
}

/// The sockets of this process.
fn sockets(port: u16) -> Vec<(Socket, Peer)> {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let descriptors = descriptors.filter_map(|entry| {
        let entry = entry.ok()?;
        let target = std::fs::read_link(entry.path()).ok()?;
        let inode = target
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?;
        let socket = Socket {
            descriptor: entry.file_name().to_str()?.parse().ok()?,
            inode: inode.parse().ok()?,
        };
        Some((socket, peer(socket.descriptor, port)?))
    });
    descriptors.collect()
}

/// `None`: no socket.
fn peer(descriptor: RawFd, port: u16) -> Option<Peer> {
    let address = match getpeername::<SockaddrStorage>(descriptor) {
        Ok(address) => address,
        Err(Errno::ENOTCONN) => return Some(Peer::Nobody),
        Err(_) => return None,
    };
    let is_server = address
        .as_sockaddr_in()
        .is_some_and(|peer| peer.port() == port)
        || address
            .as_sockaddr_in6()
            .is_some_and(|peer| peer.port() == port)
        || address
            .as_unix_addr()
            .is_some_and(|peer| peer.path().is_some());
    Some(if is_server { Peer::Server } else { Peer::Other })
}

/// Attempts to connect, one at a time: so the one new socket is the new connection's.
#[derive(Default)]
pub(super) struct Attempts {
    turn: Mutex<()>,
    under_way: Mutex<Option<Attempt>>,
    latest: Mutex<Option<Instant>>,
}

struct Attempt {
    since: Instant,
    earlier: Vec<Socket>,
}

impl Attempts {
    /// What `establish` returns, and the socket that it brought: `None` if it can't be told.
    pub(super) fn watch<T, E>(
        &self,
        port: u16,
        establish: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Option<Socket>), E> {
        let turn = lock(&self.turn);
        let earlier = sockets(port).into_iter().map(|(socket, _)| socket);
        *lock(&self.under_way) = Some(Attempt {
            since: Instant::now(),
            earlier: earlier.collect(),
        });
        let established = establish();
        let attempt = lock(&self.under_way).take();
        *lock(&self.latest) = Some(Instant::now());
        let established = established?;
        let earlier = attempt.map_or_else(Vec::new, |attempt| attempt.earlier);
        let mut new = sockets(port);
        drop(turn);
        new.retain(|(socket, peer)| *peer == Peer::Server && !earlier.contains(socket));
        match new.as_slice() {
            [(socket, _)] => Ok((established, Some(*socket))),
            _ => Ok((established, None)),
        }
    }

    /// Ends an attempt that hangs, be it before it is connected or after; whether one is to be expected soon.
    pub(super) fn end_overdue(&self, port: u16) -> bool {
        match self.end_older_than(LONGEST_ATTEMPT, port) {
            true => true,
            false => lock(&self.latest).is_some_and(|latest| latest.elapsed() < LONGEST_PAUSE),
        }
    }

    /// Ends the attempt that is under way, and waits a little for its end.
    pub(super) fn finish(&self, port: u16) {
        for _ in 0..100 {
            self.end_older_than(Duration::ZERO, port);
            if let Ok(_turn) = self.turn.try_lock() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Shuts down the sockets of an attempt that is this old already; whether there is an attempt.
    fn end_older_than(&self, age: Duration, port: u16) -> bool {
        let under_way = lock(&self.under_way);
        let Some(attempt) = under_way.as_ref() else {
            return false;
        };
        if attempt.since.elapsed() >= age {
            for (socket, peer) in sockets(port) {
                if peer != Peer::Other && !attempt.earlier.contains(&socket) {
                    let _ = shutdown(socket.descriptor, Shutdown::Both);
                }
            }
        }
        true
    }
}

/// What is known of a running job by those who wait for it: how it gets on, and by what it can be ended.
#[derive(Clone, Default)]
pub(super) struct Lifeline {
    hold: Arc<Mutex<Hold>>,
    progress: Arc<AtomicU64>,
}

/// A job's connection, while it has one.
#[derive(Clone, Copy, Default)]
pub(super) struct Hold {
    /// The socket below it, where it is known
    pub(super) socket: Option<Socket>,
    /// The server's number for it, where it has one
    pub(super) session: Option<i64>,
}

/// A job's hold on its lifeline. The connection must outlive it: nothing else may have got the descriptor meanwhile.
pub(super) struct Attached<'a>(&'a Lifeline);

impl Lifeline {
    /// Until the value that it returns is dropped, the job may be cut.
    pub(super) fn attach(&self, hold: Hold) -> Attached<'_> {
        *lock(&self.hold) = hold;
        Attached(self)
    }

    /// Breaks the connection of the job; `false`: it has none now.
    pub(super) fn cut(&self) -> bool {
        let hold = lock(&self.hold);
        hold.socket
            .is_some_and(|socket| shutdown(socket.descriptor, Shutdown::Both).is_ok())
    }

    /// The server's number for the connection that the job has now.
    pub(super) fn session(&self) -> Option<i64> {
        lock(&self.hold).session
    }

    /// What the job counts while it gets on.
    pub(super) fn progress(&self) -> &AtomicU64 {
        &self.progress
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        *lock(&self.0.hold) = Hold::default();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks but a client library's, and that leaves them as they were.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_job_that_hangs_in_a_read_is_ended_by_its_lifeline() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut other = TcpStream::connect(address).unwrap();
        let attempts = Attempts::default();
        let (mut stream, socket) = attempts
            .watch(address.port(), || TcpStream::connect(address))
            .unwrap();
        assert!(socket.is_some());
        let lifeline = Lifeline::default();
        let cutter = lifeline.clone();
        let attached = lifeline.attach(Hold {
            socket,
            session: None,
        });
        let cut = std::thread::spawn(move || cutter.cut());
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        cut.join().unwrap();
        drop(attached);
        // The other connection is as it was, and a lifeline without a job cuts nothing.
        lifeline.cut();
        assert!(other.write(b"x").is_ok());
        assert!(stream.write(b"x").is_err());
    }
}
