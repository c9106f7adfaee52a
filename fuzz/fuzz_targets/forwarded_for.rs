//! `X-Forwarded-For`, as `client_address` reads it: what a stranger writes must not choose his address.
//! Input: what strangers wrote, a line feed, what the proxies in front appended; without one all is the proxies'.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use watchtower_sidecar_fuzz::client_address::{TrustedProxies, client_address, network_of};

fn proxies(words: &[&str]) -> TrustedProxies {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    TrustedProxies::parse(&words).expect("words that name networks")
}

/// Whether the default list of proxies has it, told without the list.
fn is_trusted(hop: Option<IpAddr>) -> bool {
    hop.is_none_or(|hop| ["127.0.0.1", "::1"].contains(&hop.to_string().as_str()))
}

fuzz_target!(|data: &[u8]| {
    let (invented, appended) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&b""[..], data),
    };
    let whole = [invented, b",", appended].concat();
    let nobody = proxies(&[]);
    let default = proxies(&["127.0.0.1", "::1", "unix"]);
    let everybody = proxies(&["0.0.0.0/0", "::/0", "unix"]);

    for peer in [
        "unix",
        "127.0.0.1",
        "::1",
        "::ffff:127.8.8.8",
        "192.0.2.1",
        "2001:db8::1",
    ] {
        let peer: Option<IpAddr> = peer.parse().ok();
        let canonical = peer.map(|peer| peer.to_canonical());
        assert_eq!(client_address(peer, None, &default), canonical);
        assert_eq!(client_address(peer, Some(&whole), &nobody), canonical);

        let client = client_address(peer, Some(appended), &default);
        if !is_trusted(canonical) {
            assert_eq!(client, canonical, "an untrusted peer was believed");
        }
        if !is_trusted(client) {
            let with_more = client_address(peer, Some(&whole), &default);
            assert_eq!(with_more, client, "a stranger chose his address");
        }
        for address in [client, client_address(peer, Some(&whole), &everybody)]
            .into_iter()
            .flatten()
        {
            assert_eq!(address, address.to_canonical(), "two spellings of a client");
            assert_eq!(network_of(network_of(address)), network_of(address));
        }
    }

    // The setting is the operator's, but what it accepts must mean what it says.
    if let Ok(word) = str::from_utf8(data)
        && let Some(network) = TrustedProxies::parse(&[word.to_owned()])
        && let Ok(own) = word.split('/').next().unwrap_or(word).parse::<IpAddr>()
        && own == own.to_canonical()
    {
        let other: IpAddr = "198.51.100.7".parse().expect("an address");
        let client = client_address(Some(own), Some(b"198.51.100.7"), &network);
        assert_eq!(client, Some(other), "a network without its own address");
    }
});
