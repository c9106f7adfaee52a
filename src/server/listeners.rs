//! The listeners: bound to the configured addresses, or handed over by systemd, the main one first.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};

use listenfd::ListenFd;
use nix::sys::socket::{Backlog, listen};

use crate::config::Bind;

/// Connections that wait in the kernel until they are accepted.
const BACKLOG: i32 = 1024;

/// A bound listener.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listener and its address.
pub(super) type Bound = (Bind, Listener);

/// The main listener and the operators', each as systemd hands it over, or else bound.
pub(super) fn listeners(main: &Bind, ops: Option<&Bind>) -> io::Result<(Bound, Option<Bound>)> {
    let mut inherited = ListenFd::from_env();
    let wanted = 1 + usize::from(ops.is_some());
    if inherited.len() > wanted {
        return Err(io::Error::other(format!(
            "systemd hands over {} sockets, but only {wanted} are used: the main one, then SIDECAR_OPS_BIND's",
            inherited.len()
        )));
    }
    let main = listener(&mut inherited, 0, main)?;
    let ops = ops.map(|bind| listener(&mut inherited, 1, bind));
    Ok((main, ops.transpose()?))
}

fn listener(inherited: &mut ListenFd, index: usize, bind: &Bind) -> io::Result<Bound> {
    let handed_over = match inherited.take_tcp_listener(index) {
        Ok(listener) => listener.map(Listener::Tcp),
        Err(_) => inherited.take_unix_listener(index)?.map(Listener::Unix),
    };
    let (address, listener) = match handed_over {
        Some(listener) => (address_of(&listener, bind)?, listener),
        None => bound(bind)?,
    };
    let backlog = Backlog::new(BACKLOG)?;
    match &listener {
        Listener::Tcp(listener) => listen(listener, backlog)?,
        Listener::Unix(listener) => listen(listener, backlog)?,
    }
    Ok((address, listener))
}

fn address_of(listener: &Listener, configured: &Bind) -> io::Result<Bind> {
    Ok(match listener {
        Listener::Tcp(listener) => Bind::Tcp(listener.local_addr()?),
        Listener::Unix(listener) => match listener.local_addr()?.as_pathname() {
            Some(path) => Bind::Unix(path.to_owned()),
            None => configured.clone(),
        },
    })
}

fn bound(bind: &Bind) -> io::Result<Bound> {
    match bind {
        Bind::Tcp(address) => {
            let listener = Listener::Tcp(TcpListener::bind(address)?);
            Ok((address_of(&listener, bind)?, listener))
        }
        Bind::Unix(path) => {
            // A socket file without a listener is left over from a process that was killed.
            let is_socket =
                fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
            let is_refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
            if is_socket && UnixStream::connect(path).is_err_and(is_refused) {
                fs::remove_file(path)?;
            }
            Ok((bind.clone(), Listener::Unix(UnixListener::bind(path)?)))
        }
    }
}
