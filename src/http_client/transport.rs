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
pub(super) mod tls {
    use std::io;
    use std::path::{Path, PathBuf};

    use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslStream};
    use ureq::Error;
    use ureq::unversioned::transport::{
        ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
    };

    use super::{Stream, StreamTransport};

    /// Where Linux distributions keep the certificate authorities. OpenSSL from source knows none of them, but reads
    /// `SSL_CERT_FILE`.
    const AUTHORITIES: [&str; 3] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
    ];

    /// Wraps the connection to an `https` URL, and checks the server's certificate and name.
    #[derive(Debug)]
    pub(in super::super) struct TlsConnector {
        /// A file of certificate authorities in place of the system's
        pub(in super::super) ca_file: Option<PathBuf>,
    }

    impl<In: Transport> Connector<In> for TlsConnector {
        type Out = Either<In, StreamTransport<SslStream<TransportAdapter>>>;

        fn connect(
            &self,
            details: &ConnectionDetails,
            chained: Option<In>,
        ) -> Result<Option<Self::Out>, Error> {
            let Some(transport) = chained else {
                return Ok(None);
            };
            if !details.needs_tls() {
                return Ok(Some(Either::A(transport)));
            }
            let mut connector =
                SslConnector::builder(SslMethod::tls_client()).map_err(io::Error::other)?;
            let usual = AUTHORITIES.iter().map(Path::new).find(|path| path.exists());
            if let Some(file) = self.ca_file.as_deref().or(usual) {
                connector.set_ca_file(file).map_err(io::Error::other)?;
            }
            let mut adapter =
                TransportAdapter::new(transport.boxed(), details.current_time.clone());
            adapter.set_timeout(details.timeout);
            let host = details.uri.host().unwrap_or_default();
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let stream = connector.build().connect(host, adapter);
            let stream = stream.map_err(handshake_error)?;
            Ok(Some(Either::B(StreamTransport::new(stream, details))))
        }
    }

    /// The network's error, or OpenSSL's with the reason why the certificate was refused.
    fn handshake_error(error: HandshakeError<TransportAdapter>) -> io::Error {
        let stream = match error {
            HandshakeError::SetupFailure(error) => return io::Error::other(error),
            HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream) => stream,
        };
        let refused = stream.ssl().verify_result();
        let error = stream.into_error().into_io_error();
        error.unwrap_or_else(|error| io::Error::other(format!("{error}: {refused}")))
    }

    impl Stream for SslStream<TransportAdapter> {
        const IS_TLS: bool = true;

        fn set_timeout(&mut self, timeout: NextTimeout) -> io::Result<()> {
            self.get_mut().set_timeout(timeout);
            Ok(())
        }
    }
}
