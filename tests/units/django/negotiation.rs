//! The renderer of an answer; the corpus test compares many more.

use watchtower_sidecar::django::negotiation::{
    Download, Format, NotNegotiated, Renderer, negotiate, negotiate_download,
};

const JSON: Result<Renderer, NotNegotiated> = Ok(Renderer {
    format: Format::Json,
    indent: None,
});
const HTML: Result<Renderer, NotNegotiated> = Ok(Renderer::PAGE);
const NOT_ACCEPTABLE: Result<Renderer, NotNegotiated> = Err(NotNegotiated::NotAcceptable);

fn by_accept(accept: &str) -> Result<Renderer, NotNegotiated> {
    negotiate(Some(accept.as_bytes()), None)
}

fn indented(spaces: u8) -> Result<Renderer, NotNegotiated> {
    Ok(Renderer {
        format: Format::Json,
        indent: Some(spaces),
    })
}

#[test]
fn the_most_specific_type_decides_and_quality_does_not_count() {
    assert_eq!(negotiate(None, None), JSON);
    for (accept, renderer) in [
        ("*/*", JSON),
        ("application/*", JSON),
        ("", NOT_ACCEPTABLE),
        // A browser
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            HTML,
        ),
        ("text/*", HTML),
        ("application/json;q=0.1, text/html", JSON),
        ("application/json, text/html;level=1", HTML),
        ("application/json;q=0", JSON),
    ] {
        assert_eq!(by_accept(accept), renderer, "{accept}");
    }
}

#[test]
fn the_indent_is_the_last_one_and_no_more_than_eight() {
    for (accept, spaces) in [
        ("application/json; indent=4", 4),
        ("application/json;q=0.5 ; INDENT = \" +2 \"", 2),
        ("*/*;indent=3", 3),
        ("application/*; indent=1; indent=05", 5),
        ("application/json; indent=99", 8),
        ("application/json; indent=99999999999999999999", 8),
    ] {
        assert_eq!(by_accept(accept), indented(spaces), "{accept}");
    }
    for compact in ["0", "-3", "x", "", "4.0", "0x4", "1_0", "\u{e9}"] {
        let accept = format!("application/json;indent={compact}");
        assert_eq!(by_accept(&accept), JSON, "{accept}");
    }
}

#[test]
fn format_overrides_and_is_exact() {
    assert_eq!(negotiate(None, Some("api")), HTML);
    assert_eq!(
        negotiate(Some(b"application/json"), Some("api")),
        NOT_ACCEPTABLE
    );
    assert_eq!(negotiate(Some(b"image/png"), Some("")), NOT_ACCEPTABLE);
    for unknown in ["xml", "JSON", "admin", "json\0"] {
        assert_eq!(
            negotiate(Some(b"image/png"), Some(unknown)),
            Err(NotNegotiated::NotFound)
        );
    }
}

#[test]
fn a_download_is_what_django_has_not() {
    let by_accept = |accept: &str| negotiate_download(Some(accept.as_bytes()), None);
    assert_eq!(by_accept("text/csv"), Some(Download::Csv));
    assert_eq!(by_accept("image/png, Text/CSV;q=0.5"), Some(Download::Csv));
    assert_eq!(by_accept("application/x-ndjson"), Some(Download::Ndjson));
    for djangos in [
        "text/csv, */*;q=0.1",
        "text/csv, application/json",
        "image/png",
        "",
    ] {
        assert_eq!(by_accept(djangos), None, "{djangos}");
    }
    assert_eq!(negotiate_download(None, None), None);
    let any = Some(&b"text/html, */*"[..]);
    assert_eq!(negotiate_download(any, Some("csv")), Some(Download::Csv));
    assert_eq!(negotiate_download(any, Some("xml")), None);
}

#[test]
fn the_limits_skip_long_types_and_cut_long_headers() {
    let long = format!("application/json;x={}", "a".repeat(300));
    assert_eq!(by_accept(&long), NOT_ACCEPTABLE);
    assert_eq!(by_accept(&format!("{long},text/html")), HTML);
    assert_eq!(
        by_accept(&format!("{}text/html", "image/png,".repeat(64))),
        NOT_ACCEPTABLE
    );
    assert_eq!(by_accept(&format!("text/html,{}", " ".repeat(8200))), HTML);
    assert_eq!(
        by_accept(&format!("{}text/html", " ".repeat(8192))),
        NOT_ACCEPTABLE
    );
}
