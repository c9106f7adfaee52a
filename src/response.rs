//! What DRF's `Response` puts around a body: the negotiated rendering, `Allow`, `Vary`, and the media type.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::django::negotiation::{Format, Renderer};
use crate::django::renderers;

/// An answer of one of the two views, its body given as compact JSON.
pub fn api(status: StatusCode, renderer: Renderer, json: &[u8]) -> HttpResponse {
    let body = match renderer.format {
        Format::Json => match renderer.indent {
            Some(spaces) => renderers::indent(json, spaces),
            None => json.to_vec(),
        },
        Format::Html => {
            let mut html = page_head(status);
            escape_html(&renderers::indent(json, 2), &mut html);
            html.extend_from_slice(PAGE_TAIL);
            html
        }
    };
    api_head(status, renderer).body(body)
}

/// The head of such an answer, for a body that is sent in another way.
pub fn api_head(status: StatusCode, renderer: Renderer) -> HttpResponseBuilder {
    let mut head = HttpResponse::build(status);
    head.insert_header((header::ALLOW, "GET, OPTIONS"))
        .insert_header((header::VARY, "Accept"));
    head.content_type(match renderer.format {
        Format::Json => "application/json",
        Format::Html => "text/html; charset=utf-8",
    });
    head
}

/// The plain page that `text/html` gets: the same data, indented and escaped.
pub fn page_head(status: StatusCode) -> Vec<u8> {
    let title = match status {
        StatusCode::OK => "WatchTower export".to_owned(),
        other => format!("WatchTower export: {other}"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<pre>"
    )
    .into_bytes()
}

/// What follows the data on that page.
pub const PAGE_TAIL: &[u8] = b"</pre>\n</body>\n</html>\n";

/// Escapes text for HTML (`django.utils.html.escape`).
pub fn escape_html(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#x27;"),
            other => out.push(*other),
        }
    }
}
