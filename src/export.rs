//! The export's answer: rows become JSON bytes in a spool as they arrive, and only then an HTTP response.
//!
//! `count` stands before `users`, and one statement's rows are the only honest count; so the rows are spooled (in memory
//! up to a few MiB, then in an unlinked temporary file), the connection goes back to the pool, and the answer has a
//! length, an honest status, and holds no snapshot for a slow reader.

use std::io::{self, BufWriter, Read, Seek, Write};

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use futures_util::stream;
use tempfile::SpooledTempFile;

use crate::db::{Connection, DateShape, ExportError, UserTable};
use crate::django::negotiation::{Format, Renderer};
use crate::django::renderers::Indenter;
use crate::response;

/// A spool stays in memory up to this size, in bytes.
const IN_MEMORY: usize = 4 * 1024 * 1024;

/// Bytes read from a spool, and handed to the connection, at a time.
const CHUNK: usize = 64 * 1024;

/// The whole body of `export_users`, ready to be sent.
pub struct Export {
    /// How many users it holds
    pub count: u64,
    head: Vec<u8>,
    users: Spooled,
    tail: Vec<u8>,
    renderer: Renderer,
}

/// Bytes on their way in: gathered into chunks, since a row is much shorter than what is worth a system call.
struct Spool {
    writer: BufWriter<SpooledTempFile>,
    length: u64,
}

/// Bytes that are all in, to be read from the first on.
struct Spooled {
    file: SpooledTempFile,
    length: u64,
}

impl Spool {
    fn new() -> Spool {
        Spool {
            writer: BufWriter::with_capacity(CHUNK, SpooledTempFile::new(IN_MEMORY)),
            length: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.writer.write_all(bytes)
    }

    fn finish(self) -> io::Result<Spooled> {
        let mut file = self
            .writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Spooled {
            file,
            length: self.length,
        })
    }
}

impl Export {
    /// Reads every exportable user into a spool. Blocking.
    ///
    /// # Errors
    /// The database's, the view's, or the spool's.
    pub fn collect(
        connection: &mut Connection,
        table: &UserTable,
        dates: &DateShape,
        renderer: Renderer,
    ) -> Result<Export, ExportError> {
        let mut users = Spool::new();
        let mut count = 0u64;
        table.export(connection, dates, |row| {
            if count > 0 {
                users.write(b",")?;
            }
            count += 1;
            users.write(row)
        })?;
        let head = format!(r#"{{"success":true,"count":{count},"users":["#).into_bytes();
        let tail =
            format!(r#"],"message":"Successfully exported {count} TV users"}}"#).into_bytes();
        let export = Export {
            count,
            head,
            users: users.finish().map_err(ExportError::Spool)?,
            tail,
            renderer,
        };
        match renderer {
            Renderer {
                format: Format::Json,
                indent: None,
            } => Ok(export),
            _ => export.reshaped().map_err(ExportError::Spool),
        }
    }

    /// The same body as the renderer wants it: indented, or inside a page.
    fn reshaped(mut self) -> io::Result<Export> {
        let mut users = Spool::new();
        let is_page = self.renderer.format == Format::Html;
        let mut indenter = Indenter::new(if is_page {
            2
        } else {
            self.renderer.indent.unwrap_or_default()
        });
        if is_page {
            users.write(&response::page_head(StatusCode::OK))?;
        }
        let mut indented = Vec::with_capacity(2 * CHUNK);
        let mut escaped = Vec::new();
        let mut reshape = |compact: &[u8]| {
            indented.clear();
            indenter.push(compact, &mut indented);
            if !is_page {
                return users.write(&indented);
            }
            escaped.clear();
            response::escape_html(&indented, &mut escaped);
            users.write(&escaped)
        };
        reshape(&self.head)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.users.file.read(&mut chunk)? {
                0 => break,
                length => reshape(&chunk[..length])?,
            }
        }
        reshape(&self.tail)?;
        if is_page {
            users.write(response::PAGE_TAIL)?;
        }
        Ok(Export {
            head: Vec::new(),
            users: users.finish()?,
            tail: Vec::new(),
            ..self
        })
    }

    /// The response, with its length.
    pub fn into_response(self) -> HttpResponse {
        let length = self.head.len() as u64 + self.users.length + self.tail.len() as u64;
        let pieces = Pieces {
            next: Next::Head,
            head: self.head.into(),
            users: self.users.file,
            tail: self.tail.into(),
        };
        let body = SizedStream::new(length, stream::try_unfold(pieces, Pieces::advance));
        response::api_head(StatusCode::OK, self.renderer).body(body)
    }
}

/// The body on its way out.
struct Pieces {
    next: Next,
    head: Bytes,
    users: SpooledTempFile,
    tail: Bytes,
}

enum Next {
    Head,
    Users,
    Nothing,
}

impl Pieces {
    async fn advance(mut self) -> io::Result<Option<(Bytes, Pieces)>> {
        if let Next::Head = self.next {
            self.next = Next::Users;
            let head = std::mem::take(&mut self.head);
            if !head.is_empty() {
                return Ok(Some((head, self)));
            }
        }
        match self.next {
            Next::Head | Next::Users => {
                let (chunk, mut pieces) = self.read_chunk().await?;
                if !chunk.is_empty() {
                    return Ok(Some((chunk, pieces)));
                }
                pieces.next = Next::Nothing;
                let tail = std::mem::take(&mut pieces.tail);
                Ok((!tail.is_empty()).then_some((tail, pieces)))
            }
            Next::Nothing => Ok(None),
        }
    }

    /// Up to [`CHUNK`] bytes of the spool; a file is read on the blocking pool.
    async fn read_chunk(self) -> io::Result<(Bytes, Pieces)> {
        match self.users.is_rolled() {
            false => self.read_blocking(),
            true => actix_web::web::block(move || self.read_blocking())
                .await
                .unwrap_or_else(|_| Err(io::Error::other("the reader was cut short"))),
        }
    }

    fn read_blocking(mut self) -> io::Result<(Bytes, Pieces)> {
        let mut chunk = Vec::with_capacity(CHUNK);
        Read::by_ref(&mut self.users)
            .take(CHUNK as u64)
            .read_to_end(&mut chunk)?;
        Ok((chunk.into(), self))
    }
}
