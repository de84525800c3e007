//! HTTP/1 on one connection, from its first byte to its last. hyper parses and writes; an idle connection drops hyper and its
//! buffers and keeps only its socket.

pub mod chunks;
pub mod framing;
pub mod heads;
pub mod io;
pub mod straight;

use bytes::Bytes;
use gk_config::site::HttpLimits;
use gk_telemetry::Reason;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

use crate::client::accept::moving;
use crate::client::addresses::AddressPlace;
use crate::client::connection::{Conn, Phase};
use crate::client::http1::framing::SHOWN;
use crate::client::http1::io::ClientIo;
use crate::client::http2;
use crate::client::incoming::IncomingBody;
use crate::client::proxied;
use crate::client::requester::Requester;
use crate::client::tls::handshake;
use crate::front::Front;
use crate::process::leftovers;
use crate::service;

/// Idle limit while the rest of a refused request is read and dropped. In all that is the limit for a client that was too slow before:
/// as with Apache, it holds its place no longer.
const LINGER: Duration = Duration::from_secs(2);
/// Limit in all for reading the rest otherwise.
const LINGER_IN_ALL: Duration = Duration::from_secs(30);

/// Serves a connection from its first byte to its last. `place`: its place among those of its address.
pub async fn tend(front: Rc<Front>, conn: Rc<Conn>, place: Option<AddressPlace>) {
    let mut counted = Counted { front: &front, conn: &conn, place };
    if conn.endpoints.proxied {
        if Box::pin(proxied::receive(&front, &conn)).await.is_err() {
            return;
        }
        let current = front.current();
        let Ok(place) = front.addresses.admit(current.compiled.site(), conn.endpoints.address) else {
            return;
        };
        counted.place = place;
    }
    let mut before = Bytes::new();
    let secured = !conn.endpoints.https || Box::pin(handshake::shake(&front, &conn)).await;
    loop {
        if !secured {
            break;
        }
        if before.is_empty() || conn.is_in_head() {
            if before.is_empty() && passes_on(&front, &conn).await {
                break;
            }
            before = match heads::receive(&front, &conn, before).await {
                Ok(head) => head,
                Err(part) => {
                    note_refusal(&front, &conn, None, first_line(&part));
                    break;
                }
            };
            if http2::is_meant(&front, &conn, &before) {
                Box::pin(http2::speak(&front, &conn, before)).await;
                break;
            }
            conn.begin_again();
        }
        // Boxed, so that a sleeping connection does not hold the memory of it.
        let Some(rest) = Box::pin(speak(&front, &conn, before)).await else { break };
        front.leftovers.add(leftovers::BUFFERS);
        before = rest;
    }
    conn.finish_entry();
    conn.say_end();
    if conn.linger.get() {
        conn.enter(Phase::Ending);
        Box::pin(linger(&front, &conn)).await;
    }
    drop(counted);
}

/// A connection among those that the front counts. However its task ends, it is removed and its last response is logged.
struct Counted<'t> {
    front: &'t Front,
    conn: &'t Conn,
    place: Option<AddressPlace>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.conn.finish_entry();
        self.front.conns.borrow_mut().remove(&self.conn.id);
        self.front.leftovers.add(leftovers::BUFFERS + self.conn.stage().1.min(leftovers::BODY));
        self.front.conn_ended.notify_waiters();
    }
}

/// Waits for the next byte where the connection may then go to another process, and returns whether it has.
async fn passes_on(front: &Rc<Front>, conn: &Conn) -> bool {
    if front.passing.get().is_none() {
        return false;
    }
    conn.doze();
    let passes = heads::is_readable(front, conn).await && moving::wants(front, conn);
    conn.wake_up();
    passes && moving::pass(front, conn)
}

