//! The path of one request, top to bottom: limits → host and place → access → body → worker → response. Each step is a
//! call into the module that knows it; every answer that is not a worker's comes from `reply`.

use gk_wire::log::Level;
use gk_wire::request::{Numbers, Texts};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::path::Path;
use std::rc::Rc;

use crate::answer::body::ResponseBody;
use crate::answer::files;
use crate::answer::reply::{self, Refusal};
use crate::answer::response::{named, page, respond};
use crate::client::connection::{Conn, Phase};
use crate::front::{Current, Front, Routed};
use crate::log::access_log::Entry;
use crate::request::limits;
use crate::request::proxy_trust;
use crate::request::route::{App, What};
use crate::request::spool::{self, Spooled};
use crate::worker::exchange::Exchange;
use crate::worker::head::{self, Facts};
use crate::worker::pool::{NotBegun, Turned};
use crate::worker::slots::Failure;

/// The client is gone, or is to be left without another word.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends without an answer")]
pub struct Hangup;

/// Answers one request.
pub async fn serve(
    front: Rc<Front>,
    conn: Rc<Conn>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Hangup> {
    conn.enter(Phase::Serving);
    conn.requests.set(conn.requests.get() + 1);
    let current = front.current();
    let now = front.clock.micros();
    let arrived = front.clock.epoch(now);
    let (mut parts, incoming) = request.into_parts();
    conn.linger.set(!incoming.is_end_stream());
    let mut entry = current.logs.begin(&conn, &parts, arrived);
    let asked = Asked { front: &front, conn: &conn, current: &current, parts: &parts, arrived, now };
    let answer = asked.answer(incoming, &mut entry).await;
    let last = asked.is_last();
    let mut response = match answer {
        Ok(Answer::Worker(exchange, routed)) => {
            respond(&conn, &mut parts, exchange, &routed, entry.is_some())
        }
        Ok(Answer::Own(response)) => *response,
        Err(Refusal::Gone) => return Err(Hangup),
        Err(refusal) => {
            if let Some((code, text)) = refusal.note() {
                crate::note_code(Level::Error, code, Some(&conn.ends.client), text);
            }
            conn.linger.set(conn.linger.get() || refusal.closes());
            page(&conn, &refusal)
        }
    };
    let headers = response.headers_mut();
    if last || conn.linger.get() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let delimited = parts.version == Version::HTTP_10 && !headers.contains_key(CONTENT_LENGTH);
    front.finished.set(front.finished.get() + 1);
    if let Some(entry) = &mut entry {
        entry.answered(&response, parts.method == Method::HEAD);
    }
    let body = response.body_mut();
    body.set_delimited_by_close(delimited);
    body.set_logged(entry);
    conn.begin_response();
    Ok(response)
}

/// Where the response comes from. Small, as it is moved through several futures.
enum Answer {
    /// A worker, whose head is there.
    Worker(Exchange, Rc<Routed>),
    /// The front itself.
    Own(Box<Response<ResponseBody>>),
}

struct Asked<'a> {
    front: &'a Rc<Front>,
    conn: &'a Rc<Conn>,
    current: &'a Current,
    parts: &'a Parts,
    /// Seconds since the epoch.
    arrived: f64,
    /// The same moment on the front's clock, in microseconds.
    now: u64,
}

