//! Responses as DRF builds them: the negotiated rendering, `Allow`, `Vary`, and the media type. Also entity tags
//! and 304.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag, Header, HeaderMap, HeaderValue, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use sha2::{Digest, Sha256};

use crate::django::negotiation::{Format, Renderer};
use crate::django::python::hex;
use crate::django::renderers::Indenter;

/// An answer of one of the two views. `json` is the body as compact JSON.
pub fn api(status: StatusCode, renderer: Renderer, json: &[u8]) -> HttpResponse {
    api_head(status, renderer).body(rendered(renderer, json))
}

/// An answer with this head and an entity tag; or 304, if the client's `If-None-Match` has the tag.
pub fn tagged(
    req: &HttpRequest,
    mut head: HttpResponseBuilder,
    renderer: Renderer,
    json: &[u8],
) -> HttpResponse {
    let tag = entity_tag(renderer, json);
    match is_known(req, &tag) {
        true => not_modified(tag),
        false => head.insert_header(ETag(tag)).body(rendered(renderer, json)),
    }
}

/// Compact JSON as the renderer writes it.
pub fn rendered(renderer: Renderer, json: &[u8]) -> Vec<u8> {
    let Some(spaces) = renderer.indent else {
        return json.to_vec();
    };
    let mut indented = Vec::new();
    Indenter::new(spaces).push(json, &mut indented);
    indented
}

/// The entity tag of what `renderer` writes for this content.
pub fn entity_tag(renderer: impl std::fmt::Debug, content: &[u8]) -> EntityTag {
    // Another version may render the same content in another way.
    let rendering = format!("{} {renderer:?} ", env!("CARGO_PKG_VERSION"));
    let digest = Sha256::new_with_prefix(rendering)
        .chain_update(content)
        .finalize();
    EntityTag::new_strong(hex(&digest[..16]))
}

/// Whether the client names this tag in `If-None-Match`.
pub fn is_known(req: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(req) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// In the extensions of a response that is compressed, or of a 304 that stands for one.
pub struct Compressed;

/// 304 for a client that has the body of this tag.
pub fn not_modified(tag: EntityTag) -> HttpResponse {
    HttpResponse::NotModified()
        .insert_header(ETag(tag))
        .insert_header((header::VARY, "Accept"))
        .finish()
}

/// The head of [`api`]'s answer, for a body that is streamed.
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

/// Adds a header's name to `Vary` (`django.utils.cache.patch_vary_headers`). The name must not be in it yet.
pub fn vary_on(headers: &mut HeaderMap, name: &str) {
    let vary = match headers
        .get(header::VARY)
        .and_then(|value| value.to_str().ok())
    {
        Some(present) => format!("{present}, {name}"),
        None => name.to_owned(),
    };
    // Made of header names only.
    if let Ok(value) = HeaderValue::from_str(&vary) {
        headers.insert(header::VARY, value);
    }
}
