//! Every answer that is not a success: the one file that pairs a status with a body.
//!
//! [`Error`] is what handlers and extractors return; its [`ErrorKind`] says what went wrong, and the table in
//! [`Error::answer`] gives status and body. Routes turn the errors of [`crate::db::error`] into an [`Error`] once, and
//! [`crate::passwords::NotChecked`] turns itself into one.
//!
//! The bodies are DRF's (`rest_framework.views.exception_handler`, DRF 3.18), those of the customer's views, Django's plain
//! error pages (`django.views.defaults`, Django 5.2), and the sidecar's own.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

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
    /// `exceptions.Throttled` with the time to wait
    Throttled(Duration),
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
    /// Too many failed logins: the time to wait
    Throttled(Duration),
    /// A body that did not come in time
    BodyTimeout,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct Error {
    /// What went wrong
    pub kind: ErrorKind,
    renderer: Renderer,
    /// `WWW-Authenticate` of DRF's first authenticator: with one, a missing authentication is 401
    challenge: Option<String>,
    /// The cause of an outage, for the log (`middleware/access_log.rs`) and never for the client
    pub cause: Option<String>,
}

impl Error {
    /// Rendered as the client asked.
    pub fn rendered(kind: ErrorKind, renderer: Renderer) -> Self {
        Error {
            kind,
            renderer,
            challenge: None,
            cause: None,
        }
    }

    /// With a challenge, a missing authentication is 401 with this `WWW-Authenticate` in place of 403
    /// (`APIView.handle_exception`).
    pub fn with_challenge(self, challenge: Option<String>) -> Self {
        Error { challenge, ..self }
    }

    /// An outage.
    pub fn unavailable(cause: &impl fmt::Display, renderer: Renderer) -> Self {
        Error {
            cause: Some(cause.to_string()),
            ..Error::rendered(ErrorKind::Unavailable, renderer)
        }
    }
}

/// Rendered as JSON, compact, unless it is a page.
impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error::rendered(kind, Renderer::default())
    }
}

