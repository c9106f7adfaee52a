//! How a row becomes CSV.

use watchtower_sidecar::export::Csv;

/// A row of the spool whose username is this text, as CSV.
fn written(csv: Csv, username: &str) -> String {
    let username = serde_json::Value::from(username);
    let row = format!(
        "-7\u{1f}{username}\u{1f}null\u{1f}\"a,\\\"b\\\"\"\u{1f}\"\\t\\r\\n\"\u{1f}-1\u{1f}2020-01-01T00:00:00+00:00"
    );
    let mut out = Vec::new();
    csv.write(row.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn cells_are_quoted_and_formulas_made_harmless() {
    let rest = ",,\"a,\"\"b\"\"\",\"'\t\r\n\",true,-1,true,2020-01-01T00:00:00+00:00\r\n";
    assert_eq!(written(Csv::default(), "=1+1"), format!("-7,'=1+1{rest}"));
    let kept = Csv {
        keeps_formulas: true,
        ..Csv::default()
    };
    assert!(written(kept, "=1+1").starts_with("-7,=1+1,,"));
}

#[test]
fn a_sign_gets_an_apostrophe_wherever_a_cell_may_begin() {
    for (text, expected) in [
        ("x;=cmd|'/C calc'!A0", "\"x;'=cmd|'/C calc'!A0\""),
        ("x\t=1", "\"x\t'=1\""),
        ("\t=1", "\"'\t'=1\""),
        (";;-1|@a:+1", "\";;'-1|'@a:'+1\""),
        (" \u{a0}=1", " \u{a0}'=1"),
        ("x;\u{200b} = 1", "\"x;\u{200b} '= 1\""),
        ("\u{feff}=1", "\u{feff}'=1"),
        ("x \"=1", "\"x \"\"'=1\""),
        (
            "x\r\n=1\u{85}+1\u{2028}-1",
            "\"x\r\n'=1\u{85}'+1\u{2028}'-1\"",
        ),
        ("Jean -Luc", "Jean '-Luc"),
        ("=-+1", "'=-+1"),
        (
            "\u{ff1d}1;\u{ff0b}1\u{ff1b}\u{ff0d}1 \u{ff20}a",
            "\"'\u{ff1d}1;'\u{ff0b}1\u{ff1b}'\u{ff0d}1 '\u{ff20}a\"",
        ),
        ("\u{2212}1", "'\u{2212}1"),
        ("x;'=1", "\"x;'=1\""),
    ] {
        let csv = written(Csv::default(), text);
        assert!(csv.starts_with(&format!("-7,{expected},,")), "{csv}");
    }
    for harmless in [
        "a+b@example.org",
        "Anna-Maria",
        "Anna - Maria",
        "Anna \u{2013} Maria",
        "José-Luis",
        "Jose\u{301}-Luis",
        "a=1",
        "o'-brien",
        "x--y",
        "mail.-_+x@a",
        "日本-東京",
        "",
        "'=1",
        "a -",
    ] {
        let csv = written(Csv::default(), harmless);
        assert!(csv.starts_with(&format!("-7,{harmless},,")), "{csv}");
    }
}
