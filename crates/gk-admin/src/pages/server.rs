//! The admin pages over HTTP. Which path gives what is in [`answer`].

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{Sender, channel};
use tokio_rustls::TlsAcceptor;

use crate::door::body::Page;
use crate::door::connections::{CONNECTIONS, Door};
use crate::door::guard::{Guard, Verdict};
use crate::kept::history::{History, Past, Question};
use crate::kept::hub::Hub;
use crate::kept::totals;
use crate::pages::query::Asked;
use crate::pages::{api, assets};
use crate::process::WantStack;
use crate::told::prometheus;
use gk_wire::feed::FrontFigures;

/// How long a client may take for TLS's handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a worker may take to tell a stack.
const STACK: Duration = Duration::from_secs(2);
/// Messages a slow reader of the stream may be behind; then it loses some.
const BEHIND: usize = 16;
/// Readers of the stream.
const READERS: usize = 64;
/// The pages load nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What requests share.
pub(crate) struct Shared {
    pub(crate) hub: Mutex<Hub>,
    pub(crate) history: Option<History>,
    pub(crate) guard: Guard,
    pub(crate) readers: Mutex<Vec<Sender<Bytes>>>,
    /// Where there are workers of this server's own.
    pub(crate) want_stack: Option<WantStack>,
}

impl Shared {
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Sender<Bytes>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn past(&self, question: Question) -> Past {
        match &self.history {
            Some(history) => history.ask(question).await,
            None => Past::default(),
        }
    }

    /// Whether anybody reads the stream.
    pub(crate) fn is_read(&self) -> bool {
        self.readers().iter().any(|reader| !reader.is_closed())
    }

    /// Sends a message to everybody who reads the stream.
    pub(crate) fn publish(&self, kind: &str, value: &Value) {
        let mut readers = self.readers();
        readers.retain(|reader| !reader.is_closed());
        if readers.is_empty() {
            return;
        }
        let message = Bytes::from(format!("event: {kind}\ndata: {value}\n\n"));
        // One that does not keep up misses this one; the next has everything again.
        readers.iter().for_each(|reader| drop(reader.try_send(message.clone())));
    }
}

/// Takes connections.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
) {
    let Ok(door) = Door::new(listener, CONNECTIONS) else { return };
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let (stream, place) = door.next().await;
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        tokio::spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return converse(stream, false, shared).await };
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
            let known = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
            converse(stream, known, shared).await;
        });
    }
}

