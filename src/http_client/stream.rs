//! A connection over TCP, a unix socket or TLS, with one deadline for all that happens on it.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Place;

/// A stream with a deadline for everything.
pub(super) struct Timed {
    stream: Stream,
    deadline: Instant,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(feature = "postgres")]
    Tls(openssl::ssl::SslStream<TcpStream>),
}

impl Timed {
    pub(super) fn connect(
        place: &Place,
        deadline: Instant,
        authorities: Option<&Path>,
    ) -> io::Result<Timed> {
        let stream = match place {
            Place::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Place::Tcp(host, port) => Stream::Tcp(tcp(host, *port, deadline)?),
            Place::Tls(host, port) => {
                let tcp = tcp(host, *port, deadline)?;
                tcp.set_read_timeout(Some(left(deadline)?))?;
                tls(host, tcp, authorities)?
            }
        };
        Ok(Timed { stream, deadline })
    }

    /// The stream, with what is left of its time.
    fn in_time(&mut self) -> io::Result<&mut Stream> {
        let left = Some(left(self.deadline)?);
        match &self.stream {
            Stream::Unix(stream) => {
                stream.set_read_timeout(left)?;
                stream.set_write_timeout(left)?;
            }
            Stream::Tcp(stream) => limit(stream, left)?,
            #[cfg(feature = "postgres")]
            Stream::Tls(stream) => limit(stream.get_ref(), left)?,
        }
        Ok(&mut self.stream)
    }
}

fn limit(stream: &TcpStream, left: Option<Duration>) -> io::Result<()> {
    stream.set_read_timeout(left)?;
    stream.set_write_timeout(left)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(Error::new(ErrorKind::TimedOut, "no answer in time")),
        false => Ok(left),
    }
}

fn in_words(error: Error) -> Error {
    match error.kind() {
        // What a socket's time limit looks like.
        ErrorKind::WouldBlock => Error::new(ErrorKind::TimedOut, "no answer in time"),
        _ => error,
    }
}

/// Tries every address of the host.
fn tcp(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Where Linux distributions keep the certificate authorities; OpenSSL from source knows none of them.
#[cfg(feature = "postgres")]
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The OpenSSL that libpq brings along.
#[cfg(feature = "postgres")]
fn tls(host: &str, stream: TcpStream, authorities: Option<&Path>) -> io::Result<Stream> {
    use openssl::ssl::{SslConnector, SslMethod};

    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    let usual = AUTHORITIES.iter().map(Path::new).find(|path| path.exists());
    if let Some(file) = authorities.or(usual) {
        connector.set_ca_file(file)?;
    }
    let stream = connector.build().connect(host, stream);
    stream
        .map(Stream::Tls)
        .map_err(|error| Error::other(error.to_string()))
}

#[cfg(not(feature = "postgres"))]
fn tls(_: &str, _: TcpStream, _: Option<&Path>) -> io::Result<Stream> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "a build without the feature postgres has no TLS",
    ))
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self.in_time()? {
            Stream::Unix(stream) => stream.read(into),
            Stream::Tcp(stream) => stream.read(into),
            #[cfg(feature = "postgres")]
            Stream::Tls(stream) => stream.read(into),
        };
        read.map_err(in_words)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.in_time()? {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
            #[cfg(feature = "postgres")]
            Stream::Tls(stream) => stream.write(bytes),
        };
        written.map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.in_time()? {
            Stream::Unix(stream) => stream.flush(),
            Stream::Tcp(stream) => stream.flush(),
            #[cfg(feature = "postgres")]
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