impl Asked<'_> {
    async fn answer(&self, incoming: Incoming, entry: &mut Option<Box<Entry>>) -> Result<Answer, Refusal> {
        let own = |response| Answer::Own(Box::new(named(response)));
        let site = self.current.compiled.site();
        let seen = limits::check(self.parts, &site.http, self.conn.ambiguous_framing())?;
        if self.parts.uri.path() == "*" {
            // About the server as a whole, so no application is asked.
            limits::host(seen.host)?;
            limits::path(self.parts)?;
            return Ok(own(reply::options().map(|text| ResponseBody::whole(self.conn, text, true))));
        }
        let routed = self.front.route(self.current, self.conn, seen.host, self.parts)?;
        let target = &routed.target;
        if let Some(entry) = entry {
            entry.routed(&routed);
        }
        if let What::Refused(refusal, note) = &target.what {
            if let Some((code, text)) = note {
                crate::note_code(Level::Error, code, Some(&self.conn.ends.client), text);
            }
            return Err(refusal.clone());
        }
        if !target.settings.granted() {
            crate::note_code(
                Level::Error,
                "AH01630",
                Some(&self.conn.ends.client),
                "denied by configuration",
            );
            return Err(Refusal::Forbidden);
        }
        if seen.framed {
            limits::body(self.parts, &target.settings)?;
        }
        match (&target.what, &routed.app) {
            (What::File { path }, _) => {
                Box::pin(files::serve(self.conn, self.parts, path, &routed.path)).await.map(own)
            }
            (What::App(app), Some(_)) => {
                if let Some((code, text)) =
                    routed.owner.as_ref().and_then(|owner| owner.objection(Path::new(&app.script)))
                {
                    crate::note_code(Level::Error, code, Some(&self.conn.ends.client), &text);
                    return Err(Refusal::Forbidden);
                }
                let spool = spool::Limits {
                    most: target.settings.limit_request_body,
                    memory: site.http.body_buffer_size,
                    directory: &site.server_root,
                };
                // What few requests need is boxed: each future is moved whole, for every request.
                let body = if incoming.is_end_stream() {
                    Spooled::Empty
                } else {
                    Box::pin(spool::receive(incoming, &spool, self.conn)).await?
                };
                let exchange = self.run(&routed, app, &body, entry).await?;
                Ok(Answer::Worker(exchange, routed))
            }
            _ => Err(Refusal::Internal),
        }
    }

    /// Has a worker answer, up to its head. A worker that ends before it began the request costs nothing but time.
    async fn run(
        &self,
        routed: &Routed,
        app: &App,
        body: &Spooled,
        entry: &mut Option<Box<Entry>>,
    ) -> Result<Exchange, Refusal> {
        let Some((pool, profile)) = &routed.app else { return Err(Refusal::Internal) };
        let overlay = proxy_trust::apply(&routed.target.settings, &self.conn.ends.peer, &self.parts.headers);
        if let (Some(entry), Some(addr)) =
            (&mut *entry, overlay.as_ref().and_then(|o| o.remote_addr.as_ref()))
        {
            entry.remote_addr = Some(addr.clone());
        }
        let request_id = self.front.last_request.get() + 1;
        self.front.last_request.set(request_id);
        let (mut again, since) = (false, pool.now());
        self.conn.write_limit.set(pool.limits().write_timeout);
        let mut now = if body.is_empty() { self.now } else { pool.micros() };
        loop {
            let permit = match pool.at_once(again, now) {
                Some(permit) => permit,
                None => Box::pin(pool.acquire(request_id, self.conn, again, since))
                    .await
                    .map_err(|why| self.turned(pool, why))?,
            };
            if let Some(entry) = entry {
                entry.dispatched(&permit, request_id);
            }
            let https = overlay.as_ref().and_then(|o| o.https).unwrap_or(self.conn.ends.https);
            let facts = Facts {
                numbers: Numbers {
                    profile: profile.number,
                    version: head::version_number(self.parts.version),
                    https,
                    server_port: overlay
                        .as_ref()
                        .and_then(|o| o.server_port)
                        .unwrap_or(routed.target.server_port),
                    remote_port: self.conn.ends.peer_port,
                    request_id,
                    connection_id: self.conn.id,
                    request_start: self.arrived,
                    queue_start: self.arrived,
                },
                texts: self.texts(routed, app, overlay.as_ref()),
                pass_authorization: app.pass_authorization,
                end: body.is_empty(),
                overlay: overlay.as_ref(),
                extra: &routed.extra,
            };
            let exchange = match permit.begin(profile, |out, id| head::encode(out, id, self.parts, &facts)) {
                Ok(exchange) => exchange,
                Err(NotBegun::TooLong) => return Err(Refusal::LongHead(reply::LONG_IN_ALL)),
                Err(NotBegun::Again) => {
                    (again, now) = (true, pool.micros());
                    continue;
                }
            };
            if !body.is_empty() {
                exchange.upload(body.clone());
            }
            match exchange.head().await {
                Ok(()) => return Ok(exchange),
                Err(Failure::NotStarted) => (again, now) = (true, pool.micros()),
                Err(failure) => {
                    return Err(Box::pin(self.failed(failure, &exchange, app)).await);
                }
            }
        }
    }

    fn texts<'t>(
        &'t self,
        routed: &'t Routed,
        app: &'t App,
        overlay: Option<&'t proxy_trust::Overlay>,
    ) -> Texts<'t> {
        let ends = &self.conn.ends;
        let method = &self.parts.method;
        let shown_as_get = *method == Method::HEAD && routed.target.settings.map_head_to_get == "on";
        Texts {
            method: if shown_as_get { b"GET" } else { method.as_str().as_bytes() },
            uri: b"",
            script_name: overlay.and_then(|o| o.script_name.as_deref()).unwrap_or(&app.script_name),
            path_info: &app.path_info,
            query: self.parts.uri.query().unwrap_or("").as_bytes(),
            server_name: overlay
                .and_then(|o| o.server_name.as_deref())
                .unwrap_or(routed.target.server_name.as_bytes()),
            server_addr: ends.local.as_bytes(),
            remote_addr: overlay.and_then(|o| o.remote_addr.as_deref()).unwrap_or(&ends.peer).as_bytes(),
        }
    }

    /// A request that no worker took.
    fn turned(&self, pool: &crate::worker::pool::Pool, why: Turned) -> Refusal {
        let name = &pool.name;
        let (code, text) = match why {
            Turned::Full => ("GK0501", format!("the queue of process group '{name}' is full")),
            Turned::Late => (
                "WSGI0084",
                format!("a request waited in the queue of process group '{name}' for queue-timeout"),
            ),
            Turned::NoWorker => {
                ("WSGI0116", format!("process group '{name}' had no worker for connect-timeout"))
            }
        };
        crate::note_code(Level::Error, code, Some(&self.conn.ends.client), &text);
        Refusal::Turned(why)
    }

    /// A request whose worker gave no head.
    async fn failed(&self, failure: Failure, exchange: &Exchange, app: &App) -> Refusal {
        let (method, path) = (&self.parts.method, self.parts.uri.path());
        let link = exchange.link();
        let pid = link.facts.pid;
        let client = Some(&*self.conn.ends.client);
        let group = &app.group;
        match failure {
            Failure::Late => {
                let text = format!(
                    "no response head within socket-timeout from worker {pid} of process group '{group}' for {method} {path}; the application may still be running it"
                );
                crate::note_code(Level::Error, "WSGI0145", client, &text);
                Refusal::Late
            }
            Failure::Died | Failure::NotStarted => {
                let how = link.how().await.unwrap_or_else(|| "cause unknown".into());
                let text = format!(
                    "worker {pid} of process group '{group}' ended ({how}) before the response head of {method} {path}"
                );
                crate::note_code(Level::Error, "WSGI0146", client, &text);
                Refusal::WorkerDied
            }
            Failure::Aborted(reason) => {
                let text = format!("worker {pid} gave no response for {method} {path}: {reason}");
                crate::note(Level::Error, client, &text);
                Refusal::Internal
            }
        }
    }

    /// Whether the connection closes after this request.
    fn is_last(&self) -> bool {
        let http = &self.current.compiled.site().http;
        let bound = http.max_keep_alive_requests;
        (bound != 0 && self.conn.requests.get() >= bound) || self.front.stopping.get()
    }
}
