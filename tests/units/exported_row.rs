//! An exported row, as JSON and by its values.

use watchtower_sidecar::db::views::exported_row::{JSON_ADDS, Value, values, write_json};

#[test]
fn a_row_as_json_has_the_text_that_all_rows_share() {
    let row = b"7\x1f\"ada\"\x1fnull\x1f\"\"\x1f\"a\\nb\"\x1ffalse\x1f2020-01-01T00:00:00+00:00";
    let mut json = b"[".to_vec();
    write_json(row, &mut json);
    let expected = concat!(
        r#"[{"id":7,"username":"ada","email":null,"first_name":"","last_name":"a\nb","tv_service":true,"#,
        r#""movie_service":false,"is_active":true,"date_joined":"2020-01-01T00:00:00+00:00"}"#
    );
    assert_eq!(std::str::from_utf8(&json), Ok(expected));
    assert_eq!(json.len(), 1 + row.len() + JSON_ADDS);
}

#[test]
fn a_row_gives_its_values_without_what_json_adds() {
    let row =
        b"-7\x1f\"a\xc3\xa9\"\x1fnull\x1f\"\"\x1f\"a\\n\\u001f\\\"b\"\x1ffalse\x1f2020-01-01T00:00:00+00:00";
    let text = |text: &'static str| Value::Text(text.into());
    let expected = [
        Value::Bare("-7"),
        text("a\u{e9}"),
        Value::Null,
        text(""),
        text("a\n\u{1f}\"b"),
        Value::Bare("false"),
        Value::Bare("2020-01-01T00:00:00+00:00"),
    ];
    assert_eq!(values(row), expected);
}
