//! A plain HTTP/1.1 client that shows header bytes as they came.

use std::future::ready;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

use actix_http::encoding::Decoder;
use actix_web::error::PayloadError;
use actix_web::http::header::ContentEncoding;
use actix_web::web::Bytes;
use futures_util::{TryStreamExt, stream};

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
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).unwrap();

    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head_end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(head_end + 4);
    let head = String::from_utf8(answer).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body,
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = dechunked(&answer.body);
    }
    answer
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
