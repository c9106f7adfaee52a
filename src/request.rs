//! What the handlers and the middleware read from a request: headers as WSGI servers hand them to Django, the client's address,
//! the deadline of its database work.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, AsHeaderName, HeaderMap};
use actix_web::{HttpMessage, HttpRequest};

use crate::client_address::client_address;
use crate::db;
use crate::state::State;

/// How long a request's body may take.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// In the extensions of a request whose body was read to its end.
pub struct BodyRead;

/// The client's address; `None` for a client of the unix socket.
pub fn client(state: &State, req: &HttpRequest) -> Option<IpAddr> {
    let peer = req.peer_addr().map(|peer| peer.ip());
    let forwarded_for = wsgi_header(req.headers(), header::X_FORWARDED_FOR);
    client_address(peer, forwarded_for.as_deref(), &state.trusted_proxies)
}

/// Whether a trusted proxy sent the request.
pub fn is_from_proxy(state: &State, req: &HttpRequest) -> bool {
    let peer = req.peer_addr().map(|peer| peer.ip().to_canonical());
    state.trusted_proxies.trust(peer)
}

/// In the request's extensions: see [`deadline`].
struct Deadline(Instant);

/// The deadline of all database work of this request. It is set at the first call.
pub fn deadline(req: &HttpRequest) -> Instant {
    let mut extensions = req.extensions_mut();
    if let Some(Deadline(deadline)) = extensions.get() {
        return *deadline;
    }
    let deadline = db::pool::task::deadline();
    extensions.insert(Deadline(deadline));
    deadline
}

/// Moves the deadline by the time that the request has waited for something else.
pub fn postpone_deadline(req: &HttpRequest, waited: Duration) {
    let later = deadline(req) + waited;
    req.extensions_mut().insert(Deadline(later));
}

/// A header's value as a WSGI server hands it to Django: the lines of one name are joined with commas.
pub fn wsgi_header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name);
    let mut value = lines.next()?.as_bytes().to_vec();
    for line in lines {
        value.push(b',');
        value.extend_from_slice(line.as_bytes());
    }
    Some(value)
}