/// One connection. `known`: the client has shown a certificate of the authorities named.
async fn converse<S>(stream: S, known: bool, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(guarded(&request, known, &shared).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Health for everybody, all else by the guard.
async fn guarded(request: &Request<Incoming>, known: bool, shared: &Shared) -> Response<Page> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    match request.uri().path() {
        "/healthz" => return text(StatusCode::OK, "ok\n"),
        "/readyz" => return readiness(&shared.hub().feed.figures()),
        _ => {}
    }
    match shared.guard.judge(request.uri(), request.headers()) {
        Verdict::Welcome => answer(request, shared).await,
        Verdict::WelcomeWithCookie(cookie) => {
            let mut response = text(StatusCode::SEE_OTHER, "the token is in a cookie now\n");
            response.headers_mut().insert(http::header::LOCATION, HeaderValue::from_static("/"));
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Verdict::TokenNeeded if known => answer(request, shared).await,
        Verdict::TokenNeeded => text(
            StatusCode::UNAUTHORIZED,
            "a token is needed: /?token=… once in a browser, or `Authorization: Bearer …`; it stands in admin.token \
             in the server root\n",
        ),
        Verdict::Refused(why) => text(StatusCode::FORBIDDEN, &format!("refused: {why}\n")),
    }
}

/// A word, and a line for each worker that has a GIL although it is to run without.
fn readiness(figures: &FrontFigures) -> Response<Page> {
    let (status, word) = match figures.ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let mut lines = vec![word.to_owned()];
    lines.extend(figures.remarks.iter().cloned());
    text(status, &(lines.join("\n") + "\n"))
}

/// The Python stack that a running request has now.
async fn stack(shared: &Shared, asked: &Asked<'_>) -> Response<Page> {
    let number = |name| asked.text(name).and_then(|text| text.parse::<u64>().ok());
    let (Some(worker), Some(request)) = (number("worker"), number("request")) else {
        return text(StatusCode::BAD_REQUEST, "say which: /api/v1/stack?worker=NUMBER&request=NUMBER\n");
    };
    let Some(want) = &shared.want_stack else {
        return text(StatusCode::NOT_FOUND, "the requests of other servers cannot be asked\n");
    };
    want(worker, request);
    let end = tokio::time::Instant::now() + STACK;
    while tokio::time::Instant::now() < end {
        let told = shared.hub().stack(worker, request, gk_sys::clock::epoch_seconds());
        if let Some(told) = told {
            return json(&serde_json::to_value(told).unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    text(StatusCode::NOT_FOUND, "that request is over, or its interpreter does not let go of the GIL\n")
}

async fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Page> {
    let now = gk_sys::clock::epoch_seconds();
    let asked = Asked::new(request.uri().query());
    match request.uri().path() {
        "/metrics" => {
            let open = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
            let open = open.is_some_and(|accept| accept.contains("application/openmetrics-text"));
            let kind = if open {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            } else {
                "text/plain; version=0.0.4; charset=utf-8"
            };
            page(StatusCode::OK, kind, prometheus::page(&shared.hub(), open).into())
        }
        "/api/v1/status" => json(&api::status(&shared.hub(), now)),
        "/api/v1/requests" => {
            let group = asked.text("process_group");
            json(&api::requests(&shared.hub(), now, group.as_deref()))
        }
        "/api/v1/events" => json(&api::events(&shared.hub())),
        "/api/v1/totals" => {
            json(&serde_json::to_value(totals::now(&mut shared.hub(), now)).unwrap_or_default())
        }
        "/api/v1/stack" => stack(shared, &asked).await,
        "/api/v1/stream" => stream(shared, now),
        "/api/v1/history" => match asked.question(now) {
            Ok(question) => json(&api::history(&shared.past(question.clone()).await, &question)),
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        "/api/v1/distribution" => match asked.question(now) {
            Ok(question) => {
                let whole = Question { step: (question.to - question.from).ceil() + 1.0, ..question };
                let past = shared.past(whole.clone()).await;
                json(&api::distribution(&past, &whole, asked.text("application_group").as_deref()))
            }
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        path => match assets::find(path) {
            Some(asset) => page(StatusCode::OK, asset.kind, Bytes::from_static(asset.bytes)),
            None => text(StatusCode::NOT_FOUND, "no such page\n"),
        },
    }
}

/// Opens a stream of events; the first message is the present.
fn stream(shared: &Shared, now: f64) -> Response<Page> {
    let (sender, receiver) = channel(BEHIND);
    let first = format!("retry: 1000\nevent: tick\ndata: {}\n\n", api::status(&shared.hub(), now));
    let _ = sender.try_send(Bytes::from(first));
    let mut readers = shared.readers();
    readers.retain(|reader| !reader.is_closed());
    if readers.len() >= READERS {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many readers of the stream\n");
    }
    readers.push(sender);
    response(StatusCode::OK, "text/event-stream", Page::Stream(receiver))
}

fn json(value: &Value) -> Response<Page> {
    page(StatusCode::OK, "application/json", format!("{value}\n").into())
}

fn text(status: StatusCode, text: &str) -> Response<Page> {
    page(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

fn page(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Page> {
    response(status, kind, Page::Whole(Some(bytes)))
}

fn response(status: StatusCode, kind: &'static str, body: Page) -> Response<Page> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}
