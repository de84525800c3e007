//! The client's end of one request: what the path of a request asks about it, whatever HTTP is spoken. An HTTP/1 connection is its
//! own requester, as it has one request at a time.

use std::future::Future;
use std::rc::Rc;

use crate::client::connection::{Conn, Phase};
use crate::client::endpoints::Endpoints;
use crate::engine;
use crate::log::access_log::{self, Entry};

/// The client's end of one request.
#[derive(Clone)]
pub enum Requester {
    /// An HTTP/1 connection.
    Http1(Rc<Conn>),
}

impl Requester {
    /// Addresses of both ends of the connection.
    pub fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Http1(conn) => &conn.endpoints,
        }
    }

    /// Number of the connection, unique in this front's life.
    pub fn connection_id(&self) -> u64 {
        match self {
            Self::Http1(conn) => conn.id,
        }
    }

    /// Requests begun on the connection.
    pub fn requests(&self) -> u64 {
        match self {
            Self::Http1(conn) => conn.requests.get(),
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
        }
    }

    /// Whether the head carried both `Content-Length` and `Transfer-Encoding`, or a length that cannot be followed.
    pub fn ambiguous_framing(&self) -> bool {
        match self {
            Self::Http1(conn) => conn.ambiguous_framing(),
        }
    }

    /// Receives the request body, for a host by its index: meanwhile the client is waited for, afterwards the server.
    pub async fn receive<T, E>(&self, host: usize, body: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        match self {
            Self::Http1(conn) => {
                conn.body_host.set(host as u32);
                conn.receive(body).await
            }
        }
    }

    /// Milliseconds that a write of the response may stall.
    pub fn limit_writes(&self, milliseconds: u64) {
        match self {
            Self::Http1(conn) => conn.write_limit.set(milliseconds),
        }
    }

    /// The rest of the request is not worth reading.
    pub fn refuse_rest(&self) {
        match self {
            Self::Http1(conn) => conn.linger.set(true),
        }
    }

    /// Whether the response has to say that the connection closes. `last`: no further request is taken on it.
    pub fn says_close(&self, last: bool) -> bool {
        match self {
            Self::Http1(conn) => last || conn.linger.get(),
        }
    }

    /// A response head goes out.
    pub fn begin_response(&self) {
        match self {
            Self::Http1(conn) => conn.begin_response(),
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
        }
    }

    /// A response that the end of the connection delimits is broken off: it must not look complete.
    pub fn break_off(&self) {
        match self {
            Self::Http1(conn) => conn.reset_on_close(),
        }
    }

    /// For the queue of an engine.
    pub fn client(&self) -> Rc<dyn engine::Client> {
        match self {
            Self::Http1(conn) => Rc::<Conn>::clone(conn),
        }
    }

    /// For the access log.
    pub fn connection(&self) -> Rc<dyn access_log::Connection> {
        match self {
            Self::Http1(conn) => Rc::<Conn>::clone(conn),
        }
    }
}
