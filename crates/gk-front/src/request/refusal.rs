//! Every reason for which the front itself answers a request: the status, the sentence for the client, the line of the error
//! log. The page around the sentence is made in `answer/reply.rs`.

use gk_telemetry::Reason;
use http::StatusCode;
use http::header::HeaderValue;

/// The methods that are passed to applications, as `Allow` lists them.
pub const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The sentence about a request with two framings.
pub const BOTH_FRAMINGS: &str = "The request has both a Content-Length and a Transfer-Encoding.";

/// The sentence about a head that does not fit into one frame.
pub const LONG_HEAD: &str =
    "The request line and the header fields together are longer than the server can pass on.";

/// The sentence about a malformed length.
pub const BAD_LENGTH: &str = "The Content-Length is malformed.";

/// Why the front answers in place of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400, with what is wrong.
    Bad(&'static str),
    /// 401, with the challenge.
    Unauthorized(String),
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 301 to the same path with a slash.
    Slash(String),
    /// Another address, by a rule.
    Moved(StatusCode, HeaderValue),
    /// An error, by a rule.
    Status(StatusCode),
    /// 405, with the methods that are allowed.
    Method(&'static str),
    /// 408: the body did not come in time. HTTP/1 has none of its own: its connection ends.
    TooSlow,
    /// 411: a chunked body where `WSGIChunkedRequest` is off.
    LengthRequired,
    /// 413.
    TooLarge,
    /// 414.
    LongLine,
    /// 417: an expectation other than 100-continue.
    Expectation,
    /// 431, with the limit.
    LongHead(&'static str),
    /// 416, with the size of the file.
    Range(u64),
    /// 500.
    Internal,
    /// 501: a transfer coding other than chunked.
    Coding,
    /// 502: the worker died while it served the request.
    WorkerDied,
    /// 503: no worker took the request, with the seconds after which one may.
    Busy(u32),
    /// 503: no room for the request body, or no descriptor for a file.
    NoSpace,
    /// 504: no response head in time.
    TimedOut,
    /// The client is gone: there is nobody to answer.
    ClientGone,
}

impl Refusal {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) | Self::ClientGone => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Slash(_) => StatusCode::MOVED_PERMANENTLY,
            Self::Moved(status, _) | Self::Status(status) => *status,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::LongLine => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::LongHead(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::WorkerDied => StatusCode::BAD_GATEWAY,
            Self::Busy(_) | Self::NoSpace => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The reason in the figures.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Bad(_)
            | Self::LengthRequired
            | Self::TooLarge
            | Self::LongLine
            | Self::Expectation
            | Self::LongHead(_)
            | Self::Coding => Reason::Malformed,
            Self::Unauthorized(_) | Self::Forbidden => Reason::Denied,
            Self::NotFound => Reason::NotFound,
            Self::Slash(_) | Self::Range(_) => Reason::File,
            Self::Moved(..) | Self::Status(_) => Reason::Rule,
            Self::Method(_) => Reason::Method,
            Self::TooSlow => Reason::TooSlow,
            Self::Internal => Reason::Internal,
            Self::WorkerDied => Reason::WorkerDied,
            Self::Busy(_) => Reason::Busy,
            Self::NoSpace => Reason::NoSpace,
            Self::TimedOut => Reason::TimedOut,
            Self::ClientGone => Reason::ClientGone,
        }
    }

    /// The sentence for the client. It tells nothing about the inside of the server; that is in the error log.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Bad(why) | Self::LongHead(why) => why,
            Self::ClientGone => "The client closed the connection.",
            Self::Unauthorized(_) => "This page is for users who give their name and password.",
            Self::Forbidden => "You are not allowed to see this page.",
            Self::NotFound => "There is nothing at this address.",
            Self::Slash(_) | Self::Moved(..) => "The page has moved.",
            Self::Status(StatusCode::NOT_FOUND) => Self::NotFound.sentence(),
            Self::Status(StatusCode::FORBIDDEN) => Self::Forbidden.sentence(),
            Self::Status(StatusCode::MISDIRECTED_REQUEST) => {
                "The client needs a new connection for this request as the requested host name does not match \
                 the Server Name Indication (SNI) in use for this connection."
            }
            Self::Status(StatusCode::GONE) => "There is nothing at this address any more.",
            Self::Status(_) => "The request could not be answered.",
            Self::Method(_) => "This method is not allowed here.",
            Self::TooSlow => "The request body did not come in time.",
            Self::LengthRequired => "A request body needs a Content-Length here.",
            Self::TooLarge => "The request body is larger than allowed here.",
            Self::Expectation => "This expectation cannot be met.",
            Self::LongLine => "The request line is longer than allowed here.",
            Self::Range(_) => "The file has no such range.",
            Self::Internal => "The server met an error and could not answer the request.",
            Self::Coding => "This transfer coding is not supported.",
            Self::WorkerDied => "The application process ended while it was serving the request.",
            Self::Busy(_) | Self::NoSpace => "The server is busy. Please try again in a moment.",
            Self::TimedOut => "The application did not answer in time.",
        }
    }

    /// Code and text for the error log, for the malformed requests that mod_wsgi has a code for.
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

    /// Whether the connection closes after the answer because the rest of the request is not worth reading.
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
