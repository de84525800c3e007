//! A response: made of the head and body of an engine, or a page of the front's own. The pages are in `reply`, the pieces of a
//! body in `body`.

use gk_wire::log::Level;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER, SERVER};
use http::request::Parts;
use http::{Method, Response};
use std::future::poll_fn;
use std::time::Duration;

use crate::answer::body::Body;
use crate::answer::reply;
use crate::engine::{BodyStart, COPIED, Exchange, Piece};
use crate::request::refusal::Refusal;

/// Bytes of an unwanted response that are taken before it is cancelled.
const DISCARD: usize = 16 << 20;
/// Time for taking them.
const DISCARD_TIME: Duration = Duration::from_secs(30);

/// The settings that decide about a response.
pub struct ResponseRules<'c> {
    /// The client, for log lines.
    pub client: &'c str,
    /// `header-buffer-size`: bytes of the longest header line.
    pub longest_header: usize,
    /// `WSGIErrorOverride`: pages of the front replace those of the application.
    pub error_override: bool,
    /// An access log wants to see every header.
    pub logged: bool,
}

/// Makes the response. The request's header map becomes the response's: hyper takes it back for the next request.
pub fn respond<X: Exchange + 'static>(
    parts: &mut Parts,
    exchange: X,
    rules: &ResponseRules<'_>,
) -> Response<Body<X>> {
    let (head, body) = exchange.take_head(&mut parts.headers);
    if let Some(bad) = head.bad {
        let text = format!("the application's response has {bad}");
        crate::note(Level::Error, Some(rules.client), &text);
        return page(&Refusal::Internal);
    }
    if head.longest > rules.longest_header {
        let text = format!(
            "a response header of {} bytes is longer than header-buffer-size allows ({})",
            head.longest, rules.longest_header
        );
        crate::note_code(Level::Error, "WSGI0144", Some(rules.client), &text);
        return page(&Refusal::Internal);
    }
    let overridden = rules.error_override && head.status.as_u16() >= 400;
    if head.worker_error || overridden {
        gk_sys::event_loop::spawn(discard(exchange));
        let mut page = reply::plain(head.status).map(|text| Body::whole(text, true));
        if let Some(retry) = parts.headers.remove(RETRY_AFTER) {
            page.headers_mut().insert(RETRY_AFTER, retry);
        }
        return own(page);
    }
    let bodiless = parts.method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304);
    let mut hyper_writes_length = false;
    let body = match body {
        BodyStart::Whole(_) if bodiless => Body::empty(),
        _ if bodiless => {
            // The application runs to its end, as it would for GET; its body is thrown away.
            gk_sys::event_loop::spawn(discard(exchange));
            Body::empty()
        }
        BodyStart::Whole(bytes) => {
            let trusted = head.length.is_none_or(|length| length == bytes.len() as u64);
            // hyper writes the length of a body that it has whole; it becomes a header only for the access log.
            hyper_writes_length = trusted && !bytes.is_empty() && !rules.logged;
            Body::whole(bytes, trusted)
        }
        BodyStart::File(file) => Body::file(file),
        BodyStart::Streamed => Body::streamed(exchange),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    std::mem::swap(headers, &mut parts.headers);
    if let Some(length) = head.length.filter(|_| !hyper_writes_length) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    if head.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if !head.server {
        headers.append(SERVER, HeaderValue::from_static(crate::SOFTWARE));
    }
    if let Some(reason) = head.reason
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason)
    {
        response.extensions_mut().insert(reason);
    }
    response
}

/// The page for a refusal.
pub fn page<X>(refusal: &Refusal) -> Response<Body<X>> {
    own(reply::page(refusal).map(|text| Body::whole(text, true)))
}

/// A page that the front has written itself, in a response's extensions.
#[derive(Clone)]
struct OwnPage;

fn own<X>(mut page: Response<Body<X>>) -> Response<Body<X>> {
    page.extensions_mut().insert(OwnPage);
    named(page)
}

/// Whether the front has written the page itself: an error or a redirection.
pub fn is_own_page<B>(response: &Response<B>) -> bool {
    response.extensions().get::<OwnPage>().is_some()
}

/// Adds the `Server` header.
pub fn named<X>(mut response: Response<Body<X>>) -> Response<Body<X>> {
    response.headers_mut().insert(SERVER, HeaderValue::from_static(crate::SOFTWARE));
    response
}

/// Takes and drops the rest of a body (for `HEAD`). A response without an end is cancelled.
async fn discard<X: Exchange>(exchange: X) {
    let taking = async {
        let mut left = DISCARD;
        while let Some(Ok(Piece::Data(bytes))) = poll_fn(|cx| exchange.poll_piece(cx, COPIED)).await
            && bytes.len() <= left
        {
            left -= bytes.len();
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIME, taking).await;
}
