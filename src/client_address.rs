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
                Some((address, length)) => (address, Some(length.parse().ok()?)),
                None => (word.as_str(), None),
            };
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = Some(length.unwrap_or(most)).filter(|length| *length <= most)?;
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
    let differing_bits = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            u128::from(address.to_bits() ^ network.to_bits()) << 96
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => address.to_bits() ^ network.to_bits(),
        _ => return false,
    };
    differing_bits.leading_zeros() >= length.into()
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
