//! HTTP/2 on one connection, from the preface to its last byte. h2 parses, writes and keeps the windows; each request is a task of its
//! own, so that one that stands still holds up no other. What a request asks of its client is in [`stream`].

pub mod budget;
pub mod date;
pub mod frames;
pub mod io;
pub mod offenders;
pub mod request;
pub mod response;
pub mod stream;
pub mod streams;
pub mod trailers;

use bytes::Bytes;
use gk_config::site::{Host, HttpLimits, Site};
use gk_sys::event_loop::spawn;
use gk_telemetry::Reason as Why;
use gk_wire::log::Level;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::header::DATE;
use http::{Method, Request, Response, StatusCode};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::client::connection::{Conn, Phase};
use crate::client::http2::frames::PREFACE;
use crate::client::http2::io::Http2Io;
use crate::client::http2::stream::Http2Stream;
use crate::client::http2::streams::{RefusedRequest, Streams, Verdict};
use crate::client::incoming::{IncomingBody, ReceivedBody};
use crate::client::requester::Requester;
use crate::front::Front;
use crate::log::{access_log, host_log};
use crate::process::leftovers;
use crate::request::proxy_trust;
use crate::service;

/// Bytes of one response that h2 keeps beside those that the windows let out: enough for a write, and little where the socket stands.
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of all request bodies of a connection that may be on their way. A body is taken as it comes, so one window does for many.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// A request head in all, in the measure of RFC 9113 (6.5.2). `limits` counts after it, and the header map holds some twenty thousand.
const HEAD: (usize, usize) = (64 * 1024, 512 * 1024);

/// Whether the first bytes of a connection are those of HTTP/2, and the host speaks it.
pub fn is_meant(front: &Front, conn: &Conn, bytes: &[u8]) -> bool {
    // Enough of it: what HTTP/1 knows no method like that has.
    let line = bytes.len().min(PREFACE.len());
    if line < b"PRI * HTTP/2.0\r\n".len() || bytes[..line] != PREFACE[..line] || conn.requests.get() > 0 {
        return false;
    }
    if conn.endpoints.tls().is_some_and(|tls| tls.h2) {
        return true;
    }
    let current = front.current();
    let host = &current.compiled.site().hosts[first_host(front, conn)];
    let spoken = if conn.endpoints.https { host.protocols.h2 } else { host.protocols.h2c };
    spoken && host.http2.is_direct(conn.endpoints.https)
}

/// The first host of the connection's address: no host is named yet.
fn first_host(front: &Front, conn: &Conn) -> usize {
    front.current().compiled.first_host(conn.endpoints.local_address())
}

/// Connections of this client that were ended lately because of what they asked for. A proxy speaks for many clients.
fn offences(front: &Front, site: &Site, conn: &Conn) -> u32 {
    let offenders = &front.http2.offenders;
    let client = conn
        .endpoints
        .address
        .filter(|client| !offenders.is_empty() && !proxy_trust::is_proxy(site, *client));
    client.map_or(0, |client| offenders.of(client, front.clock.coarse()))
}

/// A connection among the front's connections of HTTP/2.
struct Listed<'t> {
    front: &'t Front,
    streams: Rc<Streams>,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.streams.close();
        self.front.http2.open.borrow_mut().remove(&self.id);
        self.front.leftovers.add(leftovers::BUFFERS);
    }
}

/// Speaks HTTP/2 until the connection ends. `before`: bytes that were read already.
pub async fn speak(front: &Rc<Front>, conn: &Rc<Conn>, before: Bytes) {
    // The preface is no head of a request.
    conn.enter(Phase::Idle);
    let current = front.current();
    let site = current.compiled.site();
    let host = &site.hosts[first_host(front, conn)];
    let streams =
        Streams::new(conn, front.clock.coarse_cell(), current.generation, offences(front, site, conn));
    front.http2.open.borrow_mut().insert(conn.id, Rc::clone(&streams));
    let listed = Listed { front, streams: Rc::clone(&streams), id: conn.id };
    let most = site.http.http2_requests;
    let longest = host.http2.max_data_frame_len as usize;
    let io = Http2Io::new(conn, &streams, before);
    let mut handshake = pin!(builder(host, &site.http).handshake::<_, Bytes>(io));
    drop(current);
    let begun = poll_fn(|cx| match conn.poll_killed(cx) || streams.verdict().is_some() {
        true => Poll::Ready(None),
        false => handshake.as_mut().poll(cx).map(Some),
    })
    .await;
    match begun {
        Some(Ok(http2)) => {
            let session = Session { front, conn, streams: &streams, most, longest };
            session.run(http2).await;
        }
        Some(Err(error)) => note_error(front, conn, &error),
        None => {}
    }
    if let Some(verdict) = streams.verdict() {
        note_verdict(front, conn, verdict);
    }
    note_refused(front, conn, &streams);
    drop(listed);
}

