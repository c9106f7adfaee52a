//! The `Cookie` header, as `django::cookies` reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchtower_sidecar_fuzz::django::cookies::cookie;

const NAME: &str = "sessionid";

fuzz_target!(|header: &[u8]| {
    // Whatever stands before it, the last cookie of the name counts.
    let extended = [header, b"; sessionid=last"].concat();
    assert_eq!(cookie(&extended, NAME).as_deref(), Some("last"));

    let Some(value) = cookie(header, NAME) else {
        return;
    };
    let text = String::from_utf8_lossy(header);
    assert!(text.contains(NAME), "a cookie that nobody sent");
    assert!(value.len() <= text.len(), "longer than the header");
    if !text.contains('\\') {
        assert!(text.contains(&value), "a value that nobody sent");
        assert!(!value.contains(';'), "more than one cookie");
    }
});
