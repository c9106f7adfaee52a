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

/// As [`api`], with 200 and an entity tag; or 304, if the client's `If-None-Match` has the tag.
pub fn api_tagged(req: &HttpRequest, renderer: Renderer, json: &[u8]) -> HttpResponse {
    let tag = entity_tag(renderer, json);
    if is_known(req, &tag) {
        return not_modified(tag);
    }
    let mut head = api_head(StatusCode::OK, renderer);
    head.insert_header(ETag(tag)).body(rendered(renderer, json))
}

fn rendered(renderer: Renderer, json: &[u8]) -> Vec<u8> {
    match Reshaper::new(renderer) {
        None => json.to_vec(),
        Some(mut reshaper) => reshaper.push(json),
    }
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

/// Indents a body's compact JSON piece by piece, as the renderer writes it.
pub struct Reshaper(Indenter);

impl Reshaper {
    /// `None` for a renderer that writes compact JSON. HTML pages are made elsewhere.
    pub fn new(renderer: Renderer) -> Option<Reshaper> {
        renderer
            .indent
            .map(|spaces| Reshaper(Indenter::new(spaces)))
    }

    /// Indents the next piece.
    pub fn push(&mut self, compact: &[u8]) -> Vec<u8> {
        let mut indented = Vec::with_capacity(compact.len() * 2);
        self.0.push(compact, &mut indented);
        indented
    }
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
