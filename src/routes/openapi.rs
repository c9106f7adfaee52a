//! `GET {mount}/openapi.json`: the API as an OpenAPI 3.1 document. It holds no data and needs no authentication.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::django::negotiation::Renderer;
use crate::response;
use crate::state::State;

/// The document for the default mount.
pub const DESCRIPTION: &str = include_str!("../../openapi.json");

/// What is replaced in the document: the start of a path below the mount, the paths of login and logout, the server, and the
/// session cookie's name.
const MOUNTED: &str = r#""/api/admin/"#;
const LOGIN: [&str; 2] = ["/login/", "/logout/"];
const SERVER: &str = r#""url": "/""#;
const COOKIE: &str = r#""name": "sessionid""#;

/// The document with this mount in its paths and this site's session cookie. A proxy that strips the mount strips it from all
/// paths, login's too, so they begin beside the document then.
pub async fn openapi(state: Data<State>, req: HttpRequest) -> HttpResponse {
    let (mount, settings) = (state.mount.as_str(), state.settings());
    let cookie = &settings.session_cookie.name;
    let mut json = DESCRIPTION
        .replace(MOUNTED, &format!(r#""{mount}/"#))
        .replacen(COOKIE, &format!(r#""name": "{cookie}""#), 1);
    for path in LOGIN {
        let (known, own) = (format!(r#""/api{path}""#), &state.login_mount);
        json = json.replacen(&known, &format!(r#""{own}{path}""#), 1);
    }
    if mount.is_empty() {
        json = json.replacen(SERVER, r#""url": ".""#, 1);
    }
    let mut head = HttpResponse::Ok();
    head.insert_header((header::VARY, "Accept"))
        .content_type("application/json");
    response::tagged(&req, head, Renderer::default(), json.as_bytes())
}
