//! Every answer that is not a success: the one file that pairs a status with a body.
//!
//! Three error types: [`Error`] is what handlers and extractors return; [`ErrorKind`] says what went wrong, and the table in
//! [`Error::answer`] gives its status and body. [`crate::db::error::DbError`] and [`crate::db::error::ExportError`] are the database's; routes turn
//! them into an [`Error`] once. [`crate::passwords::NotChecked`] turns itself into one.
//!
//! The bodies are DRF's (`rest_framework.views.exception_handler`, DRF 3.18), those of the customer's views, Django's plain
//! error pages (`django.views.defaults`, Django 5.2), and the sidecar's own.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};

use crate::django::negotiation::{Format, NotNegotiated, Renderer};
use crate::django::renderers::write_json_string;
use crate::response;

/// The logger of an outage's cause.
pub const LOGGER: &str = module_path!();

/// What went wrong.
#[derive(Debug)]
pub enum ErrorKind {
    /// `?format=` names no renderer (`Http404` in `filter_renderers`)
    NotFound,
    /// `exceptions.NotAcceptable`
    NotAcceptable,
    /// `exceptions.NotAuthenticated`
    NotAuthenticated,
    /// `exceptions.AuthenticationFailed` with its detail
    AuthenticationFailed(&'static str),
    /// `exceptions.PermissionDenied`
    PermissionDenied,
    /// `exceptions.PermissionDenied` of `SessionAuthentication.enforce_csrf`, with the reason
    CsrfFailed(String),
    /// `exceptions.MethodNotAllowed` with the method
    MethodNotAllowed(String),
    /// `exceptions.ParseError` with its detail
    ParseError(String),
    /// The `except` of `export_users`; `details` with DEBUG
    ExportFailed(Option<String>),
    /// The `except` of `export_stats`
    StatsFailed,
    /// Django's page for `SuspiciousOperation` and the like
    BadRequestPage,
    /// A page for a request whose head is too large
    HeadTooLargePage,
    /// Django's page for an unknown URL
    NotFoundPage,
    /// Django's page for an uncaught exception
    ServerErrorPage,
    /// `exceptions.Throttled` with the seconds to wait
    Throttled(u64),
    /// The database is away, or a queue is full: never Django's answer, see `docs/differences.md`
    Unavailable,
    /// A refused login or logout
    Login(LoginRefusal),
}

/// Why login or logout refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRefusal {
    /// Not `POST`
    MethodNotAllowed,
    /// Another site's `Origin`
    ForeignOrigin,
    /// Not `application/json`
    UnsupportedMediaType,
    /// A body above 16 KiB
    TooLarge,
    /// Not a JSON object with two strings
    Malformed,
    /// Not a form with both fields
    MalformedForm,
    /// Wrong name or password
    InvalidCredentials,
    /// Too many failed logins: the seconds to wait
    Throttled(u64),
    /// A body that did not come in time
    BodyTimeout,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    renderer: Renderer,
    /// The `WWW-Authenticate` of a missing authentication, which is 401 then: as in DRF, where its first authenticator has one
    challenge: Option<&'static str>,
    /// The cause of an outage, for the log
    cause: Option<String>,
}

impl Error {
    /// Rendered as JSON, compact.
    pub fn new(kind: ErrorKind) -> Self {
        Error::rendered(kind, Renderer::default())
    }

    /// Rendered as the client asked.
    pub fn rendered(kind: ErrorKind, renderer: Renderer) -> Self {
        Error {
            kind,
            renderer,
            challenge: None,
            cause: None,
        }
    }

    /// Django's page for an uncaught exception.
    pub fn server_error_page() -> Self {
        Error::new(ErrorKind::ServerErrorPage)
    }

    /// Django's page for a request that it refuses before any view.
    pub fn bad_request_page() -> Self {
        Error::new(ErrorKind::BadRequestPage)
    }

    /// Django's page for an unknown URL.
    pub fn not_found_page() -> Self {
        Error::new(ErrorKind::NotFoundPage)
    }

