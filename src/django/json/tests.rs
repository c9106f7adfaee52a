//! `loads` and `dumps` against what a live Python did (tests/vectors/auth.json).

use super::*;

fn vectors() -> serde_json::Value {
    let file = include_str!("../../../tests/vectors/auth.json");
    serde_json::from_str(file).expect("the vectors are JSON")
}

#[test]
fn texts_are_read_written_and_refused_as_python_does() {
    let vectors = vectors();
    let cases = vectors["json"].as_array().expect("a list");
    assert!(cases.len() > 70);
    for case in cases {
        let text = case["text"].as_str().expect("a string");
        let (result, key) = match loads(text) {
            Ok(value) => (dumps(&value), "canonical"),
            Err(error) => (error.to_string(), "error"),
        };
        assert_eq!(case[key].as_str(), Some(result.as_str()), "{text:?}");
    }
}

#[test]
fn bytes_are_latin_1_even_when_they_are_valid_utf_8() {
    let value = loads_latin1("\"é\"".as_bytes()).expect("a string");
    assert_eq!(value.as_str(), Some("Ã©"));
    let value = loads_latin1(b"\"\xe9\"").expect("a string");
    assert_eq!(value.as_str(), Some("é"));
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(loads(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        loads(&nested(MAX_DEPTH + 1)).err(),
        Some(JsonError::TooDeep)
    );
    assert_eq!(
        loads(&"{\"a\":".repeat(1_000_000)).err(),
        Some(JsonError::TooDeep)
    );
}

#[test]
fn a_member_is_found_by_name_and_a_lone_surrogate_is_no_text() {
    let value =
        loads(r#"{"a":1,"username":"zoë","b":"\ud800","username":"x"}"#).expect("an object");
    assert_eq!(value.get("username").and_then(Value::as_str), Some("x"));
    assert!(
        value
            .get("b")
            .is_some_and(|surrogate| surrogate.as_str().is_none())
    );
    assert!(value.get("missing").is_none());
    assert!(Value::Null.get("a").is_none());
}

#[test]
fn an_object_of_many_names_is_read_in_reasonable_time() {
    let members: Vec<_> = (0..50_000)
        .map(|number| format!("\"{number}\":0"))
        .collect();
    let value = loads(&format!("{{{}}}", members.join(","))).expect("an object");
    assert!(matches!(value, Value::Object(members) if members.len() == 50_000));
}
