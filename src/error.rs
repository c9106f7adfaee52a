//! Every answer that is not a success: the one file that knows both a status code and a body.
//!
//! DRF's exceptions (`rest_framework.exceptions`, through `rest_framework.views.exception_handler`), the error bodies of
//! the customer's views, Django's plain error pages (`django.views.defaults`), and the sidecar's own.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};

use crate::db::error::DbError;
use crate::django::negotiation::{Format, NotNegotiated, Renderer};
use crate::django::renderers::write_json_string;
use crate::response;

/// The logger of an outage's cause.
pub const LOGGER: &str = module_path!();

/// What went wrong.
#[derive(Debug)]
pub enum Kind {
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
    /// The database is away, or the service has all it can do: never Django's answer, see "Where we differ" in the README
    Unavailable,
    /// A refused login or logout: a status of its own and the reason
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
    /// Too many of them: the seconds to wait
    Throttled(u64),
    /// A body that did not come in time
    BodyTimeout,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    renderer: Renderer,
    /// Answer a missing authentication with 401 and this `WWW-Authenticate`, as DRF does when its first authenticator
    /// has one.
    challenge: Option<&'static str>,
    /// What the log is told of an outage
    cause: Option<String>,
}

impl Error {
    /// Rendered as JSON, compact.
    pub fn new(kind: Kind) -> Self {
        Error::rendered(kind, Renderer::default())
    }

    /// Rendered as the client asked.
    pub fn rendered(kind: Kind, renderer: Renderer) -> Self {
        Error {
            kind,
            renderer,
            challenge: None,
            cause: None,
        }
    }

    /// With 401 and `WWW-Authenticate` in place of 403 (`APIView.handle_exception`).
    pub fn with_challenge(mut self, challenge: Option<&'static str>) -> Self {
        self.challenge = challenge;
        self
    }

    /// An outage. Its cause is for the log (`middleware/access_log.rs`), and not a word of it for the client.
    pub fn unavailable(error: &DbError, renderer: Renderer) -> Self {
        Error {
            cause: Some(error.to_string()),
            ..Error::rendered(Kind::Unavailable, renderer)
        }
    }
}

