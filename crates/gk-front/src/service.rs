//! The path of one request, top to bottom: limits → route → access → body → worker → response. Each step is a call into the
//! module that does it. A step that fails gives a `Refusal`, which is answered in one place.

pub mod failure;
mod file;
mod guarded;
mod origin;
pub mod ruled;
mod secured;

use gk_config::site::EncodedSlashes;
use gk_telemetry::Reason;
use gk_wire::log::Level;
use gk_wire::request::{Numbers, Texts};
use http::header::{CONTENT_LENGTH, DATE, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;

use crate::access::decision;
use crate::answer::response::named;
use crate::answer::{body, reply};
use crate::client::endpoints::Endpoints;
use crate::client::incoming::IncomingBody;
use crate::client::outgoing::{self, Ending, OutgoingBody};
use crate::client::requester::Requester;
use crate::engine::Failure;
use crate::front::{CurrentSite, Front, RoutedRequest};
use crate::log::access_log::Entry;
use crate::log::answers::Answering;
use crate::log::spans::SpanDraft;
use crate::process::leftovers;
use crate::request::identity::{Identity, X_REQUEST_ID};
use crate::request::proxy_trust::remote;
use crate::request::refusal::{LONG_HEAD, Refusal};
use crate::request::route::{App, Destination};
use crate::request::rules::Asked;
use crate::request::spool::{self, SpooledBody};
use crate::request::{limits, memory, proxy_trust, target};
use crate::service::failure::FailedRequest;
use crate::service::origin::{Answer, made};
use crate::service::ruled::Again;
use crate::worker::dispatcher::Arrival;
use crate::worker::exchange::Exchange;
use crate::worker::head::{RequestExtras, version_number};
use crate::worker::pool::BeginError;

/// A response body from the workers or the front itself.
type Body = body::Body<Exchange>;

/// The client is gone, or its connection ends without another word.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends without an answer")]
pub struct Hangup;

/// Answers one request.
pub async fn serve(
    front: Rc<Front>,
    requester: Requester,
    request: Request<IncomingBody>,
) -> Result<Response<OutgoingBody<Exchange>>, Hangup> {
    let current = front.current();
    current.host_logs.enter(None);
    let now = front.clock.micros();
    let arrived = front.clock.epoch(now);
    let (mut parts, incoming) = request.into_parts();
    let named = current
        .compiled
        .names_clients()
        .then(|| remote::named(&current.compiled, requester.endpoints(), &mut parts));
    let named = named.flatten();
    requester.begin(!incoming.is_end_stream());
    let mut entry = current.logs.begin(|| requester.connection(), &parts, arrived);
    let head_time = requester.take_head_time();
    let mut answering = Answering::new(&front.answers, now.saturating_sub(head_time));
    if let Some(identities) = &current.identities {
        let identity = front.identify(identities, requester.endpoints(), &parts.headers);
        if let Some(entry) = &mut entry {
            entry.identity = Some(Rc::clone(&identity));
        }
        answering.draft = identities.slow().map(|slow| {
            let ends = named.as_deref().unwrap_or(requester.endpoints());
            Box::new(SpanDraft::new(&parts, ends, arrived - head_time as f64 / 1e6, slow))
        });
        answering.identity = Some(identity);
    }
    if let (Some(entry), Some(named)) = (&mut entry, &named) {
        entry.remote_addr = Some(named.peer.clone());
    }
    let asked = OnceCell::new();
    let (front, requester, current) = (&front, &requester, &current);
    let ends = named.as_deref().unwrap_or(requester.endpoints());
    let serving = Serving {
        front,
        requester,
        ends,
        current,
        parts: &parts,
        asked: &asked,
        answering: Some(&answering),
        arrived,
        now,
    };
    let answer = serving.answer(incoming, &mut entry).await;
    if let Err(refusal) = &answer {
        answering.by(refusal.reason());
        front.count_malformed(refusal.reason() == Reason::Malformed);
    }
    if let Some(entry) = entry.as_mut().filter(|entry| !entry.is_routed()) {
        entry.host = serving.host_without_route();
    }
    let last = serving.is_last();
    let mut response = made(answer, requester, ends, &mut parts, entry.is_some())?;
    if let Some(asked) = asked.into_inner() {
        let again = Again { front, requester, ends, current, arrived, now };
        response = Box::pin(again.finish(asked, response, &mut entry)).await;
    }
    let headers = response.headers_mut();
    requester.mark_close(last, headers);
    if let Some(date) = front.clock.date().filter(|_| !headers.contains_key(DATE)) {
        headers.insert(DATE, date);
    }
    if let Some(id) =
        answering.identity.as_ref().and_then(|identity| HeaderValue::from_str(&identity.id).ok())
    {
        // An application may have an id of its own.
        headers.entry(X_REQUEST_ID).or_insert(id);
    }
    let delimited = parts.version == Version::HTTP_10 && !headers.contains_key(CONTENT_LENGTH);
    front.finished.set(front.finished.get() + 1);
    if let Some(entry) = &mut entry {
        entry.answered(&response, parts.method == Method::HEAD);
    }
    answering.answered(response.status().as_u16());
    requester.begin_response();
    let promised = outgoing::promised(requester, &response, delimited);
    Ok(response
        .map(|body| OutgoingBody::new(requester, body, Ending { entry, answering }, delimited, promised)))
}

/// One request being served.
struct Serving<'a> {
    front: &'a Rc<Front>,
    requester: &'a Requester,
    /// The addresses at both ends, with the client that a proxy has named.
    ends: &'a Endpoints,
    current: &'a Rc<CurrentSite>,
    /// The request as the client sent it; [`Serving::parts`] is as the rules left it.
    parts: &'a Parts,
    /// The request as the rules have it, on a site that has rules.
    asked: &'a OnceCell<Box<Asked>>,
    /// What becomes of it, for the figures; `None`: the page of an error, which counts as that.
    answering: Option<&'a Answering>,
    /// Seconds since the epoch.
    arrived: f64,
    /// The same moment on the front's clock, in microseconds.
    now: u64,
}

