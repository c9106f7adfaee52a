//! The head of a request before Actix parses it: collected whole, limited in size, and without an upgrade.
//!
//! Actix parses an unfinished head again with every piece that comes, takes up to 128 KiB, and closes the connection behind
//! a request with `Connection: Upgrade`, which Java's HTTP client and `curl --http2` send by default. RFC 9110 (section
//! 7.8) has a server that does not upgrade ignore the wish; so it is overwritten here.

/// The longest head in bytes: what nginx takes by default.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;

/// How many bytes before a head may belong to the blank line that ends it.
pub(super) const END_LENGTH: usize = 4;

/// The request that Actix gets in place of one whose head is too large. The rest of what the client sends is its
/// body. It is never read, and the client has time to read the answer.
const SUBSTITUTE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n";

/// As long as `upgrade`, and without a meaning.
const IGNORED: &[u8; 7] = b"ignored";

/// A head while it comes, then until it has been handed over.
pub(super) struct RequestHead {
    /// The bytes before it, then its own
    bytes: Vec<u8>,
    /// How many of them Actix has
    taken: usize,
    is_whole: bool,
    is_too_large: bool,
}

impl RequestHead {
    /// A head that begins behind these bytes.
    pub(super) fn behind(before: [u8; END_LENGTH]) -> RequestHead {
        RequestHead {
            bytes: before.to_vec(),
            taken: END_LENGTH,
            is_whole: false,
            is_too_large: false,
        }
    }

    /// Adds bytes of this head, and perhaps more behind it. A head that is too large is replaced.
    pub(super) fn push(&mut self, came: &[u8]) {
        // The blank line may have begun in the two bytes before.
        let searched = self.bytes.len() - 2;
        self.bytes.extend_from_slice(came);
        if blank_line(&self.bytes[searched..]).is_some() {
            self.is_whole = true;
            ignore_upgrades(&mut self.bytes[END_LENGTH..]);
        } else if self.bytes.len() > LARGEST_HEAD {
            self.bytes.truncate(END_LENGTH);
            self.bytes.shrink_to_fit();
            self.bytes.extend_from_slice(SUBSTITUTE);
            self.is_whole = true;
            self.is_too_large = true;
        }
    }

    /// Whether it was replaced.
    pub(super) fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Whether it can be handed over.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether all of it has been handed over.
    pub(super) fn is_taken(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// The next bytes to hand over, no more than `most`.
    pub(super) fn take(&mut self, most: usize) -> &[u8] {
        let start = self.taken;
        self.taken = self.bytes.len().min(start + most);
        &self.bytes[start..self.taken]
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

/// Overwrites the upgrades of all heads that are whole, up to the first one with a body.
fn ignore_upgrades(mut bytes: &mut [u8]) {
    while let Some(end) = blank_line(bytes) {
        let (head, rest) = bytes.split_at_mut(end);
        let mut has_body = false;
        for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let (name, value) = line.split_at_mut(colon);
            if name.eq_ignore_ascii_case(b"upgrade") {
                name.copy_from_slice(IGNORED);
            } else if name.eq_ignore_ascii_case(b"connection") {
                value[1..]
                    .split_mut(|byte| *byte == b',')
                    .for_each(ignore_upgrade);
            }
            has_body |= name.eq_ignore_ascii_case(b"content-length")
                || name.eq_ignore_ascii_case(b"transfer-encoding");
        }
        if has_body {
            return;
        }
        bytes = rest;
    }
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
mod tests {
    use super::*;

    const BEFORE: [u8; END_LENGTH] = *b"\r\n\r\n";

    /// What is handed over once these pieces have come; empty until then.
    fn handed_over(before: [u8; END_LENGTH], pieces: &[&str]) -> String {
        let mut head = RequestHead::behind(before);
        for (number, piece) in pieces.iter().enumerate() {
            head.push(piece.as_bytes());
            assert_eq!(head.is_whole(), number + 1 == pieces.len(), "{piece:?}");
        }
        let mut bytes = Vec::new();
        while !head.is_taken() {
            bytes.extend_from_slice(head.take(5));
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_head_is_handed_over_whole_wherever_it_was_cut() {
        let head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for cut in 1..head.len() {
            let (start, rest) = head.split_at(cut);
            assert_eq!(handed_over(BEFORE, &[start, rest]), head);
        }
        assert_eq!(
            handed_over(BEFORE, &["GET /\nHost: x\n", "\nX"]),
            "GET /\nHost: x\n\nX"
        );
        // The head may have begun behind another request.
        assert_eq!(handed_over(*b"x\r\n\r", &["\n"]), "\n");
        assert_eq!(handed_over(*b": x\r", &["\n", "\r", "\n"]), "\n\r\n");
    }

    #[test]
    fn an_upgrade_is_ignored_in_every_spelling_and_nowhere_else() {
        let head = "GET /upgrade HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nX-Upgrade: upgrade\r\n\r\n";
        let expected = "GET /upgrade HTTP/1.1\r\nConnection: ignored, HTTP2-Settings\r\nignored: h2c\r\nX-Upgrade: upgrade\r\n\r\n";
        assert_eq!(handed_over(BEFORE, &[&head[..45], &head[45..]]), expected);
        let twice = handed_over(BEFORE, &[&head.repeat(2)]);
        assert_eq!(twice, expected.repeat(2));
        let head = "POST / HTTP/1.1\nCONNECTION:close ,\tuPGRADE\r\nupgrade:websocket\nContent-Length: 9\n\n";
        let body = "\nUpgrade: x\n\n";
        assert_eq!(
            handed_over(BEFORE, &[&(head.to_owned() + body)]),
            "POST / HTTP/1.1\nCONNECTION:close ,\tignored\r\nignored:websocket\nContent-Length: 9\n\n".to_owned() + body
        );
    }

    #[test]
    fn a_head_that_is_too_large_is_refused_as_soon_as_it_is() {
        let mut head = RequestHead::behind(BEFORE);
        head.push(&[b'x'; LARGEST_HEAD - END_LENGTH]);
        assert!(!head.is_whole());
        head.push(b"x");
        assert!(head.is_whole() && head.is_too_large());
        assert_eq!(head.take(100), SUBSTITUTE);
    }
}
