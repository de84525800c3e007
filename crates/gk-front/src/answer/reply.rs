//! The pages that the front writes itself: for a refusal, for `OPTIONS *`, for a worker's status without a body. They hold no
//! detail of what went wrong inside; that is in the error log.

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};

use crate::request::refusal::{METHODS, Refusal};

/// The page for a refusal.
pub fn page(refusal: &Refusal) -> Response<Bytes> {
    let status = refusal.status();
    let mut response = Response::new(text(status, refusal.sentence()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, html());
    match refusal {
        Refusal::Busy(seconds) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
        }
        Refusal::NoSpace => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Refusal::Method(allowed) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        Refusal::Unauthorized(challenge) => {
            if let Ok(value) = HeaderValue::from_bytes(challenge.as_bytes()) {
                headers.insert(WWW_AUTHENTICATE, value);
            }
        }
        Refusal::Slash(to) => {
            if let Ok(to) = HeaderValue::from_str(to) {
                headers.insert(LOCATION, to);
            }
        }
        Refusal::Moved(_, to) => {
            headers.insert(LOCATION, to.clone());
        }
        Refusal::Range(size) => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                headers.insert(CONTENT_RANGE, value);
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

/// The page for a status that a worker gave without a body of its own.
pub fn plain(status: StatusCode) -> Response<Bytes> {
    let sentence = if status.is_server_error() {
        "The server met an error and could not answer the request."
    } else {
        "The request could not be answered."
    };
    let mut response = Response::new(text(status, sentence));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, html());
    response
}

/// Media type of the pages.
pub fn html() -> HeaderValue {
    HeaderValue::from_static("text/html; charset=iso-8859-1")
}

fn text(status: StatusCode, sentence: &str) -> Bytes {
    let reason = status.canonical_reason().unwrap_or("Error");
    format!(
        "<!DOCTYPE html>\n<html><head>\n<title>{} {reason}</title>\n</head><body>\n<h1>{reason}</h1>\n<p>{sentence}</p>\n</body></html>\n",
        status.as_u16()
    )
    .into()
}
