//! The limit to failed logins, and to names that are looked up in the whole user table.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use watchtower_sidecar::config::Rate;
use watchtower_sidecar::passwords::Passwords;
use watchtower_sidecar::passwords::throttle::{LoginAttempt, Throttle};

fn throttle() -> Throttle {
    Throttle::new(Some(Rate {
        most: 3,
        per: Duration::from_secs(3600),
    }))
}

fn address(number: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(number.into()))
}

fn attempt(
    throttle: &Throttle,
    address: Option<IpAddr>,
    name: &str,
) -> Result<LoginAttempt, Duration> {
    throttle.under_name(throttle.attempt(address)?, name)
}

fn is_held_up(throttle: &Throttle, address: Option<IpAddr>, name: &str) -> bool {
    attempt(throttle, address, name).is_err()
}

fn fail(throttle: &Throttle, address: Option<IpAddr>, name: &str, times: usize) {
    for _ in 0..times {
        throttle.record_failure(attempt(throttle, address, name).unwrap());
    }
}

#[test]
fn one_failure_too_many_holds_up_the_address_and_the_name_alone() {
    let throttle = throttle();
    fail(&throttle, address(1), "alice", 3);
    assert!(is_held_up(&throttle, address(1), "alice"));
    assert!(is_held_up(&throttle, address(1), "bob"));
    assert!(is_held_up(&throttle, address(2), "alice"));
    assert!(!is_held_up(&throttle, address(2), "bob"));
    let wait = throttle.attempt(address(1)).err().unwrap();
    assert!((1190..=1200).contains(&wait.as_secs()), "{wait:?}");
}

#[test]
fn spellings_of_a_name_share_a_count() {
    let throttle = throttle();
    fail(&throttle, address(1), "admin", 3);
    for spelling in [
        "Ádmin ",
        "ADM\u{130}N",
        "ａｄｍｉｎ",
        " a d\tmin",
        "\u{1d51e}dmi\u{304}n",
    ] {
        assert!(is_held_up(&throttle, address(2), spelling), "{spelling:?}");
    }
    assert!(!is_held_up(&throttle, address(2), "ad.min"));
}

#[test]
fn a_failure_without_a_name_counts_for_the_address_alone() {
    let throttle = throttle();
    for _ in 0..3 {
        throttle.record_failure(throttle.attempt(address(1)).unwrap());
    }
    assert!(throttle.attempt(address(1)).is_err());
    assert!(!is_held_up(&throttle, address(2), ""));
}

#[test]
fn a_client_that_has_logged_in_under_a_name_is_held_up_for_its_own_failures_alone() {
    let throttle = throttle();
    throttle.record_success(attempt(&throttle, address(1), "alice").unwrap());
    fail(&throttle, address(2), "alice", 3);
    assert!(!is_held_up(&throttle, address(1), "alice"));
    assert!(is_held_up(&throttle, address(3), "alice"));
    fail(&throttle, address(1), "alice", 3);
    assert!(is_held_up(&throttle, address(1), "alice"));
}

#[test]
fn a_flood_of_names_and_addresses_does_not_free_the_worst() {
    let throttle = throttle();
    fail(&throttle, address(0), "alice", 3);
    for number in 1..=60_000 {
        fail(&throttle, address(number), &format!("user{number}"), 1);
    }
    assert!(is_held_up(&throttle, address(0), "bob"));
    assert!(is_held_up(&throttle, address(99_999), "alice"));
}

#[test]
fn without_a_limit_no_one_is_held_up() {
    fail(&Throttle::new(None), address(1), "alice", 100);
}

#[test]
fn few_names_at_a_time_are_looked_up_in_the_whole_user_table() {
    actix_web::rt::System::new().block_on(async {
        let passwords = Passwords::new(2, None);
        let now = Instant::now;
        let soon = || now() + Duration::from_secs(60);
        let first = passwords.permit_scan(soon()).await;
        let second = passwords.permit_scan(soon()).await;
        assert!(first.is_some() && second.is_some());
        assert!(
            passwords
                .permit_scan(now() + Duration::from_millis(50))
                .await
                .is_none()
        );
        drop(first);
        assert!(passwords.permit_scan(soon()).await.is_some());
    });
}