/// Speaks HTTP until the connection ends (`None`) or its client has sent nothing for a while, between requests or within a head; then
/// returns the bytes that were read and not used.
async fn speak(front: &Rc<Front>, conn: &Rc<Conn>, before: Bytes) -> Option<Bytes> {
    // What was read stays here.
    let may_pass = before.is_empty() || conn.is_in_head();
    let builder = builder(&front.current().compiled.site().http);
    let service = {
        let (front, conn) = (Rc::clone(front), Rc::clone(conn));
        service_fn(move |mut request: Request<Incoming>| {
            if let Some(target) = conn.take_raw_target() {
                request.extensions_mut().insert(target);
            }
            let requester = Requester::Http1(Rc::clone(&conn));
            service::serve(Rc::clone(&front), requester, request.map(IncomingBody::Http1))
        })
    };
    let mut http = builder.serve_connection(TokioIo::new(ClientIo::new(conn, before)), service);
    // A request that waits in the socket was sent before anybody could know; it is read first, and its response is the last. Where nothing
    // hurries, any client is told by a head, also one that is in the middle of a response whose head says nothing of it.
    let may_stay = || front.is_patient.get() || conn.is_idle() && conn.has_bytes();
    let must_end = || front.stopping.get() && !may_stay();
    let mut ending = false;
    let sleeps = poll_fn(|cx| {
        if conn.poll_killed(cx) {
            return Poll::Ready(false);
        }
        if may_pass && moving::wants(front, conn) {
            return Poll::Ready(true);
        }
        // It reads first: hyper closes a connection at once that has read nothing, although a request may wait in its buffer.
        let mut polled = Pin::new(&mut http).poll(cx);
        if polled.is_pending() && must_end() && !std::mem::replace(&mut ending, true) {
            // If a request has begun, its response tells the client that the connection ends.
            Pin::new(&mut http).graceful_shutdown();
            polled = Pin::new(&mut http).poll(cx);
        }
        match polled {
            Poll::Pending if !ending && conn.may_sleep() => Poll::Ready(true),
            other => other.map(|_| false),
        }
    })
    .await;
    let parts = http.into_parts();
    let io = parts.io.into_inner();
    if sleeps {
        let pending = io.pending();
        // Without bytes in it, the buffer would still be kept, for as long as the connection sleeps. Those of a head are few.
        return Some(match parts.read_buf.is_empty() && pending.is_empty() {
            true => Bytes::new(),
            false => [parts.read_buf, pending].concat().into(),
        });
    }
    note_refusal(front, conn, io.refused(), io.shown());
    None
}

/// The request line in the bytes of a head, or what there is of it.
fn first_line(head: &[u8]) -> &[u8] {
    let line = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    &line[..line.len().min(SHOWN)]
}

/// Counts and logs a request that was refused before its head was complete: hyper did not understand it, or it came too slowly.
fn note_refusal(front: &Front, conn: &Rc<Conn>, refused: Option<u16>, shown: &[u8]) {
    let Some(status) = refused.or(conn.is_late_head().then_some(408)) else { return };
    // Otherwise the client would meet a reset before it has read the answer.
    conn.linger.set(true);
    let reason = if status == 408 { Reason::TooSlow } else { Reason::Malformed };
    front.refused_head(status, reason, conn.stage().0 * 1000);
    let current = front.current();
    let host = current.compiled.first_host(conn.endpoints.local_address());
    current.logs.refused(&**conn, host, front.clock.epoch(front.clock.micros()), status, shown);
}

/// Reads and drops the rest of a refused request, so that the client can read the answer (RFC 9112, 9.6).
async fn linger(front: &Front, conn: &Rc<Conn>) {
    let mut io = ClientIo::to_drop(conn);
    let mut sink = vec![0; 16 * 1024];
    let began = Instant::now();
    loop {
        let bound = if front.stopping.get() || conn.is_timed_out() { LINGER } else { LINGER_IN_ALL };
        let left = bound.saturating_sub(began.elapsed()).min(LINGER);
        if left.is_zero()
            || !matches!(tokio::time::timeout(left, io.read(&mut sink)).await, Ok(Ok(n)) if n > 0)
        {
            return;
        }
    }
}

/// hyper's settings.
fn builder(http: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // hyper applies no timeout: the ticker does (`timeouts`).
    // Without writev a head and its small body leave in one plain send; large pieces go past hyper (`straight`).
    builder.header_read_timeout(None).keep_alive(http.keep_alive).half_close(true).writev(false);
    // hyper counts up to 100 fields without allocating; `limits` counts after it.
    if http.limit_request_fields == 0 || http.limit_request_fields > 100 {
        // The header map panics above some twenty thousand.
        let most = if http.limit_request_fields == 0 { 10_000 } else { http.limit_request_fields };
        builder.max_headers(most.min(20_000));
    }
    let head = http.limit_request_line + 8 * http.limit_request_field_size;
    builder.max_buf_size(head.clamp(64 * 1024, 1 << 20));
    builder
}
