//! Compresses exports while they are sent, by `Accept-Encoding`: Django's `GZipMiddleware`, with brotli and zstd besides. An
//! answer that is not compressed keeps all its headers.
//!
//! A compressor takes up to some MiB of memory. Only exports are compressed, because `SIDECAR_EXPORT_CONCURRENCY` limits how
//! many are sent at a time.

use actix_http::encoding::Encoder;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::Version;
use actix_web::http::header::{
    self, AcceptEncoding, ContentEncoding, Encoding, Header, HeaderMap, HeaderValue, Preference,
    Quality,
};

use crate::response::Compressible;

/// Bodies with fewer bytes are not compressed.
const SMALLEST: u64 = 1024;

/// Compresses the response if it is [`Compressible`] and long enough, and the client accepts that.
pub fn compress(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let is_worth_it = response
        .response()
        .extensions()
        .get::<Compressible>()
        .is_some_and(|export| export.length >= SMALLEST);
    if !is_worth_it {
        return response;
    }
    let Some(coding) = coding(&response) else {
        return response;
    };
    response.map_body(|head, body| {
        let vary = match head.headers().get(header::VARY).map(HeaderValue::to_str) {
            Some(Ok(present)) => format!("{present}, Accept-Encoding"),
            _ => "Accept-Encoding".to_owned(),
        };
        let body = Encoder::response(coding, head, body).boxed();
        let headers = head.headers_mut();
        // Made of header names only.
        if let Ok(value) = HeaderValue::from_str(&vary) {
            headers.insert(header::VARY, value);
        }
        weaken_tag(headers);
        body
    })
}

/// The coding to use. HTTP/1.0 gets none: without chunks, only a length shows that an answer came whole.
fn coding(response: &ServiceResponse<BoxBody>) -> Option<ContentEncoding> {
    let request = response.request();
    if request.version() < Version::HTTP_11 {
        return None;
    }
    negotiate(&AcceptEncoding::parse(request).ok()?)
}

/// The coding of the highest quality. Of equal ones zstd is taken before brotli and brotli before gzip: in that order exports
/// become smallest. `None`: not compressed, even if the client refuses `identity`.
fn negotiate(accepted: &AcceptEncoding) -> Option<ContentEncoding> {
    let quality = |coding: ContentEncoding| {
        let named = |wanted: Preference<Encoding>| accepted.iter().find(|item| item.item == wanted);
        named(Preference::Specific(Encoding::Known(coding)))
            .or_else(|| named(Preference::Any))
            .map(|item| item.quality)
    };
    let identity = accepted
        .iter()
        .find(|item| item.item == Preference::Specific(Encoding::identity()))
        .map_or(Quality::ZERO, |item| item.quality);
    let codings = [
        ContentEncoding::Gzip,
        ContentEncoding::Brotli,
        ContentEncoding::Zstd,
    ];
    codings
        .into_iter()
        .filter_map(|coding| Some((quality(coding)?, coding)))
        .filter(|(quality, _)| *quality > Quality::ZERO && *quality >= identity)
        .max_by_key(|(quality, _)| *quality)
        .map(|(_, coding)| coding)
}

/// Makes the entity tag a weak one: it stands for the bytes before compression (`GZipMiddleware.process_response`).
fn weaken_tag(headers: &mut HeaderMap) {
    let weak = headers
        .get(header::ETAG)
        .and_then(|tag| HeaderValue::from_str(&format!("W/{}", tag.to_str().ok()?)).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}
