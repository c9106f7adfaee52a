//! The sockets below the databases' client libraries, so that a job which hangs in one of them can be ended.
//!
//! libpq and MySQL's client read without a time limit, and Diesel shows no descriptor: behind a network that swallows
//! packets a thread would wait forever. The kernel's list of this process's descriptors tells which one a new connection
//! brought; a job that takes too long has its socket shut down, and its library then reports a broken connection.
//! Elsewhere than on Linux there is no such list, and nothing is shut down.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, shutdown};

/// How long one attempt to connect may take.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(4);

/// The descriptors that are connected to a server at this port, or at a named unix socket.
fn connected_to(port: u16) -> Vec<RawFd> {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let descriptors = descriptors
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| is_connected_to(*descriptor, port));
    descriptors.collect()
}

fn is_connected_to(descriptor: RawFd, port: u16) -> bool {
    let Ok(peer) = getpeername::<SockaddrStorage>(descriptor) else {
        return false;
    };
    match (
        peer.as_sockaddr_in(),
        peer.as_sockaddr_in6(),
        peer.as_unix_addr(),
    ) {
        (Some(peer), ..) => peer.port() == port,
        (_, Some(peer), _) => peer.port() == port,
        // Those who connect to us have no name.
        (.., Some(peer)) => peer.path().is_some(),
        _ => false,
    }
}

/// Attempts to connect, one at a time: so the one new socket is the new connection's.
#[derive(Default)]
pub(super) struct Attempts {
    turn: Mutex<()>,
    under_way: Mutex<Option<Attempt>>,
}

struct Attempt {
    since: Instant,
    earlier: Vec<RawFd>,
}

impl Attempts {
    /// What `establish` returns, and the socket that it brought: `None` if it can't be told.
    pub(super) fn watch<T, E>(
        &self,
        port: u16,
        establish: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Option<RawFd>), E> {
        let turn = lock(&self.turn);
        let earlier = connected_to(port);
        *lock(&self.under_way) = Some(Attempt {
            since: Instant::now(),
            earlier,
        });
        let established = establish();
        let attempt = lock(&self.under_way).take();
        let established = established?;
        let earlier = attempt.map_or_else(Vec::new, |attempt| attempt.earlier);
        let mut new = connected_to(port);
        drop(turn);
        new.retain(|descriptor| !earlier.contains(descriptor));
        match new.as_slice() {
            [descriptor] => Ok((established, Some(*descriptor))),
            _ => Ok((established, None)),
        }
    }

    /// Ends an attempt that hangs.
    pub(super) fn end_overdue(&self, port: u16) {
        let under_way = lock(&self.under_way);
        let Some(attempt) = under_way.as_ref() else {
            return;
        };
        if attempt.since.elapsed() < LONGEST_ATTEMPT {
            return;
        }
        for descriptor in connected_to(port) {
            if !attempt.earlier.contains(&descriptor) {
                let _ = shutdown(descriptor, Shutdown::Both);
            }
        }
    }
}

/// What holds a job up, for others to cut: the socket of its connection, while it has one.
#[derive(Clone, Default)]
pub(super) struct Lifeline {
    socket: Arc<Mutex<Option<RawFd>>>,
}

/// A job's hold on its lifeline. The connection must outlive it: nothing else may have got the descriptor meanwhile.
pub(super) struct Attached<'a>(&'a Lifeline);

impl Lifeline {
    /// Until the value that it returns is dropped, the job may be cut.
    pub(super) fn attach(&self, socket: Option<RawFd>) -> Attached<'_> {
        *lock(&self.socket) = socket;
        Attached(self)
    }

    /// Breaks the connection of the job, if it has one now.
    pub(super) fn cut(&self) {
        if let Some(descriptor) = *lock(&self.socket) {
            let _ = shutdown(descriptor, Shutdown::Both);
        }
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        *lock(&self.0.socket) = None;
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
        let attached = lifeline.attach(socket);
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
