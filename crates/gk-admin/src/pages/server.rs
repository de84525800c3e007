//! The admin pages over HTTP. [`answer`] maps paths to pages.

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
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::door::body::PageBody;
use crate::door::guard::{Guard, Verdict};
use crate::door::listener::LimitedListener;
use crate::door::patience::Patience;
use crate::kept::health::Health;
use crate::kept::history::{History, HistoryQuery};
use crate::kept::hub::SharedHub;
use crate::kept::totals;
use crate::pages::profile::LastProfile;
use crate::pages::query::QueryString;
use crate::pages::stream::Stream;
use crate::pages::{api, assets, holders, profile};
use crate::told::exposition::Exposition;
use crate::told::{prometheus, protobuf};
use gk_wire::printable;

/// Most connections at a time.
const CONNECTIONS: usize = 256;
/// Places for health checks beyond these.
const RESERVE: usize = 32;
/// Time limit of a client's TLS handshake, of a request head from the moment when it may come, and of a write of which the client
/// takes nothing: a connection that is idle for longer ends.
const IDLE: Duration = Duration::from_secs(5);
/// Time limit of a whole connection in a place for health checks.
const HEALTH: Duration = Duration::from_secs(2);
/// Time limit of a worker's answer with a stack, and the pause between two looks for it.
const STACK: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(10));
/// The pages load nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Asks the front for a stack: of a worker, and of the request with the front's number for it. The front's answer reaches the
/// hub.
pub(crate) type StackRequest = Box<dyn Fn(u64, u64) + Send + Sync>;

/// Sources of the pages.
pub(crate) struct Pages {
    pub(crate) hub: SharedHub,
    pub(crate) history: History,
    pub(crate) guard: Guard,
    pub(crate) stream: Arc<Stream>,
    pub(crate) last_profile: LastProfile,
    /// `None` where there are no workers of this server.
    pub(crate) request_stack: Option<StackRequest>,
}

/// Accepts connections.
pub(crate) async fn serve(listener: std::net::TcpListener, tls: Option<Arc<ServerConfig>>, pages: Pages) {
    let Ok(mut listener) = LimitedListener::new(listener, CONNECTIONS, RESERVE) else { return };
    let (tls, pages) = (tls.map(TlsAcceptor::from), Arc::new(pages));
    loop {
        let (stream, mut place) = listener.accept().await;
        let (pages, tls) = (Arc::clone(&pages), tls.clone());
        let stream = Patience::new(stream, IDLE);
        tokio::spawn(async move {
            let health_only = place.is_reserved();
            let conversation = async {
                let Some(tls) = tls else { return converse(stream, false, health_only, pages).await };
                let Ok(Ok(stream)) = tokio::time::timeout(IDLE, tls.accept(stream)).await else { return };
                let known = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
                converse(stream, known, health_only, pages).await;
            };
            let limit = async {
                if health_only { tokio::time::sleep(HEALTH).await } else { std::future::pending().await }
            };
            tokio::select! {
                () = conversation => {}
                () = place.displaced() => {}
                () = limit => {}
            }
        });
    }
}

/// Serves one connection. `known`: the client has a certificate of the configured authorities; `health_only`: all other places are
/// taken.
async fn converse<S>(stream: S, known: bool, health_only: bool, pages: Arc<Pages>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(guarded(&request, known, health_only, &pages).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE).keep_alive(!health_only);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers health checks from everybody, and all else as the guard decides.
async fn guarded(
    request: &Request<Incoming>,
    known: bool,
    health_only: bool,
    pages: &Pages,
) -> Response<PageBody> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
    }
    match request.uri().path() {
        "/healthz" => return liveness(&pages.hub.lock().health()),
        "/readyz" => return readiness(&pages.hub.lock().health()),
        _ if health_only => {
            let why = format!(
                "{CONNECTIONS} connections are open; until one ends, only health checks are answered\n"
            );
            return text(StatusCode::SERVICE_UNAVAILABLE, &why);
        }
        _ => {}
    }
    match pages.guard.judge(request.uri(), request.headers()) {
        Verdict::Welcome => answer(request, pages).await,
        Verdict::WelcomeWithCookie(cookie) => {
            let mut response = text(StatusCode::SEE_OTHER, "the token is now in a cookie\n");
            response.headers_mut().insert(http::header::LOCATION, HeaderValue::from_static("/"));
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Verdict::TokenNeeded if known => answer(request, pages).await,
        Verdict::TokenNeeded => text(
            StatusCode::UNAUTHORIZED,
            "a token is needed: /?token=… once in a browser, or `Authorization: Bearer …`; it is in the file \
             admin.token in the server root\n",
        ),
        Verdict::Refused(why) => text(StatusCode::FORBIDDEN, &format!("refused: {why}\n")),
    }
}

/// One word, and a line for each process without a sign of life.
fn liveness(health: &Health) -> Response<PageBody> {
    let word = if health.alive { "ok" } else { "not ok" };
    verdict(health.alive, word, &[&health.silent])
}

/// One word, and a line for each process group that is not ready and each process that is not as it should be.
fn readiness(health: &Health) -> Response<PageBody> {
    let word = if health.ready { "ready" } else { "not ready" };
    verdict(health.ready, word, &[&health.waiting, &health.silent, &health.remarks])
}

