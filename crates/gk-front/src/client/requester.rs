//! The client's end of one request: what the path of a request asks about it, whatever HTTP is spoken. An HTTP/1 connection is its
//! own requester, as it has one request at a time; of an HTTP/2 connection each stream is one.

use http::header::{CONNECTION, HeaderMap, HeaderValue};
use std::future::Future;
use std::rc::Rc;

use crate::client::connection::{Conn, Phase};
use crate::client::endpoints::Endpoints;
use crate::client::http2::stream::Http2Stream;
use crate::engine;
use crate::log::access_log::{self, Entry};

/// The client's end of one request.
#[derive(Clone)]
pub enum Requester {
    /// An HTTP/1 connection.
    Http1(Rc<Conn>),
    /// A stream of an HTTP/2 connection.
    Http2 {
        /// The stream.
        stream: Rc<Http2Stream>,
        /// Why its request is malformed, if it is.
        malformed: Option<&'static str>,
    },
}

impl Requester {
    /// Addresses of both ends of the connection.
    pub fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Http1(conn) => &conn.endpoints,
            Self::Http2 { stream, .. } => &stream.conn.endpoints,
        }
    }

    /// Number of the connection, unique in this front's life.
    pub fn connection_id(&self) -> u64 {
        match self {
            Self::Http1(conn) => conn.id,
            Self::Http2 { stream, .. } => stream.conn.id,
        }
    }

    /// Number of the stream on the connection; 0 with HTTP/1.
    pub fn stream(&self) -> u32 {
        match self {
            Self::Http1(_) => 0,
            Self::Http2 { stream, .. } => stream.id,
        }
    }

    /// Whether its response was cut off because the client held the last request thread.
    pub fn is_given_up(&self) -> bool {
        match self {
            Self::Http1(conn) => conn.is_given_up(),
            Self::Http2 { stream, .. } => stream.is_given_up(),
        }
    }

    /// Requests begun on the connection.
    pub fn requests(&self) -> u64 {
        match self {
            Self::Http1(conn) => conn.requests.get(),
            Self::Http2 { stream, .. } => stream.conn.requests.get(),
        }
    }

    /// The request is being served.
    pub fn begin(&self, has_body: bool) {
        match self {
            Self::Http1(conn) => {
                conn.enter(Phase::Serving);
                conn.requests.set(conn.requests.get() + 1);
                conn.linger.set(has_body);
            }
            // It was counted when its stream was accepted.
            Self::Http2 { .. } => {}
        }
    }

    /// Microseconds that the head of the request was on its way, from its first byte on. That of HTTP/2 comes in one or few frames.
    pub fn take_head_time(&self) -> u64 {
        match self {
            Self::Http1(conn) => conn.take_head_time(),
            Self::Http2 { .. } => 0,
        }
    }

    /// Whether the head carried both `Content-Length` and `Transfer-Encoding`, or a length that cannot be followed.
    pub fn ambiguous_framing(&self) -> bool {
        match self {
            Self::Http1(conn) => conn.ambiguous_framing(),
            Self::Http2 { .. } => false,
        }
    }

    /// The sentence about a request that is malformed as none of HTTP/1 can be.
    pub fn malformed(&self) -> Option<&'static str> {
        match self {
            Self::Http1(_) => None,
            Self::Http2 { malformed, .. } => *malformed,
        }
    }

    /// Receives the request body, for a host by its index: meanwhile the client is waited for, afterwards the server.
    pub async fn receive<T, E>(&self, host: usize, body: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        match self {
            Self::Http1(conn) => {
                conn.body_host.set(host as u32);
                conn.receive(body).await
            }
            Self::Http2 { stream, .. } => {
                stream.body_host.set(host as u32);
                stream.receive(body).await
            }
        }
    }

    /// Milliseconds that a write of the response may stall.
    pub fn limit_writes(&self, milliseconds: u64) {
        match self {
            Self::Http1(conn) => conn.write_limit.set(milliseconds),
            Self::Http2 { stream, .. } => stream.write_limit.set(milliseconds),
        }
    }

    /// The rest of the request is not worth reading. HTTP/2 says so to the client, and the connection goes on.
    pub fn refuse_rest(&self) {
        match self {
            Self::Http1(conn) => conn.linger.set(true),
            Self::Http2 { .. } => {}
        }
    }

    /// Makes a response say that the connection closes. `last`: no further request is taken on it. A response of HTTP/2 says nothing
    /// about its connection.
    pub fn mark_close(&self, last: bool, headers: &mut HeaderMap) {
        match self {
            Self::Http1(conn) if last || conn.linger.get() => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Http1(_) => {}
            Self::Http2 { .. } => drop(headers.remove(CONNECTION)),
        }
    }

    /// A response head goes out.
    pub fn begin_response(&self) {
        match self {
            Self::Http1(conn) => conn.begin_response(),
            Self::Http2 { .. } => {}
        }
    }

    /// The end of a response went out. `entry`: its access-log entry, which waits for the last byte.
    pub fn end_response(&self, entry: Option<Box<Entry>>) {
        match self {
            Self::Http1(conn) => {
                if let Some(entry) = entry {
                    conn.park_entry(entry);
                }
                conn.end_response();
            }
            Self::Http2 { stream, .. } => {
                if let Some(entry) = entry {
                    stream.park_entry(entry);
                }
            }
        }
    }

    /// A response that the end of the connection delimits is broken off: it must not look complete.
    pub fn break_off(&self) {
        match self {
            Self::Http1(conn) => conn.reset_on_close(),
            // Its stream is reset.
            Self::Http2 { .. } => {}
        }
    }

    /// For the queue of an engine.
    pub fn client(&self) -> Rc<dyn engine::Client> {
        match self {
            Self::Http1(conn) => Rc::<Conn>::clone(conn),
            Self::Http2 { stream, .. } => Rc::<Http2Stream>::clone(stream),
        }
    }

    /// For the access log.
    pub fn connection(&self) -> Rc<dyn access_log::Connection> {
        match self {
            Self::Http1(conn) => Rc::<Conn>::clone(conn),
            Self::Http2 { stream, .. } => Rc::<Http2Stream>::clone(stream),
        }
    }
}
