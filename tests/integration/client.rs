//! A plain HTTP/1.1 client that shows header bytes as they came, and a bare connection for clients that are not plain.

use std::future::ready;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

use actix_http::encoding::Decoder;
use actix_web::error::PayloadError;
use actix_web::http::header::ContentEncoding;
use actix_web::web::Bytes;
use base64::Engine as _;
use futures_util::{TryStreamExt, stream};
use nix::sys::socket::{setsockopt, sockopt};

use crate::openapi;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The names of all headers, in lower case and in order.
    pub fn header_names(&self) -> Vec<String> {
        let names = self.headers.iter().map(|(name, _)| name.to_lowercase());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// All headers as lines.
    pub fn head(&self) -> String {
        let lines = self.headers.iter();
        lines
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body without its compression.
    pub fn decompressed(&self) -> Vec<u8> {
        let Some(coding) = self.header("content-encoding") else {
            return self.body.clone();
        };
        let coding = ContentEncoding::from_str(coding).unwrap();
        let body = stream::once(ready(Ok::<_, PayloadError>(Bytes::from(self.body.clone()))));
        actix_web::rt::System::new().block_on(async {
            let pieces: Vec<Bytes> = Decoder::new(body, coding).try_collect().await.unwrap();
            pieces.concat()
        })
    }

    /// The value that `Set-Cookie` gives this cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let set = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"));
        set.filter_map(|(_, value)| value.split(';').next()?.strip_prefix(&format!("{name}=")))
            .map(str::to_owned)
            .next()
    }
}

/// Sends one request and reads the whole answer.
pub fn send(
    address: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if headers.iter().all(|(name, _)| *name != "Host") {
        request.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut wire = Wire::to(address);
    wire.0.write_all(request.as_bytes()).unwrap();

    let mut answer = Vec::new();
    wire.0.read_to_end(&mut answer).unwrap();
    let head_end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(head_end + 4);
    let mut answer = parse_head(answer);
    answer.body = body;
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = dechunked(&answer.body);
    }
    openapi::require(method, target, &answer);
    answer
}

/// `curl -u name:password`
pub fn basic(name: &str, password: &str) -> String {
    let credentials = format!("{name}:{password}");
    let credentials = base64::engine::general_purpose::STANDARD.encode(credentials);
    format!("Basic {credentials}")
}

/// A connection on which a test says what it likes.
pub struct Wire(pub TcpStream);

impl Wire {
    pub fn to(address: &str) -> Wire {
        let stream = TcpStream::connect(address).unwrap();
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        Wire(stream)
    }

    /// A connection with a small receive buffer.
    pub fn narrow(address: &str) -> Wire {
        let wire = Wire::to(address);
        setsockopt(&wire.0, sockopt::RcvBuf, &16_384).unwrap();
        wire
    }

    /// Sends bytes; `false` when the other side takes none.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads one answer that tells its length; `None` when the other side has closed.
    pub fn answer(&mut self) -> Option<Answer> {
        next_answer(&mut self.0)
    }

    /// All that comes until the other side closes, within a minute.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("not closed: {error}, after {} bytes", rest.len())
            }
            _ => rest,
        }
    }

    /// Ends the connection with RST.
    pub fn reset(self) {
        let at_once = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&self.0, sockopt::Linger, &at_once).unwrap();
    }
}

/// The answers in what a connection has said until it closed.
pub fn answers(mut said: &[u8]) -> Vec<Answer> {
    std::iter::from_fn(|| next_answer(&mut said)).collect()
}

fn next_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing came: {head:?}"),
            _ if head.is_empty() => return None,
            _ => panic!("half a head: {:?}", String::from_utf8_lossy(&head)),
        }
    }
    let mut answer = parse_head(head);
    let length = answer.header("content-length").unwrap_or("0");
    answer.body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut answer.body).unwrap();
    Some(answer)
}

fn parse_head(head: Vec<u8>) -> Answer {
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    Answer {
        status: status.parse().unwrap(),
        headers: lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: Vec::new(),
    }
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&body[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[line + 2..][..size]);
        body = &body[line + 2 + size + 2..];
    }
}
