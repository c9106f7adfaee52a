//! The page for people, as text: what it shows, and the templates that show it (`templates/`, checked at compile time).
//! No I/O and no statuses; [`crate::routes::page`] asks for the figures and answers.

use std::fmt::Write as _;
use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::db::views::exported_row::{Value, values};
use crate::db::views::statistics::Stats;
use crate::db::views::users_page::UserPage;

mod chart;

pub use chart::Chart;

/// The one style sheet, inside of each page.
const STYLE: &str = include_str!("../templates/style.css");

/// Characters that are shown of a user's text: the page stays small whatever is in the database.
const LONGEST_SHOWN: usize = 60;

/// `Content-Security-Policy`: nothing but the page's own style sheet, its icon, and its forms.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// What is around every page.
pub struct Frame {
    /// The way from the page's URL to the mount, relative: `./` or `../`
    pub root: &'static str,
    /// Who is logged in
    pub caller: Option<String>,
    /// Whether the sidecar logs people in and out itself
    pub serves_login: bool,
}

impl Frame {
    fn style(&self) -> &'static str {
        STYLE
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// The figures and the first users.
#[derive(Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What is around it
    pub frame: Frame,
    /// The figures of `export_stats`
    pub stats: Stats,
    /// Users by month; `None` where no date can be read
    pub chart: Option<Chart>,
    /// When the figures were asked for, `2026-11-26T14:00:00Z`
    pub now: String,
    /// What is searched for, or nothing
    pub search: String,
    /// The users that are shown
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

/// The users on an overview.
pub enum Users {
    /// They can't be shown, and why
    Unreadable {
        /// A sentence
        reason: String,
    },
    /// Some of them, in the export's order, and the URLs of other pages of them
    Page {
        /// The users
        rows: Vec<UserRow>,
        /// Where the first ones are, if these are not
        first: Option<String>,
        /// Those before
        previous: Option<String>,
        /// Those behind
        next: Option<String>,
    },
}

impl Users {
    /// A page of users out of a search for `search`, below the mount that `root` leads to.
    pub fn new(preview: &UserPage, search: &str, root: &str, is_first: bool) -> Users {
        let rows: Vec<_> = preview.rows.iter().map(|row| UserRow::new(row)).collect();
        let query =
            percent_encoding::utf8_percent_encode(search, percent_encoding::NON_ALPHANUMERIC);
        let query = match search {
            "" => String::new(),
            _ => format!("q={query}"),
        };
        let url = |name: &str, user: Option<&UserRow>| {
            let joint = if query.is_empty() { "" } else { "&" };
            user.map(|user| format!("{root}?{query}{joint}{name}={}", user.id))
        };
        let first = match query.as_str() {
            "" => root.to_owned(),
            query => format!("{root}?{query}"),
        };
        Users::Page {
            first: (!is_first && (preview.has_previous || rows.is_empty())).then_some(first),
            previous: url("before", rows.first().filter(|_| preview.has_previous)),
            next: url("after", rows.last().filter(|_| preview.has_next)),
            rows,
        }
    }
}

/// One user on an overview; long texts are cut.
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
    match text.char_indices().nth(LONGEST_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Why there is no overview, and what can be done.
#[derive(Template)]
#[template(path = "refusal.html")]
pub struct Refusal {
    /// What is around it
    pub frame: Frame,
    /// In a few words
    pub heading: &'static str,
    /// What the API says, too
    pub reason: String,
    /// What helps
    pub advice: Option<&'static str>,
    /// How to log in
    pub login: Login,
}

/// What a page offers to whoever is not logged in.
pub enum Login {
    /// The sidecar's own form
    Form,
    /// The application's login page
    Link {
        /// Where it is
        url: String,
    },
    /// It would not help
    Nothing,
}

/// What `OPTIONS` answers with.
#[derive(Template)]
#[template(path = "options.html")]
pub struct Options {
    /// What is around it
    pub frame: Frame,
    /// The metadata, indented
    pub json: String,
}

/// What the templates make of values.
mod filters {
    /// `1,234,567`
    #[askama::filter_fn]
    pub fn thousands(
        number: impl std::fmt::Display,
        _: &dyn askama::Values,
    ) -> askama::Result<String> {
        Ok(super::thousands(number))
    }
}

fn thousands(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        // Writing to a string can't fail.
        let _ = write!(text, "{digit}");
    }
    text
}
