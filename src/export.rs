//! The export's answer: rows become JSON bytes in a spool as they arrive, and only then an HTTP response.
//!
//! `count` stands before `users`, and one statement's rows are the only honest count; so the rows are spooled (in memory
//! up to a few MiB, then in an unlinked temporary file), the connection goes back to the pool, and the answer has a
//! length, an honest status, and holds no snapshot for a slow reader.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag};
use actix_web::web::{Bytes, block};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use crate::db::Db;
use crate::db::connection::Connection;
use crate::db::error::ExportError;
use crate::db::models::user_table::UserTable;
use crate::db::views::exportable_users::{DateShape, Selection};
use crate::db::views::statistics::Stats;
use crate::django::negotiation::Renderer;
use crate::response::{self, Compressible};

mod body;
mod csv;
pub mod parameters;
mod spool;

pub use body::Layout;
pub use csv::Csv;

use body::{Body, CHUNK};
use spool::{Sorted, Spool};

/// A whole export, ready to be sent.
pub struct Export {
    /// How many users it holds
    pub count: u64,
    /// The key of the last one, where a page of them was asked for that is full
    pub next_after: Option<String>,
    tag: EntityTag,
    length: u64,
    body: Body,
    /// A body of one chunk
    whole: Option<Bytes>,
}

/// What of the users is exported, and how.
#[derive(Clone)]
pub struct Wanted {
    /// How dates are shown
    pub dates: DateShape,
    /// Which users
    pub selection: Selection,
    /// As what
    pub layout: Layout,
}

impl Export {
    /// Reads the wanted users into a spool, and gives the connection back. `place` is kept until all is sent.
    ///
    /// # Errors
    /// The database's, the view's, or the spool's.
    pub async fn collect(
        db: &Db,
        deadline: Instant,
        wanted: Wanted,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Export, ExportError> {
        let layout = wanted.layout;
        let (users, next_after) = db
            .export(deadline, move |connection, table, progress| {
                collected(connection, table, &wanted, progress)
            })
            .await?;
        let export = block(move || Export::new(users, next_after, layout, place)).await;
        export
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(ExportError::Spool)
    }

    /// Blocking.
    fn new(
        users: Sorted,
        next_after: Option<String>,
        layout: Layout,
        place: Option<OwnedSemaphorePermit>,
    ) -> io::Result<Export> {
        let count = users.count();
        let tag = response::entity_tag(layout, users.digest());
        let mut body = Body::new(users, layout, place);
        let length = body.length()?;
        let whole = match length <= CHUNK as u64 {
            true => body.next_chunk()?,
            false => None,
        };
        Ok(Export {
            count,
            next_after,
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

    /// Its bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether the client has it already.
    pub fn is_known(&self, req: &HttpRequest) -> bool {
        response::is_known(req, &self.tag)
    }

    /// Writes the bytes that an answer would have, and tells of each piece how long it was. Blocking.
    ///
    /// # Errors
    /// The spool's, or those of `out`.
    pub fn write_to(
        mut self,
        out: &mut impl Write,
        mut written: impl FnMut(u64),
    ) -> io::Result<()> {
        if let Some(whole) = &self.whole {
            out.write_all(whole)?;
            written(whole.len() as u64);
        }
        self.body.write_to(out, written)
    }

    /// The response, with its length, or compressed on its way out; 304 to a client that has it already.
    pub fn into_response(self, req: &HttpRequest) -> HttpResponse {
        let export = Compressible {
            length: self.length,
        };
        let mut response = self.into_whole_response(req);
        response.extensions_mut().insert(export);
        response
    }

    fn into_whole_response(self, req: &HttpRequest) -> HttpResponse {
        if self.is_known(req) {
            return response::not_modified(self.tag);
        }
        let mut head = head(self.body.layout);
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

/// The body of `export_stats`.
pub fn stats_json(stats: &Stats) -> String {
    format!(
        r#"{{"success":true,"stats":{{"total_active_users":{},"tv_users":{},"movie_users":{},"exportable_users":{}}}}}"#,
        stats.total_active_users, stats.tv_users, stats.movie_users, stats.tv_users
    )
}

/// The head of an answer; what is not the view's own is a file, with the day in its name.
fn head(layout: Layout) -> HttpResponseBuilder {
    let (media_type, extension) = match layout {
        Layout::Json(renderer) => return response::api_head(StatusCode::OK, renderer),
        Layout::Ndjson => ("application/x-ndjson", "ndjson"),
        Layout::Csv(_) => ("text/csv; charset=utf-8; header=present", "csv"),
    };
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let file = format!("attachment; filename=\"watchtower-users-{day}.{extension}\"");
    let mut head = response::api_head(StatusCode::OK, Renderer::default());
    head.insert_header((header::CONTENT_DISPOSITION, file));
    head.content_type(media_type);
    head
}

/// The wanted users in their order, and where the page behind them begins.
fn collected(
    connection: &mut Connection,
    table: &UserTable,
    wanted: &Wanted,
    progress: &AtomicU64,
) -> Result<(Sorted, Option<String>), ExportError> {
    let Wanted {
        dates,
        selection,
        layout,
    } = wanted;
    let mut scratch = Vec::new();
    let mut last = None;
    let mut spool = Spool::new();
    table.export(connection, dates, selection, |rank, row| {
        progress.fetch_add(1, Ordering::Relaxed);
        if selection.page.is_some() {
            last = Some(spool::key(row).to_vec());
        }
        spool.push(rank, layout.spooled(row, &mut scratch).unwrap_or(row))
    })?;
    let users = spool.finish().map_err(ExportError::Spool)?;
    let is_full = |limit: u32| users.count() == u64::from(limit);
    let last = last.filter(|_| selection.page.is_some_and(|page| is_full(page.limit)));
    // A key is digits, or a UUID in JSON's quotes.
    let last = last.and_then(|key| String::from_utf8(key).ok());
    Ok((users, last.map(|key| key.trim_matches('"').to_owned())))
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
