//! A response as hyper takes it: made of a worker's head and body, or a page of ours. Which page a refusal gives is
//! `reply`'s, how a body comes piece by piece is `body`'s.

use bytes::Bytes;
use gk_wire::log::Level;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER, SERVER};
use http::request::Parts;
use http::{Method, Response};
use std::rc::Rc;

use crate::answer::body::ResponseBody;
use crate::answer::reply::{self, Refusal};
use crate::client::connection::Conn;
use crate::front::Routed;
use crate::worker::exchange::{Begun, Early, Exchange};

/// Turns a worker's head into the response. The map of the request's headers, which nobody needs any more, becomes that of
/// the response: hyper takes it back for the next request. `logged`: an access log wants to see every header.
pub fn respond(
    conn: &Rc<Conn>,
    parts: &mut Parts,
    exchange: Exchange,
    routed: &Routed,
    logged: bool,
) -> Response<ResponseBody> {
    let Begun { head, body } = exchange.begun(&mut parts.headers);
    if let Some(bad) = head.bad {
        let text = format!("the application's response has {bad}");
        crate::note(Level::Error, Some(&conn.ends.client), &text);
        return page(conn, &Refusal::Internal);
    }
    let longest = routed.app.as_ref().map_or(usize::MAX, |(pool, _)| pool.limits().header_line);
    if head.longest > longest {
        let text = format!(
            "a response header of {} bytes is longer than header-buffer-size allows ({longest})",
            head.longest
        );
        crate::note_code(Level::Error, "WSGI0144", Some(&conn.ends.client), &text);
        return page(conn, &Refusal::Internal);
    }
    let overridden = routed.target.settings.error_override && head.status.as_u16() >= 400;
    if head.worker_error || overridden {
        tokio::task::spawn_local(exchange.discard());
        let mut page = reply::plain(head.status).map(|text| ResponseBody::whole(conn, text, true));
        if let Some(retry) = parts.headers.remove(RETRY_AFTER) {
            page.headers_mut().insert(RETRY_AFTER, retry);
        }
        return named(page);
    }
    let bodiless = parts.method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304);
    let mut told = false;
    let body = match body {
        Early::Whole(_) if bodiless => ResponseBody::nothing(conn),
        _ if bodiless => {
            // The application runs to its end, as it would for GET; nobody reads what it says.
            tokio::task::spawn_local(exchange.discard());
            ResponseBody::nothing(conn)
        }
        Early::Whole(bytes) => {
            let trusted = head.length.is_none_or(|length| length == bytes.len() as u64);
            // hyper writes the length of what it has whole; a header is made of it where somebody else wants to see it.
            told = trusted && !bytes.is_empty() && !logged;
            ResponseBody::whole(conn, bytes, trusted)
        }
        Early::File(file) => ResponseBody::file(conn, file),
        Early::More => ResponseBody::worker(conn, exchange),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    std::mem::swap(headers, &mut parts.headers);
    if let Some(length) = head.length.filter(|_| !told) {
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

/// A page of ours.
pub fn page(conn: &Rc<Conn>, refusal: &Refusal) -> Response<ResponseBody> {
    named(reply::page(refusal).map(|text: Bytes| ResponseBody::whole(conn, text, true)))
}

/// With the `Server` header.
pub fn named(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(SERVER, HeaderValue::from_static(crate::SOFTWARE));
    response
}