impl From<NotNegotiated> for Error {
    fn from(reason: NotNegotiated) -> Self {
        Error::from(match reason {
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

/// `Retry-After` of an outage, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 5;

/// The body of an answer.
enum ErrorBody<'a> {
    /// DRF's `{"detail": …}`
    Detail(String),
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
        use ErrorBody::{Detail, Page, View};
        use ErrorKind as K;
        use LoginRefusal as L;
        use StatusCode as S;
        let login = ErrorBody::Login;
        let unauthenticated = match self.challenge {
            Some(_) => S::UNAUTHORIZED,
            None => S::FORBIDDEN,
        };
        match &self.kind {
            K::NotFound => (S::NOT_FOUND, Detail("Not found.".into())),
            K::NotAcceptable => {
                let text = "Could not satisfy the request Accept header.";
                (S::NOT_ACCEPTABLE, Detail(text.into()))
            }
            K::NotAuthenticated => {
                let text = "Authentication credentials were not provided.";
                (unauthenticated, Detail(text.into()))
            }
            K::AuthenticationFailed(text) => (unauthenticated, Detail((*text).into())),
            K::PermissionDenied => {
                let text = "You do not have permission to perform this action.";
                (S::FORBIDDEN, Detail(text.into()))
            }
            K::CsrfFailed(reason) => (S::FORBIDDEN, Detail(format!("CSRF Failed: {reason}"))),
            K::MethodNotAllowed(method) => {
                let text = format!("Method \"{method}\" not allowed.");
                (S::METHOD_NOT_ALLOWED, Detail(text))
            }
            K::ParseError(text) => (S::BAD_REQUEST, Detail(text.clone())),
            K::Throttled(wait) => {
                let seconds = whole_seconds(*wait);
                let plural = if seconds == 1 { "" } else { "s" };
                let text = format!(
                    "Request was throttled. Expected available in {seconds} second{plural}."
                );
                (S::TOO_MANY_REQUESTS, Detail(text))
            }
            K::Unavailable => {
                let text = "The service is temporarily unavailable.";
                (S::SERVICE_UNAVAILABLE, Detail(text.into()))
            }
            K::ExportFailed(details) => {
                let text = "Failed to export users. Please try again.";
                (S::INTERNAL_SERVER_ERROR, View(text, Some(details)))
            }
            K::StatsFailed => {
                let text = "Failed to get export statistics";
                (S::INTERNAL_SERVER_ERROR, View(text, None))
            }
            K::BadRequestPage => (S::BAD_REQUEST, Page("Bad Request (400)", "")),
            K::HeadTooLargePage => {
                let title = "Request Header Fields Too Large";
                (S::REQUEST_HEADER_FIELDS_TOO_LARGE, Page(title, ""))
            }
            K::NotFoundPage => {
                let text = "The requested resource was not found on this server.";
                (S::NOT_FOUND, Page("Not Found", text))
            }
            K::ServerErrorPage => (S::INTERNAL_SERVER_ERROR, Page("Server Error (500)", "")),
            K::Login(L::MethodNotAllowed) => {
                (S::METHOD_NOT_ALLOWED, login("Only POST is allowed."))
            }
            K::Login(L::ForeignOrigin) => (
                S::FORBIDDEN,
                login("Requests from another site are refused."),
            ),
            K::Login(L::UnsupportedMediaType) => {
                let text = "The content type must be application/json.";
                (S::UNSUPPORTED_MEDIA_TYPE, login(text))
            }
            K::Login(L::TooLarge) => (
                S::PAYLOAD_TOO_LARGE,
                login("The request body is too large."),
            ),
            K::Login(L::Malformed) => {
                let text = "The body must be a JSON object with the strings username and password.";
                (S::BAD_REQUEST, login(text))
            }
            K::Login(L::MalformedForm) => (
                S::BAD_REQUEST,
                login("The form must hold a username and a password."),
            ),
            K::Login(L::InvalidCredentials) => (S::UNAUTHORIZED, login("Invalid credentials")),
            K::Login(L::Throttled(_)) => {
                let text = "Too many failed logins. Try again later.";
                (S::TOO_MANY_REQUESTS, login(text))
            }
            K::Login(L::BodyTimeout) => (
                S::REQUEST_TIMEOUT,
                login("The request body did not come in time."),
            ),
        }
    }

    /// Whether the client asked for a page.
    pub fn is_for_people(&self) -> bool {
        self.renderer.format == Format::Html
    }

    /// The sentence in the body, for a page.
    pub fn sentence(&self) -> String {
        match self.answer().1 {
            ErrorBody::Detail(text) => text,
            ErrorBody::View(text, Some(Some(details))) => format!("{text} ({details})"),
            ErrorBody::View(text, _) | ErrorBody::Login(text) | ErrorBody::Page(text, _) => {
                text.to_owned()
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
            ErrorBody::Login(reason) => HttpResponse::build(status)
                .content_type("application/json")
                .body(format!(r#"{{"success":false,"error":"{reason}"}}"#)),
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
        let (name, value) = match &self.kind {
            ErrorKind::NotAuthenticated | ErrorKind::AuthenticationFailed(_) => {
                match self.challenge.as_deref().map(HeaderValue::from_str) {
                    Some(Ok(challenge)) => (header::WWW_AUTHENTICATE, challenge),
                    // `config` refuses what can't be a header.
                    Some(Err(_)) | None => return answer,
                }
            }
            ErrorKind::Unavailable => (header::RETRY_AFTER, RETRY_AFTER_SECONDS.into()),
            ErrorKind::Throttled(wait) | ErrorKind::Login(LoginRefusal::Throttled(wait)) => {
                (header::RETRY_AFTER, whole_seconds(*wait).into())
            }
            ErrorKind::Login(LoginRefusal::MethodNotAllowed) => {
                (header::ALLOW, HeaderValue::from_static("POST"))
            }
            _ => return answer,
        };
        answer.headers_mut().insert(name, value);
        answer
    }
}

/// Rounded up, as in DRF.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn page(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    let html = format!(
        "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n  <h1>{title}</h1><p>{text}</p>\n</body>\n</html>\n"
    );
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(html)
}
