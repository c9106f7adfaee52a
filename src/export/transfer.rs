//! Sends an export: a thread makes the body's pieces while earlier ones are sent.
//!
//! Each transfer has its thread before its answer begins. If the system gives none, the answer is 503; a transfer that has
//! begun needs no other thread.

use std::io::{self, BufWriter, Write};
use std::thread::Builder;

use actix_web::HttpResponseBuilder;
use actix_web::body::SizedStream;
use actix_web::http::header::ContentEncoding;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, http::header};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::body::{CHUNK, ExportBody};
use super::compression::compress;

/// Bodies with fewer bytes are not compressed.
const SMALLEST: u64 = 1024;

/// Compressed bytes that are gathered in a piece.
const COMPRESSED_PIECE: usize = 32 * 1024;

/// A body that a thread makes.
pub(super) struct Transfer {
    /// Of the body before it is compressed
    length: u64,
    pub(super) coding: Option<ContentEncoding>,
    pieces: mpsc::Receiver<Piece>,
}

/// `None` is the end. A thread that has panicked sends none.
type Piece = io::Result<Option<Bytes>>;

impl Transfer {
    /// Starts the thread, and waits until the length of the body is known.
    ///
    /// # Errors
    /// The system has no thread, or the spool's.
    pub(super) async fn start(
        mut body: ExportBody,
        coding: Option<ContentEncoding>,
    ) -> io::Result<Transfer> {
        let (tell, length) = oneshot::channel();
        let (sender, pieces) = mpsc::channel(1);
        let thread = Builder::new().name("export".into());
        thread.spawn(move || {
            let length = body.length();
            let coding = coding.filter(|_| length.as_ref().is_ok_and(|length| *length >= SMALLEST));
            if tell.send(length.map(|length| (length, coding))).is_ok() {
                let end = send(body, coding, &sender);
                // Without a receiver, the client has gone.
                let _ = sender.blocking_send(end.map(|()| None));
            }
        })?;
        let (length, coding) = length.await.map_err(io::Error::other)??;
        Ok(Transfer {
            length,
            coding,
            pieces,
        })
    }

    /// The response with this head. It holds `slot` until the last piece is sent.
    ///
    /// # Errors
    /// The spool's.
    pub(super) async fn into_response(
        self,
        mut head: HttpResponseBuilder,
        slot: OwnedSemaphorePermit,
    ) -> io::Result<HttpResponse> {
        let mut pieces = self.pieces;
        if self.coding.is_none() && self.length <= CHUNK as u64 {
            let whole = next(&mut pieces).await?;
            return Ok(head.body(whole.unwrap_or_default()));
        }
        let pieces = stream::try_unfold((pieces, slot), |(mut pieces, slot)| async {
            let piece = next(&mut pieces).await?;
            Ok::<_, io::Error>(piece.map(|piece| (piece, (pieces, slot))))
        });
        Ok(match self.coding {
            Some(coding) => head
                .insert_header((header::CONTENT_ENCODING, coding))
                .streaming(pieces),
            None => head.body(SizedStream::new(self.length, Box::pin(pieces))),
        })
    }
}

async fn next(pieces: &mut mpsc::Receiver<Piece>) -> Piece {
    let piece = pieces.recv().await;
    piece.unwrap_or_else(|| Err(io::Error::other("the export's thread has panicked")))
}

fn send(
    mut body: ExportBody,
    coding: Option<ContentEncoding>,
    pieces: &mpsc::Sender<Piece>,
) -> io::Result<()> {
    let out = BufWriter::with_capacity(COMPRESSED_PIECE, Pieces(pieces));
    compress(coding, out, |mut out| body.write_to(&mut out, |_| ()))
}

/// Each write is a piece.
struct Pieces<'a>(&'a mpsc::Sender<Piece>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        match self.0.blocking_send(Ok(Some(piece))) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
