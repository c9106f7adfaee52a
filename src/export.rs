//! The export's answer: rows become JSON bytes in a spool as they arrive, and only then an HTTP response.
//!
//! `count` stands before `users`, and one statement's rows are the only honest count; so the rows are spooled (in memory
//! up to a few MiB, then in an unlinked temporary file), the connection goes back to the pool, and the answer has a
//! length, an honest status, and holds no snapshot for a slow reader.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETag, EntityTag};
use actix_web::web::{Bytes, block};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use crate::db::{Connection, DateShape, Db, ExportError, JSON_ADDS, Order, UserTable, write_json};
use crate::django::negotiation::Renderer;
use crate::response::{self, Reshaper};

mod spool;

use spool::{Sorted, Spool};

/// Bytes handed to the connection at a time.
const CHUNK: usize = 256 * 1024;

/// The whole body of `export_users`, ready to be sent.
pub struct Export {
    /// How many users it holds
    pub count: u64,
    tag: EntityTag,
    length: u64,
    body: Body,
    /// A body of one chunk
    whole: Option<Bytes>,
}

impl Export {
    /// Reads every exportable user into a spool, and gives the connection back. `place` is kept until all is sent.
    ///
    /// # Errors
    /// The database's, the view's, or the spool's.
    pub async fn collect(
        db: &Db,
        deadline: Instant,
        dates: DateShape,
        renderer: Renderer,
        place: OwnedSemaphorePermit,
    ) -> Result<Export, ExportError> {
        let users = db
            .export(deadline, move |connection, table, progress| {
                sorted(connection, table, &dates, progress)
            })
            .await?;
        let export = block(move || Export::new(users, renderer, place)).await;
        export
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(ExportError::Spool)
    }

    /// Blocking.
    fn new(users: Sorted, renderer: Renderer, place: OwnedSemaphorePermit) -> io::Result<Export> {
        let count = users.count();
        let tag = response::entity_tag(renderer, users.digest());
        let mut body = Body::new(users, renderer, place);
        let length = body.length()?;
        let whole = match length <= CHUNK as u64 {
            true => body.next_chunk()?,
            false => None,
        };
        Ok(Export {
            count,
            tag,
            length,
            body,
            whole,
        })
    }

    /// The entity tag's digest of what it holds.
    pub fn tag(&self) -> &str {
        self.tag.tag()
    }

    /// Whether the client has it already.
    pub fn is_known(&self, req: &HttpRequest) -> bool {
        response::is_known(req, &self.tag)
    }

    /// The response, with its length; 304 to a client that has it already.
    pub fn into_response(self, req: &HttpRequest) -> HttpResponse {
        if self.is_known(req) {
            return response::not_modified(self.tag, self.length);
        }
        let mut head = response::api_head(StatusCode::OK, self.body.renderer);
        head.insert_header(ETag(self.tag));
        if let Some(whole) = self.whole {
            return head.body(whole);
        }
        // The next chunk is made while this one is sent.
        let chunks = stream::try_unfold(read_ahead(self.body), |next| async {
            let (chunk, body) = next.await.map_err(io::Error::other)??;
            Ok::<_, io::Error>(chunk.map(|chunk| (chunk, read_ahead(body))))
        });
        head.body(SizedStream::new(self.length, Box::pin(chunks)))
    }
}

/// The exportable users, oldest first.
fn sorted(
    connection: &mut Connection,
    table: &UserTable,
    dates: &DateShape,
    progress: &AtomicU64,
) -> Result<Sorted, ExportError> {
    let streams_rows = connection.streams_rows();
    let mut read = |order| {
        let mut spool = Spool::new();
        let has_places = table.export(connection, dates, order, |place, row| {
            progress.fetch_add(1, Ordering::Relaxed);
            spool.push(place, row)
        })?;
        let sorted = spool.finish().map_err(ExportError::Spool)?;
        Ok((sorted, has_places))
    };
    match read(Order::AsFound) {
        // In what order equal dates come, and which of several broken rows comes first, only the database can tell.
        Ok((users, true)) if !users.has_close_ties() => Ok(users),
        Err(error @ (ExportError::Database(_) | ExportError::Spool(_))) => Err(error),
        Err(error) if !streams_rows => Err(error),
        _ => Ok(read(Order::ByDatabase)?.0),
    }
}

/// Makes the next chunk on the blocking pool, from now on.
fn read_ahead(
    mut body: Body,
) -> impl Future<Output = Result<io::Result<(Option<Bytes>, Body)>, actix_web::error::BlockingError>>
{
    block(move || {
        let chunk = body.next_chunk()?;
        Ok((chunk, body))
    })
}

/// The body on its way out.
struct Body {
    next: Next,
    head: Vec<u8>,
    users: Sorted,
    tail: Vec<u8>,
    renderer: Renderer,
    reshaper: Option<Reshaper>,
    /// Among the exports that are made at a time: free again when this one is sent
    _place: OwnedSemaphorePermit,
}

enum Next {
    Head,
    Users,
    Nothing,
}

impl Body {
    fn new(users: Sorted, renderer: Renderer, place: OwnedSemaphorePermit) -> Body {
        let count = users.count();
        Body {
            next: Next::Head,
            head: format!(r#"{{"success":true,"count":{count},"users":["#).into_bytes(),
            tail: format!(r#"],"message":"Successfully exported {count} TV users"}}"#).into_bytes(),
            users,
            renderer,
            reshaper: Reshaper::new(renderer),
            _place: place,
        }
    }

    /// How long all chunks are together. Only what is reshaped must be made to be measured.
    fn length(&mut self) -> io::Result<u64> {
        if self.reshaper.is_none() {
            let count = self.users.count();
            let users = self.users.length() + count * JSON_ADDS as u64;
            let commas = count.saturating_sub(1);
            return Ok((self.head.len() + self.tail.len()) as u64 + users + commas);
        }
        let mut length = 0;
        while let Some(chunk) = self.next_chunk()? {
            length += chunk.len() as u64;
        }
        self.next = Next::Head;
        self.users.rewind()?;
        self.reshaper = Reshaper::new(self.renderer);
        Ok(length)
    }

    /// The next bytes, made of [`CHUNK`] of the compact text or of all that is left; `None` behind the last.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut compact = Vec::with_capacity(CHUNK + 4096);
        match self.next {
            Next::Head => compact.extend_from_slice(&self.head),
            Next::Users => {}
            Next::Nothing => return Ok(None),
        }
        self.next = Next::Users;
        while compact.len() < CHUNK
            && let Some(user) = self.users.row()
        {
            write_json(user, &mut compact);
            self.users.advance()?;
            if self.users.row().is_some() {
                compact.push(b',');
            }
        }
        let is_last = self.users.row().is_none();
        if is_last {
            compact.extend_from_slice(&self.tail);
            self.next = Next::Nothing;
        }
        let chunk = match &mut self.reshaper {
            None => compact,
            Some(reshaper) => reshaper.push(&compact),
        };
        Ok(Some(chunk.into()))
    }
}