    /// With 401 and `WWW-Authenticate` in place of 403 (`APIView.handle_exception`).
    pub fn with_challenge(mut self, challenge: Option<&'static str>) -> Self {
        self.challenge = challenge;
        self
    }

    /// An outage. Its cause goes to the log (`middleware/access_log.rs`) and never to the client.
    pub fn unavailable(cause: &impl fmt::Display, renderer: Renderer) -> Self {
        Error {
            cause: Some(cause.to_string()),
            ..Error::rendered(ErrorKind::Unavailable, renderer)
        }
    }
}

impl From<NotNegotiated> for Error {
    fn from(reason: NotNegotiated) -> Self {
        Error::new(match reason {
            NotNegotiated::NotFound => ErrorKind::NotFound,
            NotNegotiated::NotAcceptable => ErrorKind::NotAcceptable,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

/// The value of a `WWW-Authenticate` for HTTP Basic (`BasicAuthentication.authenticate_header`).
pub const BASIC_CHALLENGE: &str = r#"Basic realm="api""#;

/// `Retry-After` of an outage, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 5;

/// The body of an answer.
enum ErrorBody<'a> {
    /// DRF's `{"detail": …}`
    Detail(Cow<'a, str>),
    /// The customer's views: `{"success": false, "error": …}`, and `details` where there are some (`null` without DEBUG)
    View(&'static str, Option<&'a Option<String>>),
    /// `{"success": false, "error": …}` of login and logout
    Login(&'static str),
    /// Django's `ERROR_PAGE_TEMPLATE` (`django/views/defaults.py`): title, and the paragraph's text
    Page(&'static str, &'static str),
}

impl Error {
    /// The table of all kinds: the status and the body.
    fn answer(&self) -> (StatusCode, ErrorBody<'_>) {
        use StatusCode as S;
        let detail = |text: &'static str| ErrorBody::Detail(text.into());
        let unauthenticated = match self.challenge {
            Some(_) => S::UNAUTHORIZED,
            None => S::FORBIDDEN,
        };
        match &self.kind {
            ErrorKind::NotFound => (S::NOT_FOUND, detail("Not found.")),
            ErrorKind::NotAcceptable => (
                S::NOT_ACCEPTABLE,
                detail("Could not satisfy the request Accept header."),
            ),
            ErrorKind::NotAuthenticated => (
                unauthenticated,
                detail("Authentication credentials were not provided."),
            ),
            ErrorKind::AuthenticationFailed(text) => (unauthenticated, detail(text)),
            ErrorKind::PermissionDenied => (
                S::FORBIDDEN,
                detail("You do not have permission to perform this action."),
            ),
            ErrorKind::CsrfFailed(reason) => {
                let text = format!("CSRF Failed: {reason}");
                (S::FORBIDDEN, ErrorBody::Detail(text.into()))
            }
            ErrorKind::MethodNotAllowed(method) => {
                let text = format!("Method \"{method}\" not allowed.");
                (S::METHOD_NOT_ALLOWED, ErrorBody::Detail(text.into()))
            }
            ErrorKind::ParseError(text) => (S::BAD_REQUEST, ErrorBody::Detail(text.into())),
            ErrorKind::Throttled(seconds) => {
                let plural = if *seconds == 1 { "" } else { "s" };
                let text = format!(
                    "Request was throttled. Expected available in {seconds} second{plural}."
                );
                (S::TOO_MANY_REQUESTS, ErrorBody::Detail(text.into()))
            }
            ErrorKind::Unavailable => (
                S::SERVICE_UNAVAILABLE,
                detail("The service is temporarily unavailable."),
            ),
            ErrorKind::ExportFailed(details) => (
                S::INTERNAL_SERVER_ERROR,
                ErrorBody::View("Failed to export users. Please try again.", Some(details)),
            ),
            ErrorKind::StatsFailed => (
                S::INTERNAL_SERVER_ERROR,
                ErrorBody::View("Failed to get export statistics", None),
            ),
            ErrorKind::BadRequestPage => (S::BAD_REQUEST, ErrorBody::Page("Bad Request (400)", "")),
            ErrorKind::HeadTooLargePage => (
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                ErrorBody::Page("Request Header Fields Too Large", ""),
            ),
            ErrorKind::NotFoundPage => (
                S::NOT_FOUND,
                ErrorBody::Page(
                    "Not Found",
                    "The requested resource was not found on this server.",
                ),
            ),
            ErrorKind::ServerErrorPage => (
                S::INTERNAL_SERVER_ERROR,
                ErrorBody::Page("Server Error (500)", ""),
            ),
            ErrorKind::Login(refusal) => {
                let (status, reason) = refusal.answer();
                (status, ErrorBody::Login(reason))
            }
        }
    }

    /// Whether the client asked for a page.
    pub fn is_for_people(&self) -> bool {
        self.renderer.format == Format::Html
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The cause of an outage, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The sentence in the body, for a page.
    pub fn sentence(&self) -> String {
        match self.answer().1 {
            ErrorBody::Detail(text) => text.into_owned(),
            ErrorBody::View(text, Some(Some(details))) => format!("{text} ({details})"),
            ErrorBody::View(text, _) | ErrorBody::Login(text) | ErrorBody::Page(text, _) => {
                text.to_owned()
            }
        }
    }
}

impl LoginRefusal {
    /// The status and the reason in the body.
    fn answer(self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            LoginRefusal::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "Only POST is allowed."),
            LoginRefusal::ForeignOrigin => {
                (S::FORBIDDEN, "Requests from another site are refused.")
            }
            LoginRefusal::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "The content type must be application/json.",
            ),
            LoginRefusal::TooLarge => (S::PAYLOAD_TOO_LARGE, "The request body is too large."),
            LoginRefusal::Malformed => (
                S::BAD_REQUEST,
                "The body must be a JSON object with the strings username and password.",
            ),
            LoginRefusal::MalformedForm => (
                S::BAD_REQUEST,
                "The form must hold a username and a password.",
            ),
            LoginRefusal::InvalidCredentials => (S::UNAUTHORIZED, "Invalid credentials"),
            LoginRefusal::Throttled(_) => (
                S::TOO_MANY_REQUESTS,
                "Too many failed logins. Try again later.",
            ),
            LoginRefusal::BodyTimeout => {
                (S::REQUEST_TIMEOUT, "The request body did not come in time.")
            }
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.answer().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, body) = self.answer();
        let mut answer = match body {
            ErrorBody::Page(title, text) => page(status, title, text),
            ErrorBody::Login(reason) => {
                let json = format!(r#"{{"success":false,"error":"{reason}"}}"#);
                HttpResponse::build(status)
                    .content_type("application/json")
                    .body(json)
            }
            ErrorBody::Detail(text) => {
                let mut json = b"{\"detail\":".to_vec();
                write_json_string(&mut json, &text);
                json.push(b'}');
                response::api(status, self.renderer, &json)
            }
            ErrorBody::View(text, details) => {
                let mut json = format!(r#"{{"success":false,"error":"{text}""#).into_bytes();
                if let Some(details) = details {
                    json.extend_from_slice(br#","details":"#);
                    match details {
                        Some(details) => write_json_string(&mut json, details),
                        None => json.extend_from_slice(b"null"),
                    }
                }
                json.push(b'}');
                response::api(status, self.renderer, &json)
            }
        };
        let headers = answer.headers_mut();
        match (&self.kind, self.challenge) {
            (ErrorKind::NotAuthenticated | ErrorKind::AuthenticationFailed(_), Some(challenge)) => {
                let challenge = HeaderValue::from_static(challenge);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            (ErrorKind::Unavailable, _) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
            }
            (
                ErrorKind::Throttled(seconds) | ErrorKind::Login(LoginRefusal::Throttled(seconds)),
                _,
            ) => {
                headers.insert(header::RETRY_AFTER, (*seconds).into());
            }
            (ErrorKind::Login(LoginRefusal::MethodNotAllowed), _) => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        answer
    }
}

/// Rounded up, as in DRF.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn page(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    let html = format!(
        "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n  <h1>{title}</h1><p>{text}</p>\n</body>\n</html>\n"
    );
    HttpResponseBuilder::new(status)
        .content_type("text/html; charset=utf-8")
        .body(html)
}
