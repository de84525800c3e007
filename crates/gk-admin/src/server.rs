//! The admin thread: takes connections, turns the hub once a second, answers. Which path gives what is in [`answer`].

use bytes::Bytes;
use gk_wire::log::Level;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::MissedTickBehavior;

use crate::body::Page;
use crate::feed::{Feed, FrontFigures};
use crate::guard::{Guard, TOKEN_FILE, Verdict};
use crate::history::{History, Question};
use crate::hub::Hub;
use crate::query::Asked;
use crate::{assets, note, prometheus, rows, totals};

/// Messages a slow reader of the stream may be behind; then it loses some.
const BEHIND: usize = 16;
/// Readers of the stream.
const READERS: usize = 64;
/// The pages load nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the admin thread is started from.
pub struct Options {
    /// The listening socket.
    pub socket: OwnedFd,
    /// Directory of the database and the token.
    pub server_root: PathBuf,
}

/// What requests share.
struct Shared {
    hub: Mutex<Hub>,
    history: History,
    guard: Guard,
    readers: Mutex<Vec<Sender<Bytes>>>,
}

impl Shared {
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Sender<Bytes>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message to everybody who reads the stream.
    fn publish(&self, kind: &str, value: &Value) {
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

/// Starts the thread.
pub fn start(options: Options) -> Result<Feed, String> {
    let failed = |error: std::io::Error| format!("the admin pages cannot be served: {error}");
    rustix::io::ioctl_fionbio(&options.socket, true).map_err(|error| failed(error.into()))?;
    let listener = std::net::TcpListener::from(options.socket);
    let address = listener.local_addr().map_err(failed)?.to_string();
    let guard = Guard::new(&address, &options.server_root).map_err(failed)?;
    if matches!(guard, Guard::Token(_)) {
        let file = options.server_root.join(TOKEN_FILE);
        let text = format!("the admin pages on {address} ask for the token in {}", file.display());
        note(Level::Notice, &text);
    }
    let (feed, news) = Feed::new();
    let history = History::start(&options.server_root).map_err(failed)?;
    let hub = Mutex::new(Hub::new(feed.clone(), news));
    let shared = Arc::new(Shared { hub, history, guard, readers: Mutex::default() });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let body = move || {
        runtime.block_on(async {
            tokio::spawn(turn(Arc::clone(&shared)));
            serve(listener, shared).await;
        });
    };
    std::thread::Builder::new().name("admin".into()).spawn(body).map_err(failed)?;
    Ok(feed)
}

/// Turns the hub once a second.
async fn turn(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lost = 0u64;
    loop {
        interval.tick().await;
        let now = gk_sys::clock::epoch_seconds();
        let (turn, status) = {
            let mut hub = shared.hub();
            let turn = hub.turn(now);
            (turn, rows::status(&hub, now))
        };
        shared.publish("tick", &status);
        for event in turn.events {
            shared.publish("happened", &serde_json::to_value(&event).unwrap_or_default());
            shared.history.event(event);
        }
        if !shared.history.push(turn.tick) {
            lost += 1;
            if lost.is_power_of_two() {
                note(
                    Level::Warn,
                    &format!("the history's disk does not keep up: {lost} seconds are missing"),
                );
            }
        }
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request: Request<Incoming>| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(guarded(&request, &shared).await) }
        });
        tokio::spawn(async move {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Health for everybody, all else by the guard.
async fn guarded(request: &Request<Incoming>, shared: &Shared) -> Response<Page> {
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
        "/api/v1/status" => json(&rows::status(&shared.hub(), now)),
        "/api/v1/requests" => json(&rows::requests(&shared.hub(), now)),
        "/api/v1/events" => json(&rows::events(&shared.hub())),
        "/api/v1/totals" => {
            json(&serde_json::to_value(totals::now(&mut shared.hub(), now)).unwrap_or_default())
        }
        "/api/v1/stream" => stream(shared, now),
        "/api/v1/history" => match asked.question(now) {
            Ok(question) => json(&rows::history(&shared.history.ask(question.clone()).await, &question)),
            Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        },
        "/api/v1/distribution" => match asked.question(now) {
            Ok(question) => {
                let whole = Question { step: (question.to - question.from).ceil() + 1.0, ..question };
                let past = shared.history.ask(whole.clone()).await;
                json(&rows::distribution(&past, &whole, asked.text("application_group").as_deref()))
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
    let first = format!("retry: 1000\nevent: tick\ndata: {}\n\n", rows::status(&shared.hub(), now));
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
