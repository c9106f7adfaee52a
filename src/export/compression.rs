//! Which compression an export gets, by `Accept-Encoding`: Django's `GZipMiddleware`, with brotli and zstd besides.
//!
//! A compressor takes up to some MiB of memory. Only exports are compressed, because `SIDECAR_EXPORT_CONCURRENCY` limits how
//! many are sent at a time.

use std::io::{self, Write};

use actix_web::HttpRequest;
use actix_web::http::Version;
use actix_web::http::header::{
    AcceptEncoding, ContentEncoding, Encoding, Header, Preference, Quality,
};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The size of brotli's output buffer, its quality, and the binary logarithm of its window.
const BROTLI: (usize, u32, u32) = (32 * 1024, 3, 22);

const ZSTD_LEVEL: i32 = 3;

/// The coding to use. HTTP/1.0 gets none: without chunks, only a length shows that an answer came whole.
pub(super) fn coding(request: &HttpRequest) -> Option<ContentEncoding> {
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

/// Writes all that `write` writes to `out`, compressed by one of the codings of [`coding`].
pub(super) fn compress(
    coding: Option<ContentEncoding>,
    mut out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match coding {
        Some(ContentEncoding::Gzip) => {
            let mut encoder = GzEncoder::new(&mut out, Compression::fast());
            write(&mut encoder)?;
            encoder.finish()?;
        }
        Some(ContentEncoding::Brotli) => {
            let (buffer, quality, window) = BROTLI;
            let mut encoder = brotli::CompressorWriter::new(&mut out, buffer, quality, window);
            write(&mut encoder)?;
            encoder.into_inner();
        }
        Some(ContentEncoding::Zstd) => {
            let mut encoder = zstd::Encoder::new(&mut out, ZSTD_LEVEL)?;
            write(&mut encoder)?;
            encoder.finish()?;
        }
        _ => write(&mut out)?,
    }
    out.flush()
}