/// One connection being served.
struct Session<'s> {
    front: &'s Rc<Front>,
    conn: &'s Rc<Conn>,
    streams: &'s Rc<Streams>,
    /// Requests after which the connection takes no more; 0 = any number.
    most: u64,
    /// Most bytes of one DATA frame; 0 = any number.
    longest: usize,
}

impl Session<'_> {
    /// Takes requests until the connection ends, and waits for the tasks of those that are under way.
    async fn run(&self, mut http2: Connection<Http2Io, Bytes>) {
        let ended = poll_fn(|cx| {
            loop {
                if self.conn.poll_killed(cx) || self.streams.verdict().is_some() {
                    http2.abrupt_shutdown(self.streams.verdict().map_or(Reason::NO_ERROR, Verdict::reason));
                    // What the socket takes at once of the farewell.
                    let _ = http2.poll_closed(cx);
                    return Poll::Ready(Ok(()));
                }
                if self.is_to_leave() && self.streams.leave() {
                    http2.graceful_shutdown();
                }
                let accepted = http2.poll_accept(cx);
                note_refused(self.front, self.conn, self.streams);
                match accepted {
                    Poll::Ready(Some(Ok((request, respond)))) => self.start(request, respond),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending if self.streams.verdict().is_some() => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        // Streams that are left see their end, and their tasks with them.
        drop(http2);
        if let Err(error) = ended {
            note_error(self.front, self.conn, &error);
        }
        while !self.streams.are_served() {
            self.streams.served.notified().await;
        }
    }

    /// Whether no further requests are taken: the server stops or drains, another site is in force, or there were enough.
    fn is_to_leave(&self) -> bool {
        self.front.stopping.get()
            // A new connection has one request, as with HTTP/1: a client that cannot ask anything would come back at once.
            || (self.front.draining.get() && self.conn.requests.get() > 0)
            || (self.most != 0 && self.conn.requests.get() >= self.most)
            || self.front.current().generation != self.streams.generation
    }

    /// Starts the task of a request.
    fn start(&self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let stream = self.streams.accept(respond.stream_id().as_u32());
        let front = Rc::clone(self.front);
        let streams = Rc::clone(self.streams);
        let longest = self.longest;
        spawn(host_log::serving(&self.front.names_requests, async move {
            let task = Served { streams, stream };
            serve(front, &task.stream, request, respond, longest).await;
        }));
    }
}

/// The task of a request. However it ends, its stream is told.
struct Served {
    streams: Rc<Streams>,
    stream: Rc<Http2Stream>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.streams.served(&self.stream);
    }
}

/// Serves one request.
async fn serve(
    front: Rc<Front>,
    stream: &Rc<Http2Stream>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    longest: usize,
) {
    let (mut parts, body) = request.into_parts();
    let bodiless = parts.method == Method::HEAD;
    let malformed = request::adapt(&mut parts, !body.is_end_stream()).err();
    let body = ReceivedBody::new(body, &parts.headers, Rc::clone(stream));
    let request = Request::from_parts(parts, IncomingBody::Http2(body));
    let requester = Requester::Http2 { stream: Rc::clone(stream), malformed };
    let mut serving = pin!(service::serve(Rc::clone(&front), requester, request));
    let served = poll_fn(|cx| {
        if let Some(reason) = stream.poll_cut(cx) {
            respond.send_reset(reason);
            return Poll::Ready(None);
        }
        // First, as the client may have taken the request back before it was begun.
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        let served = serving.as_mut().poll(cx);
        if stream.expects_continue.take() {
            let mut head = Response::new(());
            *head.status_mut() = StatusCode::CONTINUE;
            // Who is gone needs none.
            let _ = respond.send_informational(head);
        }
        served.map(Some)
    })
    .await;
    match served {
        Some(Ok(mut response)) => {
            let headers = response.headers_mut();
            if !headers.contains_key(DATE)
                && let Some(date) = front.http2.date.at(front.clock.epoch(front.clock.micros()) as u64)
            {
                headers.insert(DATE, date);
            }
            response::send(stream, respond, response, bodiless, longest).await;
        }
        Some(Err(_)) => respond.send_reset(Reason::CANCEL),
        None => {}
    }
}

/// h2's settings.
fn builder(host: &Host, http: &HttpLimits) -> Builder {
    let mut builder = Builder::new();
    let head = http.limit_request_line + 8 * http.limit_request_field_size;
    builder
        .max_concurrent_streams(host.http2.max_session_streams)
        .initial_window_size(host.http2.window_size)
        .initial_connection_window_size(CONNECTION_WINDOW.max(host.http2.window_size))
        .max_header_list_size(head.clamp(HEAD.0, HEAD.1) as u32)
        .max_send_buffer_size(SEND_BUFFER);
    let errors = host.http2.max_stream_errors;
    builder.max_local_error_reset_streams((errors != 0).then_some(errors as usize));
    builder
}

/// Counts and logs a connection that was ended because its client broke the rules of HTTP/2.
fn note_error(front: &Front, conn: &Rc<Conn>, error: &h2::Error) {
    if error.is_io() || error.is_remote() {
        return;
    }
    if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        return note_verdict(front, conn, Verdict::Flood);
    }
    note_broken(front, conn);
}

/// The same, for whatever rule.
fn note_broken(front: &Front, conn: &Rc<Conn>) {
    // Otherwise the client would meet a reset before it has read why.
    conn.linger.set(true);
    note_refusal(front, conn, 400);
}

/// Counts and logs a connection that was ended by us.
fn note_verdict(front: &Front, conn: &Rc<Conn>, verdict: Verdict) {
    match verdict {
        Verdict::LateHead => return note_refusal(front, conn, 408),
        Verdict::Broken(_) => return note_broken(front, conn),
        Verdict::Flood => {}
    }
    let shared = &front.http2;
    if let Some(client) = conn.endpoints.address {
        shared.offenders.note(client, front.clock.coarse());
    }
    shared.floods.set(shared.floods.get() + 1);
    if shared.floods_noted.is_due() {
        let text = format!(
            "an HTTP/2 connection was ended because its client sends too many frames beside requests, or takes back too many of them; {} were so far",
            shared.floods.get()
        );
        crate::note_code(Level::Warn, "GK0036", Some(&conn.endpoints.client), &text);
    }
}

/// Counts and logs the requests that h2 refused by itself.
fn note_refused(front: &Front, conn: &Conn, streams: &Streams) {
    for RefusedRequest { stream, status } in streams.take_refused() {
        let reason = if status == 503 { Why::Busy } else { Why::Malformed };
        let (_, waited) = stream.waiting();
        front.refused_head(status, reason, waited * 1_000);
        log_refusal(front, &*stream, first_host(front, conn), status);
    }
}

/// Counts and logs what was no request.
fn note_refusal(front: &Front, conn: &Rc<Conn>, status: u16) {
    let reason = if status == 408 { Why::TooSlow } else { Why::Malformed };
    front.refused_head(status, reason, conn.stage().0 * 1000);
    log_refusal(front, &**conn, first_host(front, conn), status);
}

/// Writes the line of what has no head. The preface is the one line of a connection of HTTP/2.
fn log_refusal(front: &Front, connection: &dyn access_log::Connection, host: usize, status: u16) {
    let shown = PREFACE.split(|byte| *byte == b'\r').next().unwrap_or_default();
    front.current().logs.refused(connection, host, front.clock.epoch(front.clock.micros()), status, shown);
}
