//! What `check` asks a database, over a connection of its own, in read-only transactions with time limits.
//!
//! Rows come as texts, whatever the database: what they say is for people. No question names a user but the one that an
//! operator named.

use std::sync::mpsc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::row::Row;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Text};

use super::connection::{Connection, ConnectionOpener, SessionSettings, with_connection};
use super::fragments::{dynamic_query, optional, row_of_every_backend};
use super::source::JobKind;
use super::types::Instant;
use super::values::{DjangoBackend, ValueError};
use super::{DbError, UserTable};
use crate::config::{Backend, Config, DatabaseUrl};

mod rows;
mod server;
mod tables;

pub use rows::Passwords;
pub use server::{Limit, Server};
pub use tables::{Elsewhere, Need, Table};

/// How long opening a connection may take: longer than any of the client libraries tries, where they have a limit.
const LONGEST_OPENING: Duration = Duration::from_secs(15);

/// How long a file may be locked.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that asks.
pub struct Inspector {
    url: DatabaseUrl,
    settings: SessionSettings,
    connection: Option<Connection>,
}

impl Inspector {
    /// Connects.
    ///
    /// # Errors
    /// The client library's words.
    pub fn open(url: &DatabaseUrl, settings: SessionSettings) -> Result<Inspector, String> {
        let mut inspector = Inspector {
            url: url.clone(),
            settings,
            connection: None,
        };
        inspector.connection = Some(inspector.establish()?);
        Ok(inspector)
    }

    /// Whether the limits were sent when connecting.
    pub fn prepares(&self) -> bool {
        self.settings.prepares
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        self.url.backend()
    }

    /// In a thread of its own, which may hang: MySQL's client waits for a silent server for minutes.
    fn establish(&self) -> Result<Connection, String> {
        let opener = ConnectionOpener {
            url: self.url.clone(),
            writable: false,
            settings: self.settings.clone(),
        };
        let (done, opened) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = done.send(opener.establish());
        });
        match opened.recv_timeout(LONGEST_OPENING) {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "no answer within {} seconds",
                LONGEST_OPENING.as_secs()
            )),
        }
    }

    /// Runs a job that reads. After an error the connection is not used again.
    ///
    /// # Errors
    /// The job's, or the database's.
    pub fn ask<T>(
        &mut self,
        job: &dyn Fn(&mut Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.establish().map_err(DbError::Unavailable)?,
        };
        let answer = connection.limited(&self.settings, JobKind::Long, PATIENCE, job);
        if answer.is_ok() {
            self.connection = Some(connection);
        }
        answer
    }

    /// The user table, as the service knows it.
    ///
    /// # Errors
    /// The database's, or what is missing.
    pub fn user_table(&mut self, config: &Config) -> Result<UserTable, DbError> {
        let (name, username) = (&config.user_table, &config.username_field);
        self.ask(&|connection| UserTable::load(connection, name, username, &config.none_fields))
    }

    /// What the role may do and should not.
    ///
    /// # Errors
    /// The connection's.
    pub fn excess(&mut self, table: &UserTable) -> Result<Option<(String, &'static str)>, DbError> {
        let excess = self.ask(&|connection| Ok(super::role::excess(connection, table)))?;
        Ok(excess.map(|excess| (excess.power, excess.grants)))
    }

    fn rows(&mut self, question: &Question) -> Result<Vec<TextRow>, DbError> {
        self.ask(&|connection| {
            Ok(with_connection!(connection, conn => Asked(question).load(conn))?)
        })
    }

    /// The only row.
    fn row(&mut self, question: &Question) -> Result<TextRow, DbError> {
        let row = self.rows(question)?.pop();
        row.ok_or_else(|| DbError::Schema("a question had no answer".into()))
    }

    /// A name as SQL writes it.
    fn quoted(&self, name: &str) -> String {
        let quote = match self.backend() {
            Backend::Mysql => '`',
            Backend::Sqlite | Backend::Postgres => '"',
        };
        let doubled = name.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{doubled}{quote}")
    }

    /// An expression as text.
    fn as_text(&self, expression: &str) -> String {
        let kind = match self.backend() {
            Backend::Mysql => "CHAR",
            Backend::Sqlite | Backend::Postgres => "text",
        };
        format!("CAST({expression} AS {kind})")
    }
}

/// SQL with values in between.
struct Question(Vec<Part>);

enum Part {
    Sql(String),
    Text(String),
    Instant(Instant),
}

impl Question {
    fn new(sql: impl Into<String>) -> Question {
        Question(vec![Part::Sql(sql.into())])
    }

    fn text(mut self, value: &str) -> Question {
        self.0.push(Part::Text(value.to_owned()));
        self
    }

    fn instant(mut self, value: Instant) -> Question {
        self.0.push(Part::Instant(value));
        self
    }

    fn sql(mut self, sql: impl Into<String>) -> Question {
        self.0.push(Part::Sql(sql.into()));
        self
    }
}

/// Without a lifetime of its own, as `dynamic_query!` wants one.
struct Asked<'a>(&'a Question);

impl<DB> QueryFragment<DB> for Asked<'_>
where
    DB: diesel::backend::Backend + HasSqlType<Text>,
    String: ToSql<Text, DB>,
    Instant: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for part in &self.0.0 {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Text(value) => out.push_bind_param::<Text, _>(value)?,
                Part::Instant(value) => value.walk_ast(out.reborrow())?,
            }
        }
        Ok(())
    }
}

dynamic_query!(Asked);

/// A row of texts.
struct TextRow(Vec<Option<String>>);

impl TextRow {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<TextRow, ValueError> {
        let text = |index| optional(row, index, |value| DB::text(value, str::to_owned));
        (0..row.field_count())
            .map(text)
            .collect::<Result<_, _>>()
            .map(TextRow)
    }

    /// The text in this column; empty for NULL.
    fn text(&self, index: usize) -> &str {
        self.0
            .get(index)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    /// The number in this column.
    fn number<T: std::str::FromStr>(&self, index: usize) -> Option<T> {
        self.text(index).parse().ok()
    }

    /// The truth in this column, as any of the databases writes it.
    fn is_true(&self, index: usize) -> bool {
        matches!(self.text(index), "1" | "t" | "true" | "ON")
    }
}

row_of_every_backend!(TextRow);
