//! Every answer that the front makes itself, in one place: which refusal is which status, and the page that says so.
//! Pages hold no detail of what went wrong inside; that is in the error log.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::worker::pool::Turned;

/// The methods that an application may be asked with, as `Allow` lists them.
pub const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why a request with two framings is refused.
pub const BOTH_FRAMINGS: &str = "The request has both a Content-Length and a Transfer-Encoding.";

/// Why a request that no link carries is refused.
pub const LONG_IN_ALL: &str =
    "The request line and the header fields are longer in all than the server can pass on.";

/// Why a request with a strange length is refused.
pub const BAD_LENGTH: &str = "The Content-Length is malformed.";

/// Why the front answers in place of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400: what is wrong with the request.
    Bad(&'static str),
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 301 to the same path with a slash.
    Slash(String),
    /// 405: the methods that are allowed.
    Method(&'static str),
    /// 411: a chunked body where `WSGIChunkedRequest` is off.
    LengthRequired,
    /// 413.
    TooLarge,
    /// 414.
    LongLine,
    /// 417: an expectation other than 100-continue.
    Expectation,
    /// 431: which limit.
    LongHead(&'static str),
    /// 416: the size of the file.
    Range(u64),
    /// 500.
    Internal,
    /// 501: a transfer coding other than chunked.
    Coding,
    /// 502: the worker died on the request.
    WorkerDied,
    /// 503.
    Turned(Turned),
    /// 503: no room for the request body, or no descriptor for a file.
    NoSpace,
    /// 504: no response head in time.
    Late,
    /// The client is gone; nobody to answer.
    Gone,
}

impl Refusal {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) | Self::Gone => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Slash(_) => StatusCode::MOVED_PERMANENTLY,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::LongLine => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::LongHead(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::WorkerDied => StatusCode::BAD_GATEWAY,
            Self::Turned(_) | Self::NoSpace => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn sentence(&self) -> &'static str {
        match self {
            Self::Bad(why) | Self::LongHead(why) => why,
            Self::Gone => "The client closed the connection.",
            Self::Forbidden => "You are not allowed to see this page.",
            Self::NotFound => "There is nothing at this address.",
            Self::Slash(_) => "The page has moved.",
            Self::Method(_) => "This method is not allowed here.",
            Self::LengthRequired => "A request body needs a Content-Length here.",
            Self::TooLarge => "The request body is larger than allowed here.",
            Self::Expectation => "This expectation cannot be met.",
            Self::LongLine => "The request line is longer than allowed here.",
            Self::Range(_) => "The file has no such range.",
            Self::Internal => "The server met an error and could not answer the request.",
            Self::Coding => "This transfer coding is not supported.",
            Self::WorkerDied => "The application process ended while it was serving the request.",
            Self::Turned(_) | Self::NoSpace => "The server is busy. Please try again in a moment.",
            Self::Late => "The application did not answer in time.",
        }
    }

    /// The line of the error log for a request that is wrong in itself: mod_wsgi has codes for a few.
    pub fn note(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Coding => ("WSGI0138", "the request has a transfer coding other than chunked"),
            Self::LengthRequired => {
                ("WSGI0139", "the request has a chunked body, and WSGIChunkedRequest is Off here")
            }
            Self::Bad(BOTH_FRAMINGS) => {
                ("WSGI0140", "the request has both a Content-Length and a Transfer-Encoding")
            }
            Self::Bad(BAD_LENGTH) => ("WSGI0141", "the request's Content-Length is malformed"),
            _ => return None,
        })
    }

    /// Whether the rest of the request is not worth reading: the connection closes after the answer.
    pub fn closes(&self) -> bool {
        matches!(
            self,
            Self::Bad(_)
                | Self::LengthRequired
                | Self::TooLarge
                | Self::LongLine
                | Self::Expectation
                | Self::LongHead(_)
                | Self::Coding
        )
    }
}

/// The page.
pub fn page(refusal: &Refusal) -> Response<Bytes> {
    let status = refusal.status();
    let mut response = Response::new(text(status, refusal.sentence()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=iso-8859-1"));
    match refusal {
        Refusal::Turned(_) | Refusal::NoSpace => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Refusal::Method(allowed) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        Refusal::Slash(to) => {
            if let Ok(to) = HeaderValue::from_str(to) {
                headers.insert(LOCATION, to);
            }
        }
        Refusal::Range(size) => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                headers.insert(http::header::CONTENT_RANGE, value);
            }
        }
        _ => {}
    }
    if refusal.closes() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer to `OPTIONS *`.
pub fn options() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// The page of a status that a worker gave without a body of its own.
pub fn plain(status: StatusCode) -> Response<Bytes> {
    let sentence = if status.is_server_error() {
        "The server met an error and could not answer the request."
    } else {
        "The request could not be answered."
    };
    let mut response = Response::new(text(status, sentence));
    *response.status_mut() = status;
    let html = HeaderValue::from_static("text/html; charset=iso-8859-1");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

fn text(status: StatusCode, sentence: &str) -> Bytes {
    let reason = status.canonical_reason().unwrap_or("Error");
    format!(
        "<!DOCTYPE html>\n<html><head>\n<title>{} {reason}</title>\n</head><body>\n<h1>{reason}</h1>\n<p>{sentence}</p>\n</body></html>\n",
        status.as_u16()
    )
    .into()
}
