//! The export: rows are written to a spool as they arrive, and the whole spool becomes the HTTP response.
//!
//! `count` stands before `users`, so all rows must be read before the first byte is sent. They are spooled in memory up to a
//! few MiB, then in an unlinked temporary file, and the connection goes back to the pool. So a query that fails gives an error
//! status, the answer has a `Content-Length`, and a slow reader holds no snapshot of the database.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use tokio::sync::OwnedSemaphorePermit;

use crate::db::Db;
use crate::db::connection::Connection;
use crate::db::error::ExportError;
use crate::db::models::user_table::UserTable;
use crate::db::views::exportable_users::{DateShape, Selection};
use crate::db::views::statistics::Stats;
use crate::django::negotiation::Renderer;
use crate::response::{self, Compressed};

mod body;
mod compression;
mod csv;
pub mod parameters;
mod run;
mod spool;
pub mod temporary_folder;
mod transfer;

pub use body::Layout;
pub use csv::Csv;

use body::ExportBody;
use run::key;
use spool::{Sorted, Spool};
use transfer::Transfer;

/// A whole export, ready to be sent.
pub struct Export {
    /// The number of users
    pub count: u64,
    /// Of a page with as many users as its limit: the last one's key
    pub next_after: Option<String>,
    tag: EntityTag,
    body: ExportBody,
}

/// What an export holds.
#[derive(Clone)]
pub struct ExportRequest {
    /// How dates are written
    pub dates: DateShape,
    /// Which users
    pub selection: Selection,
    /// The format
    pub layout: Layout,
}

impl Export {
    /// Reads the users into a spool.
    ///
    /// # Errors
    /// The database's, those of Django's view, or the spool's.
    pub async fn collect(
        db: &Db,
        deadline: Instant,
        request: ExportRequest,
    ) -> Result<Export, ExportError> {
        let layout = request.layout;
        let (users, next_after) = db
            .export(deadline, move |connection, table, progress| {
                collect_users(connection, table, &request, progress)
            })
            .await?;
        Ok(Export {
            count: users.count(),
            next_after,
            tag: response::entity_tag(layout, users.digest()),
            body: ExportBody::new(users, layout),
        })
    }

    /// The digest in its entity tag.
    pub fn tag(&self) -> &str {
        self.tag.tag()
    }

    /// The length of the body in bytes. Blocking.
    ///
    /// # Errors
    /// The spool's.
    pub fn length(&mut self) -> io::Result<u64> {
        self.body.length()
    }

    /// Whether the client has it already, by `If-None-Match`.
    pub fn is_known(&self, req: &HttpRequest) -> bool {
        response::is_known(req, &self.tag)
    }

    /// Writes the response's body to `out`, and calls `written` with the length of each piece. Blocking.
    ///
    /// # Errors
    /// The spool's, or those of `out`.
    pub fn write_to(mut self, out: &mut impl Write, written: impl FnMut(u64)) -> io::Result<()> {
        self.body.write_to(out, written)
    }

    /// The response, compressed as the client asks; 304 for a client that has it already. It holds `slot` until its last byte
    /// is sent.
    ///
    /// # Errors
    /// The system has no thread, or the spool's.
    pub async fn into_response(
        self,
        req: &HttpRequest,
        slot: OwnedSemaphorePermit,
    ) -> io::Result<HttpResponse> {
        let is_known = self.is_known(req);
        let mut head = head(self.body.layout);
        let transfer = Transfer::start(self.body, compression::coding(req)).await?;
        let is_compressed = transfer.coding.is_some();
        let tag = match is_compressed {
            // It stands for the bytes before compression (`GZipMiddleware.process_response`).
            true => EntityTag::new_weak(self.tag.tag().to_owned()),
            false => self.tag,
        };
        let mut response = match is_known {
            true => response::not_modified(tag),
            false => {
                head.insert_header(ETag(tag));
                transfer.into_response(head, slot).await?
            }
        };
        if is_compressed {
            response.extensions_mut().insert(Compressed);
        }
        Ok(response)
    }
}

/// The body of `export_stats`.
pub fn stats_json(stats: &Stats) -> String {
    format!(
        r#"{{"success":true,"stats":{{"total_active_users":{},"tv_users":{},"movie_users":{},"exportable_users":{}}}}}"#,
        stats.total_active_users, stats.tv_users, stats.movie_users, stats.tv_users
    )
}

/// The head of the response. CSV and NDJSON are downloads with the day in the file's name.
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

/// Reads the users in order, and gives the key after which the next page begins.
fn collect_users(
    connection: &mut Connection,
    table: &UserTable,
    request: &ExportRequest,
    progress: &AtomicU64,
) -> Result<(Sorted, Option<String>), ExportError> {
    let ExportRequest {
        dates,
        selection,
        layout,
    } = request;
    let mut scratch = Vec::new();
    let mut last = None;
    let mut spool = Spool::new();
    table.export(connection, dates, selection, |rank, row| {
        progress.fetch_add(1, Ordering::Relaxed);
        if selection.page.is_some() {
            last = Some(key(row).to_vec());
        }
        spool.push(rank, layout.spooled(row, &mut scratch).unwrap_or(row))
    })?;
    let users = spool.finish().map_err(ExportError::Spool)?;
    let is_full = |limit: u32| users.count() == u64::from(limit);
    let last = last.filter(|_| selection.page.is_some_and(|page| is_full(page.limit)));
    // A key is an integer, or a UUID in JSON's quotes.
    let last = last.and_then(|key| String::from_utf8(key).ok());
    Ok((users, last.map(|key| key.trim_matches('"').to_owned())))
}
