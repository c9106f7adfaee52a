//! Signed session data as large as it may be: what grows faster than its input runs out of time or memory.
//! The input says what is repeated: the text before the first NUL comes once, the one behind it as often as there is
//! room, the one behind the second NUL once. In what is repeated, `#` is the number of the repetition. A blank at the
//! very start asks for one repetition too many, and for no compression.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use watchtower_sidecar_fuzz::django::signing::{MAX_PAYLOAD_BYTES, sign, sign_object};
use watchtower_sidecar_fuzz::session::{SALT, check_column, keys};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let [head, unit, tail] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let keys = keys();

    let (json, column) = if head.starts_with(b" ") {
        let json = repeated(head, unit, tail, MAX_PAYLOAD_BYTES + unit.len());
        let payload = URL_SAFE_NO_PAD.encode(&json);
        (json, sign(&payload, SALT, keys.current(), 0))
    } else {
        let json = repeated(head, unit, tail, MAX_PAYLOAD_BYTES);
        let column = sign_object(&json, SALT, keys.current(), 0);
        (json, column)
    };
    check_column(&column, Some(&json), &keys);
});

fn repeated(head: &[u8], unit: &[u8], tail: &[u8], size: usize) -> Vec<u8> {
    let mut json = head.to_vec();
    for number in 0..size {
        let start = json.len();
        for byte in unit {
            match byte {
                b'#' => json.extend(format!("{number:x}").into_bytes()),
                _ => json.push(*byte),
            }
        }
        if json.len() == start || json.len() + tail.len() > size {
            json.truncate(start);
            break;
        }
    }
    json.extend_from_slice(tail);
    json
}
