//! The sockets below the databases' client libraries, so that a job which hangs in one of them can be ended.
//!
//! libpq and MySQL's client read without a time limit, and Diesel shows no descriptor: behind a network that swallows
//! packets a thread would wait forever. The kernel's list of this process's descriptors tells which one a new connection
//! brought; a job that takes too long has its socket shut down, and its library then reports a broken connection.
//! Elsewhere than on Linux there is no such list, and nothing is shut down.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, getsockname, shutdown};

/// A socket's other end, as far as it tells a connection to a server.
#[derive(PartialEq, Eq)]
pub(super) enum Peer {
    /// A server's port, or (`None`) a named unix socket: those who connect to us have no name
    Server(Option<u16>),
    /// Not connected yet, or no longer
    Unconnected,
}

/// A socket: its descriptor, whose number the next one may get, and its inode, which no other has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) descriptor: RawFd,
    inode: u64,
}

impl Socket {
    /// The socket that has this descriptor now; `None`: it is none.
    fn at(descriptor: RawFd) -> Option<Socket> {
        let target = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        let inode = inode.strip_suffix(']')?.parse().ok()?;
        Some(Socket { descriptor, inode })
    }

    /// Ends it, unless it has been closed and its number given to another: libraries close what is broken by themselves.
    pub(super) fn shut(self) -> bool {
        Socket::at(self.descriptor) == Some(self)
            && shutdown(self.descriptor, Shutdown::Both).is_ok()
    }
}

/// The sockets of this process that may lead to a server with these ports. Neither those that listen are among them nor
/// those of our own clients.
///
/// # Errors
/// They can't be told: there may be no descriptor left to look with.
pub(super) fn sockets(ports: &[u16]) -> io::Result<Vec<(Socket, Peer)>> {
    let ours = listening_ports()?;
    let mut sockets = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let descriptor = name.to_str().and_then(|name| name.parse().ok());
        if let Some(socket) = descriptor.and_then(Socket::at)
            && !is_ours(socket.descriptor, &ours)
            && let Some(peer) = peer(socket.descriptor, ports)
        {
            sockets.push((socket, peer));
        }
    }
    Ok(sockets)
}

/// The TCP ports of this machine's listeners, with which the kernel's tables begin.
fn listening_ports() -> io::Result<HashSet<u16>> {
    const LISTENS: &str = "0A";
    let mut ports = HashSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let table = match File::open(table) {
            Ok(table) => table,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in BufReader::new(table).lines().skip(1) {
            let line = line?;
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, state) = (fields.next(), fields.nth(1));
            if state != Some(LISTENS) {
                break;
            }
            let port = local.and_then(|local| local.rsplit_once(':'));
            ports.extend(port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok()));
        }
    }
    Ok(ports)
}

/// Whether it listens, or was accepted from one that does.
fn is_ours(descriptor: RawFd, listening: &HashSet<u16>) -> bool {
    let Ok(address) = getsockname::<SockaddrStorage>(descriptor) else {
        return false;
    };
    match address.as_unix_addr() {
        Some(unix) => unix.path().is_some() || unix.as_abstract().is_some(),
        None => port(&address).is_some_and(|port| listening.contains(&port)),
    }
}

/// The other end; `None` if it is no socket, or leads elsewhere.
fn peer(descriptor: RawFd, ports: &[u16]) -> Option<Peer> {
    let address = match getpeername::<SockaddrStorage>(descriptor) {
        Ok(address) => address,
        Err(Errno::ENOTCONN) => return Some(Peer::Unconnected),
        Err(_) => return None,
    };
    match address.as_unix_addr() {
        Some(unix) => unix.path().is_some().then_some(Peer::Server(None)),
        None => port(&address)
            .filter(|port| ports.contains(port))
            .map(|port| Peer::Server(Some(port))),
    }
}

fn port(address: &SockaddrStorage) -> Option<u16> {
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.port()))
}
