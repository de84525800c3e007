//! The admin pages, on a thread of their own: `/healthz`, `/readyz`, `/api/v1/status` and a page for people. They show
//! a snapshot that the data thread puts down now and then, so nothing here can slow a request.

use bytes::Bytes;
use gk_wire::control::FrontStatus;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;

use crate::front::Front;

/// What the pages show.
#[derive(Debug, Clone, Default)]
struct Shown {
    ready: bool,
    generation: u64,
    status: FrontStatus,
    lost_log_lines: u64,
    links: Vec<(u64, u32, String, u32)>,
    /// What turned the GIL back on, by worker.
    gil_returned: BTreeMap<u64, String>,
}

/// The snapshot, shared with the data thread.
#[derive(Clone, Default)]
pub struct Snapshot(Arc<Mutex<Shown>>);

impl Snapshot {
    /// Puts the present down.
    pub fn put(&self, front: &Front) {
        let current = front.current();
        let links = front.links.borrow();
        let shown = Shown {
            ready: front.is_ready(),
            generation: current.generation,
            status: front.status(),
            lost_log_lines: current.logs.lost(),
            links: links
                .values()
                .map(|l| (l.facts.worker, l.facts.pid, l.facts.process_group.clone(), l.facts.threads))
                .collect(),
            gil_returned: links
                .values()
                .filter_map(|l| Some((l.facts.worker, l.gil_returned.get()?.0.clone())))
                .collect(),
        };
        *self.lock() = shown;
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread.
pub fn start(socket: OwnedFd, snapshot: Snapshot) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the admin pages cannot be served: {error}");
    rustix::io::ioctl_fionbio(&socket, true).map_err(|error| failed(error.into()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let name = "admin".to_owned();
    let body = move || runtime.block_on(serve(socket, snapshot));
    std::thread::Builder::new().name(name).spawn(body).map(drop).map_err(failed)
}

async fn serve(socket: OwnedFd, snapshot: Snapshot) {
    let Ok(listener) = TcpListener::from_std(socket.into()) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let snapshot = snapshot.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(&request, &snapshot);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, snapshot: &Snapshot) -> Response<Page> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return page(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n".into());
    }
    let shown = snapshot.lock().clone();
    match request.uri().path() {
        "/healthz" => page(StatusCode::OK, "text/plain", "ok\n".into()),
        "/readyz" if shown.ready => page(StatusCode::OK, "text/plain", shown.remarks("ready")),
        "/readyz" => page(StatusCode::SERVICE_UNAVAILABLE, "text/plain", shown.remarks("not ready")),
        "/api/v1/status" => page(StatusCode::OK, "application/json", shown.json()),
        "/" => page(StatusCode::OK, "text/html; charset=utf-8", shown.html()),
        _ => page(StatusCode::NOT_FOUND, "text/plain", "no such page\n".into()),
    }
}

impl Shown {
    /// A word, and a line for each worker that has a GIL although it is to run without.
    fn remarks(&self, word: &str) -> String {
        let mut text = format!("{word}\n");
        for (worker, pid, group, _) in &self.links {
            if let Some(module) = self.gil_returned.get(worker) {
                let _ = writeln!(
                    text,
                    "process group '{group}': worker {worker} (pid {pid}) has a GIL again, {module} turned it on"
                );
            }
        }
        text
    }

    fn json(&self) -> String {
        let workers: Vec<_> = self
            .links
            .iter()
            .map(|(worker, pid, group, threads)| {
                serde_json::json!({
                    "worker": worker, "pid": pid, "process_group": group, "threads": threads,
                    "gil_returned": self.gil_returned.get(worker),
                    "in_flight": self.status.in_flight.get(worker).copied().unwrap_or(0),
                })
            })
            .collect();
        let value = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.ready,
            "generation": self.generation,
            "connections": self.status.connections,
            "requests": self.status.requests,
            "queued": self.status.queued,
            "lost_log_lines": self.lost_log_lines,
            "workers": workers,
        });
        format!("{value}\n")
    }

    fn html(&self) -> String {
        let mut rows = String::new();
        for (worker, pid, group, threads) in &self.links {
            let busy = self.status.in_flight.get(worker).copied().unwrap_or(0);
            let group = group.replace('&', "&amp;").replace('<', "&lt;");
            let _ = write!(rows, "<tr><td>{group}</td><td>{pid}</td><td>{threads}</td><td>{busy}</td></tr>");
        }
        format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Gilkeeper</title></head><body>\n\
             <h1>Gilkeeper {}</h1>\n<p>{}; {} connections, {} requests answered, generation {}.</p>\n\
             <table border=\"1\"><tr><th>process group</th><th>pid</th><th>threads</th><th>in flight</th></tr>{rows}</table>\n\
             <p><a href=\"/api/v1/status\">status as JSON</a></p>\n</body></html>\n",
            env!("CARGO_PKG_VERSION"),
            if self.ready { "ready" } else { "not ready" },
            self.status.connections,
            self.status.requests,
            self.generation
        )
    }
}

/// A body of one piece.
struct Page(Option<Bytes>);

impl http_body::Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0.as_ref().map_or(0, |b| b.len() as u64))
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Page> {
    let mut response = Response::new(Page(Some(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
