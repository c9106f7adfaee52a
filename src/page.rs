//! The HTML page: its values, and the templates that show them (`templates/`, checked at compile time). It does no I/O and
//! knows no statuses.

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::db::views::exported_row::{Value, values};
use crate::db::views::statistics::Stats;
use crate::db::views::users_page::UserPage;

mod chart;
mod filters;

pub use chart::Chart;

/// The style sheet, which stands in every page.
const STYLE: &str = include_str!("../templates/style.css");

/// How many characters of a text out of the database are shown, so that the page stays small.
const TEXT_LIMIT: usize = 60;

/// The value of `Content-Security-Policy`. It allows the page's style sheet, its icon and its forms.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// The header and footer of every page.
pub struct Frame {
    /// The relative URL of the mount: `./` or `../`
    pub root: &'static str,
    /// The username of the caller, if logged in
    pub caller: Option<String>,
    /// Whether the sidecar serves login and logout
    pub serves_login: bool,
}

/// The page at the mount: the figures and a page of users.
#[derive(Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// Header and footer
    pub frame: Frame,
    /// The figures of `export_stats`
    pub stats: Stats,
    /// Users by month; `None` if no date can be read
    pub chart: Option<Chart>,
    /// The time of the figures, `2026-11-26T14:00:00Z`
    pub now: String,
    /// The text that is searched for, or an empty one
    pub search: String,
    /// The users
    pub users: Users,
}

impl Overview {
    fn date(&self) -> &str {
        self.now.get(..10).unwrap_or_default()
    }

    fn now_text(&self) -> String {
        let time = self.now.get(11..16).unwrap_or_default();
        format!("{}, {time} UTC", self.date())
    }
}

/// The users of an overview.
pub enum Users {
    /// They can't be shown, for this reason
    Unreadable(&'static str),
    /// One page of them in the export's order, and the URLs of the other pages
    Page {
        /// The users
        rows: Vec<UserRow>,
        /// The first page, if this is another one
        first: Option<String>,
        /// The page before
        previous: Option<String>,
        /// The page after
        next: Option<String>,
    },
}

impl Users {
    /// A page of users that match `search`. `root` is the relative URL of the mount.
    pub fn new(users: &UserPage, search: &str, root: &str, is_first: bool) -> Users {
        let rows: Vec<_> = users.rows.iter().map(|row| UserRow::new(row)).collect();
        let query = match search {
            "" => String::new(),
            _ => format!("q={}", utf8_percent_encode(search, NON_ALPHANUMERIC)),
        };
        let joint = if query.is_empty() { "" } else { "&" };
        let url = |name: &str, user: Option<&UserRow>| {
            user.map(|user| format!("{root}?{query}{joint}{name}={}", user.id))
        };
        let first = match query.as_str() {
            "" => root.to_owned(),
            query => format!("{root}?{query}"),
        };
        Users::Page {
            first: (!is_first && (users.has_previous || rows.is_empty())).then_some(first),
            previous: url("before", rows.first().filter(|_| users.has_previous)),
            next: url("after", rows.last().filter(|_| users.has_next)),
            rows,
        }
    }
}

/// One user of an overview, with long texts cut.
pub struct UserRow {
    id: String,
    username: String,
    name: String,
    email: String,
    movie: &'static str,
    joined: String,
}

impl UserRow {
    fn new(row: &[u8]) -> UserRow {
        let [id, username, email, first_name, last_name, movie, joined] = values(row).map(text);
        UserRow {
            id,
            username: cut(&username),
            name: cut(format!("{first_name} {last_name}").trim()),
            email: cut(&email),
            movie: match movie.as_str() {
                "" | "false" => "no",
                _ => "yes",
            },
            joined: joined.get(..10).unwrap_or_default().to_owned(),
        }
    }
}

fn text(value: Value<'_>) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bare(text) => text.to_owned(),
        Value::Text(text) => text.into_owned(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_LIMIT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The page for an error.
#[derive(Template)]
#[template(path = "refusal.html")]
pub struct Refusal {
    /// Header and footer
    pub frame: Frame,
    /// The error in a few words
    pub heading: &'static str,
    /// The sentence that JSON clients get
    pub reason: String,
    /// What the reader can do
    pub advice: Option<&'static str>,
    /// The way to log in
    pub login: Login,
}

/// The way to log in that an error page offers.
pub enum Login {
    /// The sidecar's own form
    Form,
    /// The application's login page, at this URL
    Link(String),
    /// None: logging in would not help
    Nothing,
}

/// The page for `OPTIONS`.
#[derive(Template)]
#[template(path = "options.html")]
pub struct Options {
    /// Header and footer
    pub frame: Frame,
    /// The metadata, indented
    pub json: String,
}
