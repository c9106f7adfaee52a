//! The sockets of this process that lead to a database, so that reads which hang in a client library can be ended.
//!
//! libpq and MySQL's client read without a timeout, and Diesel shows no descriptor: behind a network that swallows packets a
//! thread would wait forever. The kernel's lists of this process's descriptors and of TCP connections tell which sockets lead
//! to the database's ports. After `shutdown` each hung read returns an error. Elsewhere than on Linux there are no such lists,
//! and nothing is shut down.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::RawFd;

use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, shutdown};

/// A socket: its descriptor, whose number the next one may get, and its inode, which no other has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Socket {
    descriptor: RawFd,
    inode: u64,
}

impl Socket {
    /// The socket that has this descriptor now; `None` if it is no socket.
    fn at(descriptor: RawFd) -> Option<Socket> {
        let target = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        let inode = inode.strip_suffix(']')?.parse().ok()?;
        Some(Socket { descriptor, inode })
    }

    /// Shuts it down, unless a client library has closed it in the meantime.
    pub(super) fn shut_down(self) {
        if Socket::at(self.descriptor) == Some(self) {
            let _ = shutdown(self.descriptor, Shutdown::Both);
        }
    }
}

/// The sockets of this process that are connected, or are being connected, to these TCP ports or to a named unix socket.
/// Sockets that this process's listeners accepted are not among them.
pub(super) fn sockets_to(ports: &[u16]) -> Vec<Socket> {
    let tcp = tcp_connections_to(ports);
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let names = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    names
        .filter_map(Socket::at)
        .filter(|socket| tcp.contains(&socket.inode) || leads_to_a_path(socket.descriptor))
        .collect()
}

/// The inodes of TCP sockets whose other end has one of these ports.
fn tcp_connections_to(ports: &[u16]) -> HashSet<u64> {
    const LISTENS: &str = "0A";
    let mut listening = HashSet::new();
    let mut connections = HashMap::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let lines = File::open(table).map(|table| BufReader::new(table).lines());
        for line in lines.into_iter().flatten().skip(1).map_while(Result::ok) {
            // number, local address, remote address, state, queues, timer, retransmits, user, timeout, inode
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(local), Some(remote)) = (port(&fields, 1), port(&fields, 2)) else {
                continue;
            };
            if fields.get(3) == Some(&LISTENS) {
                listening.insert(local);
            } else if ports.contains(&remote)
                && let Some(inode) = fields.get(9).and_then(|inode| inode.parse().ok())
            {
                connections.insert(inode, local);
            }
        }
    }
    connections.retain(|_, local| !listening.contains(local));
    connections.into_keys().collect()
}

fn port(fields: &[&str], index: usize) -> Option<u16> {
    let (_, port) = fields.get(index)?.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

/// Whether it is a client's end of a unix socket. The clients of our own unix socket have no path.
fn leads_to_a_path(descriptor: RawFd) -> bool {
    let peer = getpeername::<SockaddrStorage>(descriptor);
    peer.is_ok_and(|peer| {
        peer.as_unix_addr()
            .is_some_and(|peer| peer.path().is_some())
    })
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn descriptors(sockets: &[Socket]) -> HashSet<RawFd> {
        sockets.iter().map(|socket| socket.descriptor).collect()
    }

    #[test]
    fn connections_to_a_port_are_shut_down_and_their_reads_return() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let mut hung = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let healthy = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let accepted = server.accept().unwrap().0;
        // A client whose own port is the database's: its connection was accepted by a listener of this process.
        let found = sockets_to(&[port, healthy.local_addr().unwrap().port()]);
        assert_eq!(descriptors(&found), HashSet::from([hung.as_raw_fd()]));
        let read = std::thread::spawn(move || hung.read(&mut [0]).unwrap());
        found.into_iter().for_each(Socket::shut_down);
        assert_eq!(read.join().unwrap(), 0);
        accepted.set_nonblocking(true).unwrap();
        healthy.set_nonblocking(true).unwrap();
        assert_eq!((&accepted).read(&mut [0]).unwrap(), 0);
        let still_open = (&healthy).read(&mut [0]).unwrap_err();
        assert_eq!(still_open.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_descriptor_that_another_socket_has_got_is_left_alone() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let socket = Socket::at(stream.as_raw_fd()).unwrap();
        let stale = Socket {
            inode: socket.inode + 1,
            ..socket
        };
        stale.shut_down();
        stream.set_nonblocking(true).unwrap();
        let still_open = (&stream).read(&mut [0]).unwrap_err();
        assert_eq!(still_open.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_unix_socket_is_told_by_the_path_of_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        let server = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let accepted = server.accept().unwrap().0;
        let found = descriptors(&sockets_to(&[]));
        assert!(found.contains(&client.as_raw_fd()));
        assert!(!found.contains(&accepted.as_raw_fd()));
    }
}
