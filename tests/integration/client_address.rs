//! To which address a failed login is counted: the one that trusted proxies name, not the one that the client claims.

use crate::database::Database;
use crate::limits::{app, fail, from};

#[test]
fn the_header_is_read_from_the_right_and_every_spelling_of_a_client_is_one() {
    let database = Database::filled_sqlite();
    let proxies = (
        "SIDECAR_TRUSTED_PROXIES",
        "127.0.0.0/8,10.0.0.0/8,2001:db8:f::/48",
    );
    for attempts in [
        // What stands left of it may be forged.
        [
            "1.1.1.1, 198.51.100.7",
            "2.2.2.2,198.51.100.7",
            "a\"b, ,198.51.100.7",
            ",,,198.51.100.7",
        ],
        // Trusted hops are no clients.
        [
            "198.51.100.7, 10.0.0.1",
            "198.51.100.7, 10.0.0.2, 10.9.9.9",
            "198.51.100.7,2001:db8:f::1",
            "198.51.100.7",
        ],
        [
            "198.51.100.7:1",
            "198.51.100.7:65535",
            "::ffff:198.51.100.7",
            "[::ffff:198.51.100.7]:443",
        ],
        // A host of IPv6 has a whole network to choose from.
        [
            "2001:db8:1:2::1",
            "2001:db8:1:2:ffff::2",
            "[2001:DB8:1:2::3]:80",
            "2001:0db8:0001:0002:3:4:5:6",
        ],
        // Trusted hops alone: the leftmost of them is the client.
        [
            "10.1.1.1",
            "10.1.1.1, 10.0.0.1",
            "10.1.1.1,10.0.0.2",
            " 10.1.1.1 ",
        ],
    ] {
        let app = app(&database, &[proxies]);
        let statuses = attempts.map(|attempt| fail(&app, &from(attempt)));
        assert_eq!(statuses, [403, 403, 403, 429], "{attempts:?}");
        assert_eq!(fail(&app, &from("192.0.2.55")), 403, "{attempts:?}");
        assert_eq!(fail(&app, &from("2001:db8:1:3::1")), 403, "{attempts:?}");
    }
    // Several lines are one list.
    let app = app(&database, &[proxies]);
    let lines = |first| {
        [
            ("X-Forwarded-For", first),
            ("X-Forwarded-For", "198.51.100.7"),
        ]
    };
    let statuses =
        ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"].map(|first| fail(&app, &lines(first)));
    assert_eq!(statuses, [403, 403, 403, 429]);
}

#[test]
fn no_other_header_and_no_stranger_says_who_calls() {
    let database = Database::filled_sqlite();
    let here = ("SIDECAR_TRUSTED_PROXIES", "127.0.0.0/8,::1,unix");
    let elsewhere = ("SIDECAR_TRUSTED_PROXIES", "192.0.2.1");
    for (name, proxies) in [
        ("X_Forwarded_For", here),
        ("X-Forwarded_For", here),
        ("Forwarded", here),
        ("X-Real-IP", here),
        ("X-Client-IP", here),
        ("True-Client-IP", here),
        ("CF-Connecting-IP", here),
        ("X-Forwarded-For", elsewhere),
        ("X-Forwarded-For", ("SIDECAR_TRUSTED_PROXIES", "::1,unix")),
    ] {
        let app = app(&database, &[proxies]);
        let statuses = [1, 2, 3, 4].map(|number| {
            let address = format!("198.51.100.{number}");
            let value = if name == "Forwarded" {
                format!("for={address}")
            } else {
                address
            };
            fail(&app, &[(name, &value)])
        });
        assert_eq!(statuses, [403, 403, 403, 429], "{name} {proxies:?}");
    }
}

#[test]
fn garbage_in_the_header_does_not_evade_the_limit() {
    let database = Database::filled_sqlite();
    let app = app(&database, &[]);
    let huge = "9".repeat(20_000);
    let many = "198.51.100.7,".repeat(2_000);
    let commas = ",".repeat(20_000);
    let garbage = [
        "",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "999.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "0x7f.1",
        "127.1",
        "1.2.3.4/24",
        "[",
        "]",
        "[]",
        "[]:80",
        "[::1",
        "::1]",
        "[1.2.3.4",
        ":",
        ":80",
        "1.2.3.4:port:",
        "::ffff:1.2.3.4.5",
        "fe80::1%eth0",
        "2001:db8::1::2",
        "for=1.2.3.4",
        "\"1.2.3.4\"",
        "1.2.3.4;5.6.7.8",
        "1.2.3.4 5.6.7.8",
        "\u{1}é\u{ff}",
        "198.51.100.1,",
        "198.51.100.2, unknown",
        "198.51.100.3,,",
        &huge,
        &many,
        &commas,
    ];
    // All of them are the proxy's own: three fail, and then none is let by.
    let statuses: Vec<u16> = garbage
        .iter()
        .map(|garbage| fail(&app, &from(garbage)))
        .collect();
    let checked = statuses.iter().filter(|status| **status == 403).count();
    let held_up = statuses.iter().filter(|status| **status == 429).count();
    // Control characters may be refused as HTTP.
    assert!(checked <= 3 && held_up >= garbage.len() - 4, "{statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|status| [403, 429, 400].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(fail(&app, &from("198.51.100.9")), 403);
}
