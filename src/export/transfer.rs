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
                let end = send(&mut body, coding, &sender);
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
        // A client that has got a body of known length may ask for the next export before the thread tells the end.
        let left = match self.coding {
            Some(_) => u64::MAX,
            None => self.length,
        };
        let state = (pieces, Some(slot), left);
        let pieces = stream::try_unfold(state, |(mut pieces, slot, left)| async move {
            let piece = next(&mut pieces).await?;
            Ok::<_, io::Error>(piece.map(|piece| {
                let left = left.saturating_sub(piece.len() as u64);
                (piece, (pieces, slot.filter(|_| left > 0), left))
            }))
        });
        Ok(match self.coding {
            Some(coding) => head
                .insert_header((header::CONTENT_ENCODING, coding))
                .streaming(pieces),
            None => head.body(SizedStream::new(self.length, Box::pin(pieces))),
        })
    }
}

fn send(
    body: &mut ExportBody,
    coding: Option<ContentEncoding>,
    pieces: &mpsc::Sender<Piece>,
) -> io::Result<()> {
    let Some(coding) = coding else {
        return body.for_each_chunk(|chunk| send_piece(pieces, chunk.into()));
    };
    let out = BufWriter::with_capacity(COMPRESSED_PIECE, Pieces(pieces));
    compress(coding, out, |out| {
        body.for_each_chunk(|chunk| out.write_all(&chunk))
    })
}

fn send_piece(pieces: &mpsc::Sender<Piece>, piece: Bytes) -> io::Result<()> {
    let sent = pieces.blocking_send(Ok(Some(piece)));
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

async fn next(pieces: &mut mpsc::Receiver<Piece>) -> Piece {
    let piece = pieces.recv().await;
    piece.unwrap_or_else(|| Err(io::Error::other("the export's thread has panicked")))
}

/// Each write is a piece.
struct Pieces<'a>(&'a mpsc::Sender<Piece>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send_piece(self.0, Bytes::copy_from_slice(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
