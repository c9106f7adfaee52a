//! Where each request begins and ends, before Actix parses it: a head is collected whole, limited in size, and handed over
//! without an upgrade; the bytes of a body are counted and not looked at.
//!
//! Actix parses an unfinished head again with every piece that comes, takes up to 128 KiB, and closes the connection behind
//! a request with `Connection: Upgrade`, which Java's HTTP client and `curl --http2` send by default. RFC 9110 (section
//! 7.8) has a server that does not upgrade ignore the wish; so it is overwritten here.

use tokio::io::ReadBuf;

/// The longest head in bytes, with blank lines before it: what nginx takes by default.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;

/// The request that Actix gets in place of one whose head is too large. The rest of what the client sends is its
/// body. It is never read, and the client has time to read the answer.
const SUBSTITUTE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n";

/// As long as `upgrade`, and without a meaning.
const IGNORED: &[u8; 7] = b"ignored";

/// The requests of one connection.
#[derive(Default)]
pub(super) struct RequestFraming {
    bytes: Vec<u8>,
    /// How many of the bytes can be handed over: whole heads, and bodies as far as they have come. Then a head begins.
    ready: usize,
    /// How many bytes of a body have still to come
    body_left: u64,
    is_too_large: bool,
}

impl RequestFraming {
    /// Adds bytes behind a whole request: a head, or a part of it, and perhaps more. A head that is too large is replaced.
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

    /// Whether a head has begun that is not whole.
    pub(super) fn is_within_head(&self) -> bool {
        let rest = &self.bytes[self.ready..];
        !rest.trim_ascii_start().is_empty()
    }

    /// Hands over what is ready, as far as there is room.
    pub(super) fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ready.min(buf.remaining());
        buf.put_slice(&self.bytes[..count]);
        self.ready -= count;
        match count == self.bytes.len() {
            // An idle connection keeps no memory.
            true => self.bytes = Vec::new(),
            false => drop(self.bytes.drain(..count)),
        }
    }

    /// How many bytes of the latest body have still to come; more than any client sends where only Actix can tell.
    pub(super) fn body_left(&self) -> u64 {
        self.body_left
    }

    /// Notes that this number of them came.
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

/// Overwrites the upgrades of a head; how many bytes its body has. `u64::MAX`: chunks, or what only Actix can tell, which
/// closes the connection behind it.
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

/// The number in `Content-Length`, if it is one.
fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// Overwrites this option of `Connection` if it is the upgrade.
fn ignore_upgrade(option: &mut [u8]) {
    let start = option.len() - option.trim_ascii_start().len();
    let length = option.trim_ascii().len();
    let option = &mut option[start..start + length];
    if option.eq_ignore_ascii_case(b"upgrade") {
        option.copy_from_slice(IGNORED);
    }
}

#[cfg(test)]
mod tests;
