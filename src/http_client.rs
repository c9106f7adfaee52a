//! The HTTP client of `healthcheck` and `verify`: ureq, set to follow no redirect, use no proxy, keep no connection, add no
//! header and decompress nothing, so that a request and its answer are compared as they are.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::{HeaderValue, Request, Uri, header};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::TcpConnector;

mod transport;

/// Parses `http://host[:port][/path]`, `https://...` and `unix:/path`. Gives the server's URL, and the path on it without a
/// slash at its end.
///
/// # Errors
/// What is wrong, to complete a sentence that begins with the option's name.
pub fn parse_server(url: &str) -> Result<(String, String), &'static str> {
    if let Some(path) = url.strip_prefix("unix:") {
        return match path.starts_with('/') {
            true => Ok((url.to_owned(), String::new())),
            false => Err("names a unix socket without an absolute path"),
        };
    }
    let other = "is neither http://..., https://... nor unix:/path";
    let uri: Uri = url.parse().map_err(|_| other)?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority())
    else {
        return Err(other);
    };
    if authority.as_str().contains('@') {
        return Err("holds a name or password: those come by --basic-file");
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("has a query or a fragment");
    }
    if authority.port_u16().is_none() && authority.as_str() != authority.host() {
        return Err("has a port that is no number");
    }
    if authority.host().is_empty() {
        return Err("names no host");
    }
    let path = uri.path().trim_end_matches('/').to_owned();
    Ok((format!("{scheme}://{authority}"), path))
}

/// The value of `Host` for a server's URL, without the scheme's usual port.
pub fn host(server: &str) -> &str {
    match server.split_once("://") {
        Some(("https", host)) => host.strip_suffix(":443").unwrap_or(host),
        Some((_, host)) => host.strip_suffix(":80").unwrap_or(host),
        None => "localhost",
    }
}

/// An answer whose body is still to be read: as it was sent, without its chunks.
pub type Answer = ureq::http::Response<ureq::Body>;

/// Sends requests to one server. Each request opens its own connection.
pub struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// A client that gives up where an answer has not come to its last byte within `timeout`. `ca_file` holds the
    /// certificate authorities for TLS, in place of the system's.
    pub fn new(server: &str, timeout: Duration, ca_file: Option<&Path>) -> Client {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_idle_connections(0)
            .build();
        let resolver = DefaultResolver::default();
        match server.strip_prefix("unix:") {
            Some(path) => Client {
                agent: Agent::with_parts(config, transport::UnixConnector(path.into()), resolver),
                // An address, so that no name is looked up.
                base: "http://127.0.0.1".to_owned(),
            },
            None => Client {
                agent: tcp_agent(config, resolver, ca_file),
                base: server.to_owned(),
            },
        }
    }

    /// Sends a request without a body, and reads the head of its answer. `target` is path and query.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base))
            .header(header::CONNECTION, "close");
        for (name, value) in headers {
            let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(io::Error::other)?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let sent = match method {
            // With `Content-Length: 0`.
            "POST" => self
                .agent
                .run(request.body(&[][..]).map_err(io::Error::other)?),
            _ => self.agent.run(request.body(()).map_err(io::Error::other)?),
        };
        sent.map_err(in_words)
    }
}

#[cfg(feature = "postgres")]
fn tcp_agent(config: Config, resolver: DefaultResolver, ca_file: Option<&Path>) -> Agent {
    use ureq::unversioned::transport::Connector;

    let ca_file = ca_file.map(Path::to_owned);
    let tls = transport::tls::TlsConnector { ca_file };
    let connector = Connector::<()>::chain(TcpConnector::default(), tls);
    Agent::with_parts(config, connector, resolver)
}

#[cfg(not(feature = "postgres"))]
fn tcp_agent(config: Config, resolver: DefaultResolver, _: Option<&Path>) -> Agent {
    Agent::with_parts(config, TcpConnector::default(), resolver)
}

/// The network's error in one sentence, without ureq's prefix.
fn in_words(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Timeout(_) => io::Error::new(ErrorKind::TimedOut, "no answer in time"),
        ureq::Error::Protocol(error) => io::Error::new(
            ErrorKind::InvalidData,
            format!("the answer is no HTTP/1: {error}"),
        ),
        ureq::Error::TlsRequired => io::Error::new(
            ErrorKind::Unsupported,
            "a build without the feature postgres has no TLS",
        ),
        error => error.into_io(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_usual_ports_and_paths() {
        for (url, server, path, host) in [
            ("http://django:80/", "http://django:80", "", "django"),
            ("http://django:81/", "http://django:81", "", "django:81"),
            (
                "http://[::1]:81/a/b/",
                "http://[::1]:81",
                "/a/b",
                "[::1]:81",
            ),
            ("http://[::1]", "http://[::1]", "", "[::1]"),
            ("https://django:443/x", "https://django:443", "/x", "django"),
            ("unix:/run/x.sock", "unix:/run/x.sock", "", "localhost"),
        ] {
            let (parsed, parsed_path) = parse_server(url).unwrap();
            assert_eq!((parsed.as_str(), parsed_path.as_str()), (server, path));
            assert_eq!(super::host(&parsed), host);
        }
    }
}
