//! `GET {mount}/openapi.json`: what is served here, as OpenAPI 3.1 has it. It holds no data, so anybody may read it.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::django::negotiation::Renderer;
use crate::response;
use crate::server::State;

/// The description, for the default mount.
pub const DESCRIPTION: &str = include_str!("../../openapi.json");

/// Where the paths of the description begin.
const SERVER: &str = r#""url": "/api/admin""#;

/// The description, for this mount; where a proxy strips it, the paths begin beside the description.
pub async fn openapi(state: Data<State>, req: HttpRequest) -> HttpResponse {
    let mount = match state.mount.as_str() {
        "" => ".",
        mount => mount,
    };
    let server = format!(r#""url": "{mount}""#);
    let json = DESCRIPTION.replacen(SERVER, &server, 1);
    let tag = response::entity_tag(Renderer::default(), json.as_bytes());
    if response::is_known(&req, &tag) {
        return response::not_modified(tag);
    }
    HttpResponse::build(StatusCode::OK)
        .insert_header(ETag(tag))
        .insert_header((header::VARY, "Accept"))
        .content_type("application/json")
        .body(json)
}