impl From<NotNegotiated> for Error {
    fn from(reason: NotNegotiated) -> Self {
        Error::new(match reason {
            NotNegotiated::NotFound => Kind::NotFound,
            NotNegotiated::NotAcceptable => Kind::NotAcceptable,
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

/// The customer's views' own words.
const EXPORT_FAILED: &str = "Failed to export users. Please try again.";
const STATS_FAILED: &str = "Failed to get export statistics";

/// `Retry-After` of an outage, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 5;

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match &self.kind {
            Kind::NotFound | Kind::NotFoundPage => StatusCode::NOT_FOUND,
            Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Kind::NotAuthenticated | Kind::AuthenticationFailed(_) => match self.challenge {
                Some(_) => StatusCode::UNAUTHORIZED,
                None => StatusCode::FORBIDDEN,
            },
            Kind::PermissionDenied | Kind::CsrfFailed(_) => StatusCode::FORBIDDEN,
            Kind::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Kind::ParseError(_) | Kind::BadRequestPage => StatusCode::BAD_REQUEST,
            Kind::HeadTooLargePage => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Kind::ExportFailed(_) | Kind::StatsFailed | Kind::ServerErrorPage => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Kind::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Login(refusal) => match refusal {
                LoginRefusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
                LoginRefusal::ForeignOrigin => StatusCode::FORBIDDEN,
                LoginRefusal::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                LoginRefusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                LoginRefusal::Malformed | LoginRefusal::MalformedForm => StatusCode::BAD_REQUEST,
                LoginRefusal::InvalidCredentials => StatusCode::UNAUTHORIZED,
                LoginRefusal::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
                LoginRefusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            },
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        match &self.kind {
            Kind::BadRequestPage => page(status, "Bad Request (400)", ""),
            Kind::HeadTooLargePage => page(status, "Request Header Fields Too Large", ""),
            Kind::NotFoundPage => page(
                status,
                "Not Found",
                "The requested resource was not found on this server.",
            ),
            Kind::ServerErrorPage => page(status, "Server Error (500)", ""),
            Kind::Login(refusal) => self.login_response(*refusal),
            Kind::ExportFailed(details) => {
                let mut json = br#"{"success":false,"error":""#.to_vec();
                json.extend_from_slice(EXPORT_FAILED.as_bytes());
                json.extend_from_slice(br#"","details":"#);
                match details {
                    Some(details) => write_json_string(&mut json, details),
                    None => json.extend_from_slice(b"null"),
                }
                json.push(b'}');
                response::api(status, self.renderer, &json)
            }
            Kind::StatsFailed => {
                let json = format!(r#"{{"success":false,"error":"{STATS_FAILED}"}}"#);
                response::api(status, self.renderer, json.as_bytes())
            }
            _ => {
                let mut json = b"{\"detail\":".to_vec();
                write_json_string(&mut json, &self.detail());
                json.push(b'}');
                let mut answer = response::api(status, self.renderer, &json);
                if let Kind::NotAuthenticated | Kind::AuthenticationFailed(_) = self.kind
                    && let Some(challenge) = self.challenge
                {
                    answer.headers_mut().insert(
                        header::WWW_AUTHENTICATE,
                        HeaderValue::from_static(challenge),
                    );
                }
                let retry_after = match self.kind {
                    Kind::Unavailable => Some(RETRY_AFTER_SECONDS),
                    Kind::Throttled(seconds) => Some(seconds),
                    _ => None,
                };
                if let Some(seconds) = retry_after {
                    let seconds = HeaderValue::from(seconds);
                    answer.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                answer
            }
        }
    }
}

impl Error {
    /// DRF's `detail`.
    fn detail(&self) -> String {
        match &self.kind {
            Kind::NotFound => "Not found.".into(),
            Kind::NotAcceptable => "Could not satisfy the request Accept header.".into(),
            Kind::NotAuthenticated => "Authentication credentials were not provided.".into(),
            Kind::AuthenticationFailed(detail) => (*detail).into(),
            Kind::PermissionDenied => "You do not have permission to perform this action.".into(),
            Kind::CsrfFailed(reason) => format!("CSRF Failed: {reason}"),
            Kind::MethodNotAllowed(method) => format!("Method \"{method}\" not allowed."),
            Kind::Throttled(1) => "Request was throttled. Expected available in 1 second.".into(),
            Kind::Throttled(seconds) => {
                format!("Request was throttled. Expected available in {seconds} seconds.")
            }
            Kind::ParseError(detail) => detail.clone(),
            _ => "The service is temporarily unavailable.".into(),
        }
    }

    /// Whether the client is to be shown a page.
    pub fn is_for_people(&self) -> bool {
        self.renderer.format == Format::Html
    }

    /// What went wrong, for a page.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The cause of an outage, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What the client is told, without what is around it.
    pub fn sentence(&self) -> String {
        match &self.kind {
            Kind::ExportFailed(details) => match details {
                Some(details) => format!("{EXPORT_FAILED} ({details})"),
                None => EXPORT_FAILED.into(),
            },
            Kind::StatsFailed => STATS_FAILED.into(),
            Kind::ServerErrorPage => "Server Error (500)".into(),
            Kind::BadRequestPage => "Bad Request (400)".into(),
            Kind::NotFoundPage => "Not Found".into(),
            Kind::Login(refusal) => refusal.reason().into(),
            _ => self.detail(),
        }
    }

    fn login_response(&self, refusal: LoginRefusal) -> HttpResponse {
        let reason = refusal.reason();
        let mut answer = HttpResponse::build(self.status_code());
        if refusal == LoginRefusal::MethodNotAllowed {
            answer.insert_header((header::ALLOW, "POST"));
        }
        if let LoginRefusal::Throttled(seconds) = refusal {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        answer
            .content_type("application/json")
            .body(format!(r#"{{"success":false,"error":"{reason}"}}"#))
    }
}

impl LoginRefusal {
    fn reason(self) -> &'static str {
        match self {
            LoginRefusal::MethodNotAllowed => "Only POST is allowed.",
            LoginRefusal::ForeignOrigin => "Requests from another site are refused.",
            LoginRefusal::UnsupportedMediaType => "The content type must be application/json.",
            LoginRefusal::TooLarge => "The request body is too large.",
            LoginRefusal::Malformed => {
                "The body must be a JSON object with the strings username and password."
            }
            LoginRefusal::MalformedForm => "The form must hold a username and a password.",
            LoginRefusal::InvalidCredentials => "Invalid credentials",
            LoginRefusal::Throttled(_) => "Too many failed logins. Try again later.",
            LoginRefusal::BodyTimeout => "The request body did not come in time.",
        }
    }
}

/// Rounded up, as in DRF.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Django's `ERROR_PAGE_TEMPLATE` (`django/views/defaults.py`); `details` is the paragraph's text.
fn page(status: StatusCode, title: &str, details: &str) -> HttpResponse {
    let html = format!(
        "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n  <h1>{title}</h1><p>{details}</p>\n</body>\n</html>\n"
    );
    HttpResponseBuilder::new(status)
        .content_type("text/html; charset=utf-8")
        .body(html)
}
