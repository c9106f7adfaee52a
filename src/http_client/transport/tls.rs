//! TLS by OpenSSL, which libpq links already.

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
pub(in crate::http_client) struct TlsConnector {
    /// A file of certificate authorities in place of the system's
    pub(in crate::http_client) ca_file: Option<PathBuf>,
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
        let mut adapter = TransportAdapter::new(transport.boxed(), details.current_time.clone());
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
