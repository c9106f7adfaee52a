//! A small blocking HTTP/1.1 client for `healthcheck` and `verify`: one request a connection, over TCP, a unix
//! socket or TLS; headers as they came, the body piece by piece.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::Bind;

mod stream;

use stream::Timed;

/// The longest line of a head, and the most lines.
const LONGEST_LINE: u64 = 64 * 1024;
const MOST_LINES: usize = 200;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `http://host:port`
    Tcp(String, u16),
    /// `https://host:port`
    Tls(String, u16),
    /// A unix socket
    Unix(PathBuf),
}

impl Place {
    /// A listener's.
    pub fn of(bind: &Bind) -> Place {
        match bind {
            Bind::Tcp(address) => Place::Tcp(address.ip().to_string(), address.port()),
            Bind::Unix(path) => Place::Unix(path.clone()),
        }
    }

    /// Parses `http://host[:port][/path]`, `https://...` and `unix:/path`; the path behind the host, without a slash
    /// at its end, comes with it.
    ///
    /// # Errors
    /// What is wrong, to complete a sentence that begins with the option's name.
    pub fn parse(url: &str) -> Result<(Place, String), String> {
        if let Some(path) = url.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok((Place::Unix(PathBuf::from(path)), String::new())),
                false => Err("names a unix socket without an absolute path".to_owned()),
            };
        }
        let (is_tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err("is neither http://..., https://... nor unix:/path".to_owned()),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("holds a name or password: those come by --basic-file".to_owned());
        }
        if path.contains(['?', '#', ' ']) {
            return Err("has more behind its path".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let usual = if is_tls { 443 } else { 80 };
        let port = match port.map(str::parse) {
            None => usual,
            Some(Ok(port)) => port,
            Some(Err(_)) => return Err("has a port that is no number".to_owned()),
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() {
            return Err("names no host".to_owned());
        }
        let place = match is_tls {
            true => Place::Tls(host, port),
            false => Place::Tcp(host, port),
        };
        Ok((place, path.trim_end_matches('/').to_owned()))
    }

    /// What a client puts into `Host`.
    pub fn host(&self) -> String {
        let bracketed = |host: &str| match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        match self {
            Place::Tcp(host, 80) | Place::Tls(host, 443) => bracketed(host),
            Place::Tcp(host, port) | Place::Tls(host, port) => {
                format!("{}:{port}", bracketed(host))
            }
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Tcp(..) => write!(f, "http://{}", self.host()),
            Place::Tls(..) => write!(f, "https://{}", self.host()),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One request without a body. It has no `Debug`: its headers may hold secrets.
pub struct Request {
    /// The method
    pub method: &'static str,
    /// Path and query
    pub target: String,
    /// Names and values; `Host` is among them
    pub headers: Vec<(String, String)>,
}

/// An answer whose body is still to be read.
pub struct Answer {
    /// The status
    pub status: u16,
    /// Names in lower case, values as text, in order
    pub headers: Vec<(String, String)>,
    stream: BufReader<Timed>,
    rest: Rest,
}

/// How much of a body is left.
enum Rest {
    Bytes(u64),
    /// Chunks: what is left of this one
    Chunk(u64),
    UntilClosed,
}

/// Sends a request, and reads the head of its answer. `authorities` is a file of certificate authorities for TLS.
///
/// # Errors
/// The network's, or that the answer is no HTTP/1.
pub fn ask(
    place: &Place,
    request: &Request,
    deadline: Instant,
    authorities: Option<&Path>,
) -> io::Result<Answer> {
    let mut stream = Timed::connect(place, deadline, authorities)?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if request.method == "POST" {
        head.push_str("Content-Length: 0\r\n");
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.flush()?;
    Answer::read_head(BufReader::new(stream), request.method)
}

impl Answer {
    fn read_head(mut stream: BufReader<Timed>, method: &str) -> io::Result<Answer> {
        let status_line = line(&mut stream)?;
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
            .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is no HTTP/1"))?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut stream)?;
            if line.is_empty() {
                break;
            }
            if headers.len() == MOST_LINES {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "the head has too many lines",
                ));
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let value = |wanted: &str| {
            let found = headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.to_ascii_lowercase())
        };
        let rest = if method == "HEAD" || matches!(status, 204 | 304) {
            Rest::Bytes(0)
        } else if value("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            Rest::Chunk(0)
        } else {
            match value("content-length").and_then(|length| length.parse().ok()) {
                Some(length) => Rest::Bytes(length),
                None => Rest::UntilClosed,
            }
        };
        Ok(Answer {
            status,
            headers,
            stream,
            rest,
        })
    }

    /// Reads a piece of the body; 0 bytes are its end.
    ///
    /// # Errors
    /// The network's; a body that is shorter than announced is one.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Rest::Chunk(0) = self.rest {
            self.next_chunk()?;
        }
        let most = match self.rest {
            Rest::Bytes(left) | Rest::Chunk(left) => {
                usize::try_from(left).unwrap_or(usize::MAX).min(into.len())
            }
            Rest::UntilClosed => into.len(),
        };
        let length = match most {
            0 => return Ok(0),
            most => self.stream.read(&mut into[..most])?,
        };
        match &mut self.rest {
            Rest::UntilClosed => {}
            Rest::Bytes(_) | Rest::Chunk(_) if length == 0 => {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    "the answer was cut off",
                ));
            }
            Rest::Bytes(left) => *left -= length as u64,
            Rest::Chunk(left) => {
                *left -= length as u64;
                if *left == 0 {
                    line(&mut self.stream)?;
                }
            }
        }
        Ok(length)
    }

    /// Reads the next chunk's length, and what is behind the last one.
    fn next_chunk(&mut self) -> io::Result<()> {
        let line_of_length = line(&mut self.stream)?;
        let digits = line_of_length.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(digits, 16)
            .map_err(|_| Error::new(ErrorKind::InvalidData, "a chunk has no length"))?;
        if length > 0 {
            self.rest = Rest::Chunk(length);
            return Ok(());
        }
        while !line(&mut self.stream)?.is_empty() {}
        self.rest = Rest::Bytes(0);
        Ok(())
    }
}

/// A line without its end.
fn line(stream: &mut BufReader<Timed>) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream
        .by_ref()
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(Error::new(
            ErrorKind::UnexpectedEof,
            "the connection ended, or a line did not",
        ));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    // Header bytes above ASCII: one character each, so that two that differ stay different.
    Ok(bytes.into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_usual_ports_and_paths() {
        let tcp = |host: &str, port| Place::Tcp(host.to_owned(), port);
        for (url, place, path, host) in [
            ("http://django", tcp("django", 80), "", "django"),
            (
                "http://django:8001/",
                tcp("django", 8001),
                "",
                "django:8001",
            ),
            (
                "http://[::1]:8001/api/admin/",
                tcp("::1", 8001),
                "/api/admin",
                "[::1]:8001",
            ),
            ("http://[::1]", tcp("::1", 80), "", "[::1]"),
            (
                "https://django/x",
                Place::Tls("django".to_owned(), 443),
                "/x",
                "django",
            ),
            (
                "unix:/run/x.sock",
                Place::Unix("/run/x.sock".into()),
                "",
                "localhost",
            ),
        ] {
            assert_eq!(
                Place::parse(url),
                Ok((place.clone(), path.to_owned())),
                "{url}"
            );
            assert_eq!(place.host(), host);
        }
        for url in [
            "django:8001",
            "http://",
            "http://u:p@django/",
            "http://django:x/",
            "unix:x",
            "http://django/?x",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }
}