impl Serving<'_> {
    /// Finds the answer, step by step.
    async fn answer(
        &self,
        incoming: IncomingBody,
        entry: &mut Option<Box<Entry>>,
    ) -> Result<Answer, Refusal> {
        let own = |response| Answer::Own(Box::new(named(response)));
        let site = self.current.compiled.site();
        if let Some(why) = self.requester.malformed() {
            return Err(Refusal::Bad(why));
        }
        let head = limits::check(self.parts, &site.http, self.requester.ambiguous_framing())?;
        if self.ends.https {
            self.check_name(head.host)?;
        }
        if self.parts.uri.path() == "*" {
            // The request is about the server, not about an application.
            limits::host(head.host)?;
            limits::path(self.parts, EncodedSlashes::Refused)?;
            self.is_answered_by(Reason::Server);
            return Ok(own(reply::options().map(|text| Body::whole(text, true))));
        }
        let routed = if self.current.compiled.has_rules() {
            Box::pin(self.ask_rules(head.host)).await
        } else {
            self.front.route(self.current, self.ends, head.host, self.parts, None)
        };
        let routed = routed?;
        self.admit(&routed, entry)?;
        let target = &routed.target;
        if head.framed {
            limits::body(self.parts, &target.settings)?;
        }
        match (&target.destination, &routed.app) {
            (Destination::File { path, tree, role }, _) => self.file(&routed, path, tree, *role).await,
            (Destination::App(app), Some(_)) => {
                self.check_owner(&routed, app)?;
                let bounds = spool::SpoolLimits {
                    max: target.settings.limit_request_body,
                    memory: site.http.body_buffer_size,
                    directory: &self.front.folder,
                };
                // Boxed, as few requests have a body: futures are moved whole, for every request.
                let body = if incoming.is_end_stream() {
                    SpooledBody::Empty
                } else {
                    let receiving = spool::receive(incoming, &bounds, &self.ends.client);
                    let body = Box::pin(self.requester.receive(target.host, receiving)).await?;
                    self.front.leftovers.add(body.len().min(leftovers::BODY));
                    body
                };
                let exchange = self.run(&routed, app, &body, entry).await?;
                self.is_answered_by(Reason::Application);
                Ok(Answer::Worker(exchange, routed))
            }
            _ => Err(Refusal::Internal),
        }
    }

    /// The host whose log has the line of a request that came to no place. As with Apache it is the one that the request names, and
    /// where its head was not understood the first one of the address.
    #[cold]
    fn host_without_route(&self) -> usize {
        let compiled = &self.current.compiled;
        let named = match limits::check(self.parts, &compiled.site().http, self.requester.ambiguous_framing())
        {
            _ if self.requester.malformed().is_some() => None,
            Ok(head) => head.host,
            // Of its head nothing else was asked.
            Err(Refusal::Method(_)) => limits::named(self.parts),
            Err(_) => None,
        };
        compiled.host(self.ends.local_address(), named)
    }

    fn is_answered_by(&self, reason: Reason) {
        if let Some(answering) = self.answering {
            answering.by(reason);
        }
    }

    /// The request's head: as the client sent it, or as the rules left it.
    fn parts(&self) -> &Parts {
        self.asked.get().map_or(self.parts, |asked| &asked.parts)
    }

    /// Whether the place that a request was routed to admits it.
    fn admit(&self, routed: &RoutedRequest, entry: &mut Option<Box<Entry>>) -> Result<(), Refusal> {
        let target = &routed.target;
        if let Some(entry) = entry {
            entry.routed(target);
        }
        if let (Some((pool, _)), Some(answering)) = (&routed.app, self.answering) {
            answering.belongs_to(&pool.answers);
        }
        let client = Some(&*self.ends.client);
        self.check_tls(&target.settings.ssl, target.host, entry)?;
        let admitted = match target.settings.granted() {
            Some(granted) => granted,
            None => self.asked.get().is_some_and(|asked| asked.admitted),
        };
        if !admitted {
            return Err(self.denied());
        }
        // After access: nobody learns what is there in a place that is closed.
        if let Destination::Refused(refusal, note) = &target.destination {
            if let Some((code, text)) = note {
                crate::note_code(Level::Error, code, client, text);
            }
            return Err(refusal.clone());
        }
        Ok(())
    }

    fn denied(&self) -> Refusal {
        let client = Some(&*self.ends.client);
        crate::note_code(Level::Error, "AH01630", client, &decision::denied(self.parts.uri.path()));
        Refusal::Forbidden
    }

    /// Refuses a script whose owner is not the one that its group asks for.
    fn check_owner(&self, routed: &RoutedRequest, app: &App) -> Result<(), Refusal> {
        let objection = routed.owner.as_ref().and_then(|owner| owner.objection(Path::new(&app.script)));
        let Some((code, text)) = objection else { return Ok(()) };
        crate::note_code(Level::Error, code, Some(&self.ends.client), &text);
        Err(Refusal::Forbidden)
    }

    /// Lets a worker serve the request, up to the response head. If a worker ends before it has begun the request, another one
    /// gets it; if it dies of it, another one may, once.
    async fn run(
        &self,
        routed: &RoutedRequest,
        app: &App,
        body: &SpooledBody,
        entry: &mut Option<Box<Entry>>,
    ) -> Result<Exchange, Refusal> {
        let Some((pool, profile)) = &routed.app else { return Err(Refusal::Internal) };
        let overlay = proxy_trust::apply(&routed.target.settings, &self.ends.peer, &self.parts().headers);
        // Behind a trusted proxy the proxy's own address says nothing about the client.
        let named = overlay.as_ref().and_then(|o| o.remote_addr.as_deref());
        let client = match named {
            Some(text) => proxy_trust::address(text),
            None => self.ends.address,
        };
        // What is no address would break the fields of the line.
        if let (Some(entry), Some(_), Some(client)) = (&mut *entry, named, client) {
            entry.remote_addr = Some(client.to_string());
        }
        // The body is there, so its length is known.
        let chunked = match body {
            SpooledBody::Empty => None,
            body => self.parts.headers.contains_key(TRANSFER_ENCODING).then(|| body.len()),
        };
        let identity = self.answering.and_then(|answering| answering.identity.as_deref());
        let request_id = identity.map_or_else(|| self.front.next_request(), |identity| identity.number);
        let (mut again, mut retried, mut since) = (false, false, pool.now());
        let mut turn = None;
        self.requester.limit_writes(pool.limits().write_timeout);
        let mut now = if body.is_empty() { self.now } else { pool.micros() };
        loop {
            let permit = match pool.try_acquire(again, now, client) {
                Some(permit) => permit,
                None => {
                    let bytes = memory::held(self.parts(), body);
                    let arrival = Arrival { request: request_id, since, bytes, again, client };
                    Box::pin(pool.acquire(arrival, self.requester.client()))
                        .await
                        .map_err(|why| failure::refused(pool, why, &self.ends.client))?
                }
            };
            if let Some(entry) = entry {
                entry.dispatched(permit.worker_pid(), request_id);
            }
            let https = overlay.as_ref().and_then(|o| o.https).unwrap_or(self.ends.https);
            let asked = self.asked.get();
            let extras = RequestExtras {
                numbers: Numbers {
                    profile: profile.number,
                    version: version_number(self.parts.version),
                    https: asked.and_then(|asked| asked.shown_https()).unwrap_or(https),
                    traced: identity.is_some_and(Identity::is_sampled),
                    server_port: overlay
                        .as_ref()
                        .and_then(|o| o.server_port)
                        .unwrap_or(routed.target.server_port),
                    remote_port: self.ends.peer_port,
                    request_id,
                    connection_id: self.requester.connection_id(),
                    request_start: self.arrived,
                    queue_start: self.arrived,
                },
                texts: self.texts(routed, app, overlay.as_ref(), identity),
                pass_authorization: app.pass_authorization,
                end: body.is_empty(),
                chunked,
                overlay: overlay.as_ref(),
                place: asked.map_or(&routed.extra, |asked| &asked.extra),
                tls: self.ends.tls().map(|tls| tls.entries(&routed.target.settings.ssl)),
                client,
                stream: self.requester.stream(),
                identity,
            };
            let exchange = match permit.begin(profile, self.parts(), &extras) {
                Ok(exchange) => exchange,
                Err(BeginError::TooLong) => return Err(Refusal::LongHead(LONG_HEAD)),
                Err(BeginError::LinkEnded) => {
                    (again, now) = (true, pool.micros());
                    continue;
                }
            };
            if !body.is_empty() {
                exchange.upload(body.clone());
            }
            loop {
                match exchange.head().await {
                    Ok(()) => {
                        drop(turn);
                        pool.suspects.answered(&self.parts.method, self.parts.uri.path());
                        return Ok(exchange);
                    }
                    Err(Failure::NotStarted) => (again, now) = (true, pool.micros()),
                    Err(failure) => {
                        let failed = FailedRequest {
                            front: self.front,
                            pool,
                            client: &self.ends.client,
                            parts: self.parts(),
                            worker: Rc::clone(exchange.link()),
                            repeatable: body.is_empty() && !retried,
                        };
                        if failure == Failure::Silent && !failed.is_safe() {
                            // It waits for its worker.
                            continue;
                        }
                        turn = Box::pin(failed.end(failure)).await?;
                        (again, retried, now, since) = (true, true, pool.micros(), pool.now());
                    }
                }
                break;
            }
        }
    }

    /// The texts of the request frame.
    fn texts<'t>(
        &'t self,
        routed: &'t RoutedRequest,
        app: &'t App,
        overlay: Option<&'t proxy_trust::Overlay>,
        identity: Option<&'t Identity>,
    ) -> Texts<'t> {
        let ends = self.ends;
        let parts = self.parts();
        let (method, asked) = (&parts.method, self.asked.get());
        let shown_as_get = *method == Method::HEAD
            && (routed.target.settings.map_head_to_get == "on"
                || asked.is_some_and(|asked| asked.shown_as_get));
        Texts {
            id: identity.map_or(b"", |identity| identity.id.as_bytes()),
            trace: identity.map_or(b"", Identity::traceparent),
            method: if shown_as_get { b"GET" } else { method.as_str().as_bytes() },
            uri: b"",
            script_name: overlay.and_then(|o| o.script_name.as_deref()).unwrap_or(&app.script_name),
            path_info: &app.path_info,
            query: asked.map_or_else(|| target::query(parts), |asked| &asked.query),
            server_name: overlay
                .and_then(|o| o.server_name.as_deref())
                .unwrap_or(routed.target.server_name.as_bytes()),
            server_addr: ends.local.as_bytes(),
            remote_addr: overlay.and_then(|o| o.remote_addr.as_deref()).unwrap_or(&ends.peer).as_bytes(),
        }
    }

    /// Whether the connection closes after this request.
    fn is_last(&self) -> bool {
        let http = &self.current.compiled.site().http;
        let bound = http.max_keep_alive_requests;
        (bound != 0 && self.requester.requests() >= bound)
            || self.front.stopping.get()
            || self.front.draining.get()
            || self.is_of_old_tls()
    }
}
