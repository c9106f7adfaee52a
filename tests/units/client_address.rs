//! The client's address behind proxies.

use watchtower_sidecar::client_address::{TrustedProxies, client_address, network_of};

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
