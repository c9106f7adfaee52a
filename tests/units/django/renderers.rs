//! JSON strings and indented JSON; the corpus test compares many more.

use watchtower_sidecar::django::renderers::{Indenter, write_json_string};

fn indent(compact: &[u8], spaces: u8) -> Vec<u8> {
    let mut out = Vec::new();
    Indenter::new(spaces).push(compact, &mut out);
    out
}

fn json_string(text: &str) -> String {
    let mut out = Vec::new();
    write_json_string(&mut out, text);
    String::from_utf8(out).unwrap()
}

#[test]
fn only_quotes_backslashes_controls_and_the_two_separators_are_escaped() {
    assert_eq!(json_string("a\"\\/b"), r#""a\"\\/b""#);
    assert_eq!(
        json_string("\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}<>&'"),
        "\"\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}<>&'\""
    );
    assert_eq!(
        json_string("é☃\u{1f600}\u{2027}\u{2028}\u{2029}\u{202a}"),
        "\"é☃\u{1f600}\u{2027}\\u2028\\u2029\u{202a}\""
    );
    assert_eq!(json_string(""), "\"\"");
}

#[test]
fn indented_json_is_what_python_writes() {
    let compact = br#"{"a":[],"b":{},"c":[1,{"d":"x,:\"[]{}\\"}],"e":null}"#;
    let python = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"d\": \"x,:\\\"[]{}\\\\\"\n    }\n  ],\n  \"e\": null\n}";
    assert_eq!(String::from_utf8(indent(compact, 2)).unwrap(), python);
}

#[test]
fn the_pieces_may_be_cut_anywhere() {
    let compact = r#"[{"a":"\\\"é","b":[]},"]",{}]"#.as_bytes();
    let whole = indent(compact, 4);
    for size in 1..compact.len() {
        let mut indenter = Indenter::new(4);
        let mut out = Vec::new();
        compact
            .chunks(size)
            .for_each(|piece| indenter.push(piece, &mut out));
        assert_eq!(out, whole);
    }
}