fn verdict(good: bool, word: &str, lines: &[&Vec<String>]) -> Response<PageBody> {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let lines = lines.iter().flat_map(|lines| lines.iter().map(|line| printable::line(line)));
    let all: Vec<_> = std::iter::once(word.into()).chain(lines).collect();
    text(status, &(all.join("\n") + "\n"))
}

/// The present Python stack of a running request.
async fn stack(pages: &Pages, query: &QueryString<'_>) -> Response<PageBody> {
    let number = |name| query.text(name).and_then(|text| text.parse::<u64>().ok());
    let (Some(worker), Some(request)) = (number("worker"), number("request")) else {
        return text(StatusCode::BAD_REQUEST, "name both: /api/v1/stack?worker=NUMBER&request=NUMBER\n");
    };
    let Some(request_stack) = &pages.request_stack else {
        return text(StatusCode::NOT_FOUND, "there are no stacks of other servers' requests\n");
    };
    request_stack(worker, request);
    let (longest, pause) = STACK;
    let end = tokio::time::Instant::now() + longest;
    while tokio::time::Instant::now() < end {
        let stack = pages.hub.lock().take_stack(worker, request);
        if let Some(stack) = stack {
            return json(&serde_json::to_value(stack).unwrap_or_default());
        }
        tokio::time::sleep(pause).await;
    }
    text(StatusCode::NOT_FOUND, "the request has finished, or its interpreter does not release the GIL\n")
}

async fn answer(request: &Request<Incoming>, pages: &Pages) -> Response<PageBody> {
    let now = gk_sys::clock::epoch_seconds();
    let query = QueryString::new(request.uri().query());
    match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
            let form = Exposition::accepted(accept.unwrap_or_default());
            let hub = pages.hub.lock();
            let bytes = match form {
                Exposition::Protobuf => protobuf::page(&hub).into(),
                text => prometheus::page(&hub, text == Exposition::OpenMetrics).into(),
            };
            page(StatusCode::OK, form.kind(), bytes)
        }
        "/api/v1/status" => json(&api::status(&pages.hub.lock(), now)),
        "/api/v1/requests" => match query.requests() {
            Ok(filter) => json(&api::requests(&pages.hub.lock(), now, &filter)),
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        "/api/v1/events" => json(&api::events(&pages.hub.lock())),
        "/api/v1/totals" => {
            json(&serde_json::to_value(totals::read(&mut pages.hub.lock())).unwrap_or_default())
        }
        "/api/v1/stack" => stack(pages, &query).await,
        "/api/v1/stream" => stream(pages, now),
        "/api/v1/history" => match query.history(now).map(|range| (range, query.text("route"))) {
            Ok((query, route)) => match pages.history.query(query.clone()).await {
                Some(past) => {
                    let elsewhere = pages.hub.lock().intake().is_some();
                    json(&api::history(&past, &query, route.as_deref(), elsewhere))
                }
                None => no_history(),
            },
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        "/api/v1/distribution" => match query.history(now) {
            Ok(range) => {
                let whole = HistoryQuery { step: (range.to - range.from).ceil() + 1.0, ..range };
                let Some(past) = pages.history.query(whole.clone()).await else { return no_history() };
                json(&api::distribution(&past, &whole, query.text("application_group").as_deref()))
            }
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        "/api/v1/holders" => match query.history(now) {
            Ok(range) => {
                let whole = HistoryQuery { step: (range.to - range.from).ceil() + 1.0, ..range };
                let Some(past) = pages.history.query(whole.clone()).await else { return no_history() };
                json(&holders::holders(&past, &whole, query.text("route").as_deref()))
            }
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        "/api/v1/profile" => {
            made(profile::profile(&pages.hub, &pages.last_profile, request.headers(), &query).await)
        }
        "/api/v1/profile/last" => made(pages.last_profile.answer(&query)),
        path => match assets::find(path) {
            Some(asset) => page(StatusCode::OK, asset.kind, Bytes::from_static(asset.bytes)),
            None => text(StatusCode::NOT_FOUND, "no such page\n"),
        },
    }
}

/// The answer while the history's file is locked by another process, or its disk does not answer.
fn no_history() -> Response<PageBody> {
    let why = "the history cannot be read now: another process locks its file, or the disk does not answer\n";
    text(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn made(answer: profile::Answer) -> Response<PageBody> {
    match answer {
        Ok((kind, bytes)) => page(StatusCode::OK, kind, bytes.into()),
        Err((status, why)) => text(status, &format!("{why}\n")),
    }
}

/// Adds a reader of the stream.
fn stream(pages: &Pages, now: f64) -> Response<PageBody> {
    let status = api::status(&pages.hub.lock(), now);
    match pages.stream.open(&status) {
        Some(body) => response(StatusCode::OK, "text/event-stream", body),
        None => text(StatusCode::SERVICE_UNAVAILABLE, "too many readers of the stream\n"),
    }
}

fn json(value: &Value) -> Response<PageBody> {
    // For those who look at it in a terminal.
    let text = value.to_string();
    page(StatusCode::OK, "application/json", format!("{}\n", printable::page(&text)).into())
}

fn text(status: StatusCode, text: &str) -> Response<PageBody> {
    page(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

fn page(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<PageBody> {
    response(status, kind, PageBody::Whole(Some(bytes)))
}

fn response(status: StatusCode, kind: &'static str, body: PageBody) -> Response<PageBody> {
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
