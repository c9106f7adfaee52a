//! The client's address behind proxies: `X-Forwarded-For` counts as far as trusted proxies wrote it.
//!
//! Each proxy appends the address that called it. So the header is read from the right, and everything left of the first
//! address that is not trusted may be forged.

use std::net::{IpAddr, Ipv6Addr};

/// The trusted proxies: networks, and perhaps the unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<(IpAddr, u8)>,
    unix: bool,
}

impl TrustedProxies {
    /// Parses addresses, networks (`10.0.0.0/8`), and `unix` for clients of the unix socket; `None` if a word is none of
    /// them.
    pub fn parse(words: &[String]) -> Option<TrustedProxies> {
        let mut proxies = TrustedProxies {
            networks: Vec::new(),
            unix: false,
        };
        for word in words {
            if word == "unix" {
                proxies.unix = true;
                continue;
            }
            let (address, length) = match word.split_once('/') {
                Some((address, length)) => (address, Some(length)),
                None => (word.as_str(), None),
            };
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = match length {
                Some(length) => length.parse().ok().filter(|length| *length <= most)?,
                None => most,
            };
            // Addresses are compared in their canonical form: an IPv4 address mapped into IPv6 is IPv4.
            let network = match (address, address.to_canonical(), length) {
                (IpAddr::V6(_), canonical @ IpAddr::V4(_), 96..) => (canonical, length - 96),
                _ => (address, length),
            };
            proxies.networks.push(network);
        }
        Some(proxies)
    }

    /// Whether this address is trusted; `None` is a client of the unix socket.
    pub fn trust(&self, hop: Option<IpAddr>) -> bool {
        let Some(hop) = hop else {
            return self.unix;
        };
        self.networks
            .iter()
            .any(|(network, length)| is_within(hop, *network, *length))
    }
}

fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    // A shift by all bits has no result: every address is in a network of length 0.
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differs = address.to_bits() ^ network.to_bits();
            differs.checked_shr(32 - u32::from(length)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differs = address.to_bits() ^ network.to_bits();
            differs.checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// The client's address: the first that is not trusted, from the connection's own leftwards through the header. Where the next
/// word is no address, the proxy that wrote it counts as the client. `None` is a client of the unix socket.
pub fn client_address(
    peer: Option<IpAddr>,
    forwarded_for: Option<&[u8]>,
    proxies: &TrustedProxies,
) -> Option<IpAddr> {
    let mut hop = peer.map(|peer| peer.to_canonical());
    let mut words = forwarded_for
        .unwrap_or_default()
        .rsplit(|byte| *byte == b',');
    while proxies.trust(hop)
        && let Some(earlier) = words.next().and_then(parse_address)
    {
        hop = Some(earlier);
    }
    hop
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn parse_address(word: &[u8]) -> Option<IpAddr> {
    let word = std::str::from_utf8(word).ok()?.trim_ascii();
    let address = match word.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match word.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => word,
        },
    };
    address
        .parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// The address that limits count: of IPv6 its /64 network, within which one host may choose any address.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(words: &[&str]) -> TrustedProxies {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        TrustedProxies::parse(&words).unwrap()
    }

    fn client(peer: &str, forwarded_for: &str, trusted: &[&str]) -> String {
        let peer = peer.parse().ok();
        let address = client_address(peer, Some(forwarded_for.as_bytes()), &proxies(trusted));
        address.map_or("unix".to_owned(), |address| address.to_string())
    }

    #[test]
    fn the_header_is_read_from_the_right_as_far_as_proxies_are_trusted() {
        let trusted = [
            "127.0.0.0/8",
            "::1",
            "unix",
            "10.0.0.0/8",
            "::ffff:172.16.0.0/108",
            "::ffff:192.0.2.9",
        ];
        for (peer, forwarded_for, expected) in [
            ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("127.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
            (
                "127.0.0.1",
                "203.0.113.9,198.51.100.7 ,\t10.1.2.3",
                "198.51.100.7",
            ),
            ("127.0.0.1", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
            ("127.0.0.1", "198.51.100.7, 172.16.3.4", "198.51.100.7"),
            ("127.0.0.1", "198.51.100.7, 172.32.3.4", "172.32.3.4"),
            ("::ffff:192.0.2.9", "198.51.100.7", "198.51.100.7"),
            ("unix", "198.51.100.7:4711", "198.51.100.7"),
            ("::ffff:127.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
            ("::1", "2001:db8::1", "2001:db8::1"),
            ("127.0.0.1", "", "127.0.0.1"),
            ("127.0.0.1", "203.0.113.9, unknown", "127.0.0.1"),
            ("127.0.0.1", "203.0.113.9, garbage, 10.1.2.3", "10.1.2.3"),
            ("127.0.0.1", "203.0.113.9,", "127.0.0.1"),
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ] {
            assert_eq!(
                client(peer, forwarded_for, &trusted),
                expected,
                "{forwarded_for}"
            );
        }
        assert_eq!(client("unix", "203.0.113.9", &["127.0.0.1"]), "unix");
        assert_eq!(client("127.0.0.1", "203.0.113.9", &[]), "127.0.0.1");
        assert_eq!(
            client("127.0.0.1", "1.2.3.4, 203.0.113.9", &["0.0.0.0/0"]),
            "1.2.3.4"
        );
    }

    #[test]
    fn words_that_name_no_network_are_refused() {
        for word in [
            "localhost",
            "10.0.0.0/33",
            "10.0.0/8",
            "::1/129",
            "10.0.0.0/",
            "",
        ] {
            assert_eq!(TrustedProxies::parse(&[word.to_owned()]), None, "{word}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:3::"), network("2001:db8:1:2::"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
