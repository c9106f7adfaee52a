//! What ureq lacks here: connections over a unix socket, and TLS by the OpenSSL that libpq is built with.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

/// Connects to one unix socket, whatever the URL's host.
#[derive(Debug)]
pub(super) struct UnixConnector(pub(super) PathBuf);

impl Connector for UnixConnector {
    type Out = StreamTransport<UnixStream>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let stream = UnixStream::connect(&self.0)?;
        Ok(Some(StreamTransport::new(stream, details)))
    }
}

/// A stream whose next read or write can be given a timeout.
pub(super) trait Stream: Read + Write + Send + Sync + 'static {
    /// Whether it is encrypted
    const IS_TLS: bool;

    fn set_timeout(&mut self, timeout: NextTimeout) -> io::Result<()>;
}

impl Stream for UnixStream {
    const IS_TLS: bool = false;

    fn set_timeout(&mut self, timeout: NextTimeout) -> io::Result<()> {
        let timeout = timeout.not_zero().map(|timeout| *timeout);
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }
}

/// A stream as ureq uses it.
pub(super) struct StreamTransport<S> {
    stream: S,
    buffers: LazyBuffers,
}

impl<S: Stream> StreamTransport<S> {
    fn new(stream: S, details: &ConnectionDetails) -> StreamTransport<S> {
        let config = details.config;
        StreamTransport {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }
    }
}

impl<S: Stream> Transport for StreamTransport<S> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_timeout(timeout)?;
        let output = &self.buffers.output()[..amount];
        let written = self.stream.write_all(output);
        written.map_err(|error| with_timeout(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_timeout(timeout)?;
        let read = self.stream.read(self.buffers.input_append_buf());
        let length = read.map_err(|error| with_timeout(error, timeout.reason))?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    /// Connections are not used twice.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        S::IS_TLS
    }
}

impl<S> fmt::Debug for StreamTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamTransport")
    }
}

fn with_timeout(error: io::Error, reason: Timeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(reason),
        _ => error.into(),
    }
}

#[cfg(feature = "postgres")]
pub(super) mod tls;
