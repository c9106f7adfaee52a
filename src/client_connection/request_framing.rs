//! Finds where each request begins and ends, before Actix parses it. A head is collected, limited in size, and handed over
//! whole, without an upgrade. The bytes of a body are only counted.
//!
//! Actix parses an unfinished head again with every piece that comes, takes up to 128 KiB, and closes the connection behind
//! a request with `Connection: Upgrade`, which Java's HTTP client and `curl --http2` send by default. RFC 9110 (section
//! 7.8) has a server that does not upgrade ignore the header; so it is overwritten here.

use tokio::io::ReadBuf;

/// The longest head in bytes, with blank lines before it: what nginx takes by default.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;

/// Replaces a request whose head is too large. All that the client sends after it is its body, which is never read, so the
/// client has time to read the answer.
const SUBSTITUTE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n";

/// Overwrites `upgrade`: as long, and without a meaning.
const IGNORED: &[u8; 7] = b"ignored";

/// The framing of one connection's requests.
#[derive(Default)]
pub(super) struct RequestFraming {
    bytes: Vec<u8>,
    /// How many of the bytes can be handed over: complete heads, and bodies as far as they have come. A head begins after them.
    ready: usize,
    /// How many bytes of the latest body are still to come
    body_left: u64,
    is_too_large: bool,
}

impl RequestFraming {
    /// Adds bytes that came where a head begins or goes on, and perhaps more. Replaces a head that is too large.
    pub(super) fn push(&mut self, came: &[u8]) {
        // A blank line may have begun in the two bytes before.
        let mut searched = self.bytes.len().saturating_sub(2);
        self.bytes.extend_from_slice(came);
        while self.body_left == 0 {
            let unfinished = &mut self.bytes[self.ready..];
            let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let start = unfinished.iter().position(|byte| !is_line_end(byte));
            let end = start.and_then(|start| {
                let from = start.max(searched.saturating_sub(self.ready));
                blank_line(&unfinished[from..]).map(|end| from + end)
            });
            let length = end.unwrap_or(unfinished.len());
            if length > LARGEST_HEAD {
                return self.replace_head();
            }
            let (Some(start), Some(end)) = (start, end) else {
                return;
            };
            let body = body_behind(&mut unfinished[start..end]);
            self.ready += end;
            searched = self.ready;
            let came = (self.bytes.len() - self.ready) as u64;
            self.body_left = body.saturating_sub(came);
            // No more than what came, which is a `usize`.
            self.ready += body.min(came) as usize;
        }
    }

    fn replace_head(&mut self) {
        self.bytes.truncate(self.ready);
        self.bytes.extend_from_slice(SUBSTITUTE);
        self.ready = self.bytes.len();
        self.body_left = u64::MAX;
        self.is_too_large = true;
    }

    /// Whether the latest head was replaced.
    pub(super) fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Whether there are bytes to hand over.
    pub(super) fn is_ready(&self) -> bool {
        self.ready > 0
    }

    /// Whether a head has begun that is not complete.
    pub(super) fn is_within_head(&self) -> bool {
        let rest = &self.bytes[self.ready..];
        !rest.trim_ascii_start().is_empty()
    }

    /// Moves the bytes that are ready to `buf`, as far as it has room.
    pub(super) fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ready.min(buf.remaining());
        buf.put_slice(&self.bytes[..count]);
        self.ready -= count;
        match count == self.bytes.len() {
            // An idle connection keeps no buffer.
            true => self.bytes = Vec::new(),
            false => drop(self.bytes.drain(..count)),
        }
    }

    /// How many bytes of the latest body are still to come; `u64::MAX` where only Actix can tell.
    pub(super) fn body_left(&self) -> u64 {
        self.body_left
    }

    /// Notes that this number of bytes of the body came.
    pub(super) fn body_came(&mut self, count: usize) {
        self.body_left = self.body_left.saturating_sub(count as u64);
    }
}

/// Where the first blank line ends. As in `httparse`, a line may end without CR.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|end| match bytes[end + 1..] {
        [b'\n', ..] => Some(end + 2),
        [b'\r', b'\n', ..] => Some(end + 3),
        _ => None,
    })
}

/// Overwrites the upgrade in a head. Returns the length of the body in bytes; `u64::MAX` for chunks and for heads that only Actix
/// can judge, which closes the connection behind them.
fn body_behind(head: &mut [u8]) -> u64 {
    if head.starts_with(b"CONNECT ") {
        return u64::MAX;
    }
    let mut length = None;
    for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at_mut(colon);
        let value = &mut value[1..];
        if name.eq_ignore_ascii_case(b"upgrade") {
            name.copy_from_slice(IGNORED);
        } else if name.eq_ignore_ascii_case(b"connection") {
            value
                .split_mut(|byte| *byte == b',')
                .for_each(ignore_upgrade);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            length = Some(u64::MAX);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            length = Some(match length {
                None => parse_length(value).unwrap_or(u64::MAX),
                Some(_) => u64::MAX,
            });
        }
    }
    length.unwrap_or(0)
}

/// The number in `Content-Length`, unless it is malformed.
fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// Overwrites an option of `Connection` that is `upgrade`.
fn ignore_upgrade(option: &mut [u8]) {
    let start = option.len() - option.trim_ascii_start().len();
    let length = option.trim_ascii().len();
    let option = &mut option[start..start + length];
    if option.eq_ignore_ascii_case(b"upgrade") {
        option.copy_from_slice(IGNORED);
    }
}
