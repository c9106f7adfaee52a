//! Texts in log messages that a user can choose.

use watchtower_sidecar::telemetry::truncated;

#[test]
fn a_users_text_is_truncated() {
    assert_eq!(truncated(&"é".repeat(10_000)), "é".repeat(256));
    assert_eq!(truncated("é"), "é");
}
