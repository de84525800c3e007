//! Clients of HTTP/2: one that keeps the rules, and one that sends any frames.

use super::{FakeWorker, Frame, PATIENCE, Running};
use bytes::Bytes;
use gk_config::site::{AccessLog, LogForm, Site};
pub use gk_front::client::http2::frames::kind::*;
pub use gk_front::client::http2::frames::{ACK, END_HEADERS, END_STREAM};
use gk_front::client::http2::frames::{FrameHead, HEAD, PREFACE};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A client that keeps the rules; its event loop runs in a thread.
pub struct Http2Client {
    handle: Handle,
    send: SendRequest<Bytes>,
    /// Ready when the connection has ended.
    pub ended: oneshot::Receiver<Result<(), h2::Error>>,
    _stop: oneshot::Sender<()>,
}

/// A response, up to its end or to what broke it off.
#[derive(Debug)]
pub struct Http2Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// It ended with a reset.
    pub reset: Option<Reason>,
}

impl Http2Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Http2Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::with(address, Builder::new())
    }

    /// A client with settings of its own.
    pub fn with(address: SocketAddr, builder: Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || runtime.block_on(stopped));
        let send = handle.block_on(async {
            let socket = tokio::net::TcpStream::connect(address).await.unwrap();
            let (send, connection) = builder.handshake::<_, Bytes>(socket).await.unwrap();
            tokio::spawn(async move {
                let _ = end.send(connection.await);
            });
            send
        });
        Self { handle, send, ended, _stop: stop }
    }

    /// Sends the head of a request.
    pub fn begin(
        &mut self,
        request: http::request::Builder,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let request: Request<()> = request.body(()).unwrap();
        self.handle.block_on(async {
            let mut send = self.send.clone().ready().await.unwrap();
            send.send_request(request, end).unwrap()
        })
    }

    /// Asks for a path.
    pub fn get(&mut self, path: &str) -> ResponseFuture {
        self.begin(Request::get(format!("http://example.org{path}")), true).0
    }

    /// A response with its body.
    pub fn answer(&self, response: ResponseFuture) -> Http2Answer {
        self.handle.block_on(async {
            let answered = tokio::time::timeout(PATIENCE, async {
                let response = match response.await {
                    Ok(response) => response,
                    Err(error) => {
                        let reset = Some(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
                        return Http2Answer { status: 0, headers: HeaderMap::new(), body: Vec::new(), reset };
                    }
                };
                let (head, mut incoming) = response.into_parts();
                let (mut body, mut reset) = (Vec::new(), None);
                while let Some(data) = incoming.data().await {
                    match data {
                        Ok(data) => {
                            body.extend_from_slice(&data);
                            let _ = incoming.flow_control().release_capacity(data.len());
                        }
                        Err(error) => {
                            reset = error.reason();
                            break;
                        }
                    }
                }
                Http2Answer { status: head.status.as_u16(), headers: head.headers, body, reset }
            });
            answered.await.expect("an answer in time")
        })
    }

    /// Waits for something on the client's event loop.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
    }

    /// Waits for the end of the connection.
    pub fn end(mut self) -> Result<(), h2::Error> {
        let ended = std::mem::replace(&mut self.ended, oneshot::channel().1);
        self.wait(ended).unwrap()
    }
}

/// A frame on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A client that sends any frames.
pub struct RawHttp2<S = TcpStream> {
    pub stream: S,
    rest: Vec<u8>,
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block with these fields, none of them compressed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            out.push(text.len() as u8);
            out.extend(text.as_bytes());
        }
    }
    out
}

/// The block of a request for a path.
pub fn get_block(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":authority", "example.org"), (":path", path)])
}

impl RawHttp2 {
    /// Connects and sends nothing.
    pub fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    /// On a socket.
    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Connects and sends the preface and empty settings.
    pub fn connect(address: SocketAddr) -> Self {
        Self::to(address).begun()
    }
}

impl<S: Read + Write> RawHttp2<S> {
    /// On a stream, of TLS perhaps.
    pub fn over(stream: S) -> Self {
        Self { stream, rest: Vec::new() }
    }

    /// Sends the preface and empty settings.
    pub fn begun(mut self) -> Self {
        self.send(PREFACE);
        self.frame(SETTINGS, 0, 0, &[]);
        self
    }

    /// Sends bytes. `false`: the server is gone.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a frame.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.send(&frame(kind, flags, stream, payload))
    }

    /// The next frame; `None` at the end of the connection.
    pub fn next(&mut self) -> Option<RawFrame> {
        loop {
            if let Some(head) = self.rest.first_chunk() {
                let FrameHead { length, kind, flags, stream } = FrameHead::of(*head);
                let whole = HEAD + length as usize;
                if self.rest.len() >= whole {
                    let payload = self.rest.drain(..whole).skip(HEAD).collect();
                    return Some(RawFrame { kind, flags, stream, payload });
                }
            }
            let mut piece = [0; 16 * 1024];
            let got = self.stream.read(&mut piece).ok().filter(|got| *got > 0)?;
            self.rest.extend_from_slice(&piece[..got]);
        }
    }

    /// The next frame of a type; others are passed over.
    pub fn until(&mut self, kind: u8) -> Option<RawFrame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The code of the GOAWAY that ends the connection, if one comes before its end.
    pub fn goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                code = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        code
    }
}

/// A front that speaks HTTP/2 without TLS.
pub fn front(change: impl FnOnce(&mut Site)) -> Running {
    Running::start(|site| {
        site.hosts[0].protocols.h2c = true;
        change(site);
    })
}

/// The same with a worker.
pub fn served(change: impl FnOnce(&mut Site)) -> (Running, FakeWorker) {
    let mut front = front(change);
    let mut worker = front.worker(4);
    worker.welcome();
    (front, worker)
}

/// Answers requests until the link ends.
pub fn answering(mut worker: FakeWorker) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while let Some(frame) = worker.next() {
            if let Frame::Request { id, .. } = frame
                && worker.start()
            {
                worker.hello(id);
            }
        }
    })
}

pub fn logged(format: &str, path: &Path) -> AccessLog {
    AccessLog { path: Some(path.to_owned()), format: format.into(), form: LogForm::Text, when: None }
}

/// Answers the next request.
pub fn hello(worker: &mut FakeWorker) {
    let id = worker_id(worker);
    worker.hello(id);
}

/// The next request.
pub fn worker_id(worker: &mut FakeWorker) -> u32 {
    worker.request().id()
}
