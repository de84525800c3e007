//! A function of an access or dispatch script, asked as an ordinary request of a worker: so queue, time limits and crashes count as
//! for any other. The profile names script and function, and a header of the response holds the answer as JSON.

use gk_config::place::{Asked, group_name};
use gk_rules::access::Script;
use gk_wire::log::Level;
use gk_wire::request::{Numbers, Profile, Texts};
use gk_wire::response::Headers;
use http::HeaderMap;
use http::request::Parts;
use serde_json::Value;
use std::rc::Rc;

use crate::client::endpoints::Endpoints;
use crate::client::requester::Requester;
use crate::engine::{Exchange as _, Failure};
use crate::front::{CurrentSite, Front, RoutedRequest};
use crate::log::host_log;
use crate::request::memory;
use crate::request::proxy_trust;
use crate::request::refusal::Refusal;
use crate::request::route::Destination;
use crate::request::spool::SpooledBody;
use crate::request::target;
use crate::service::failure::{self, FailedRequest};
use crate::worker::dispatcher::Arrival;
use crate::worker::head::{RequestExtras, version_number};
use crate::worker::pool::{BeginError, Pool};

/// The response header with the answer.
const ANSWER: &str = "gilkeeper-hook";

/// Why a function gave no answer. The log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// It is missing, or raised an exception, or its script cannot be loaded.
    Failed,
    /// No worker answered: it died or hung, or none was there.
    Lost(Refusal),
}

/// The request that a function is asked about.
pub struct HookCall<'a> {
    /// The front.
    pub front: &'a Rc<Front>,
    /// Its client.
    pub requester: &'a Requester,
    /// The addresses at both ends.
    pub ends: &'a Endpoints,
    /// The site.
    pub current: &'a CurrentSite,
    /// Its head.
    pub parts: &'a Parts,
    /// Its place.
    pub routed: &'a RoutedRequest,
    /// Seconds since the epoch.
    pub arrived: f64,
}

impl HookCall<'_> {
    /// Asks a function. `given`: environ entries that only it gets; `environ`: those that depend on the place.
    pub async fn ask(
        &self,
        script: &Script,
        function: &str,
        given: &Headers,
        environ: Vec<(String, String)>,
    ) -> Result<Value, Unanswered> {
        let client = Some(self.ends.client.as_str());
        let Some(pool) = self.pool() else {
            let text = format!("no process group runs the script {}", script.path.display());
            crate::note_code(Level::Error, "WSGI0151", client, &text);
            return Err(Unanswered::Lost(Refusal::Internal));
        };
        let host = &self.current.compiled.site().hosts[self.routed.target.host];
        let profile = Profile {
            script: script.path.to_string_lossy().into_owned(),
            module: false,
            callable: function.to_owned(),
            application_group: self.application_group(script),
            // Its worker loads it again after a change, and never ends because of that.
            script_reloading: false,
            ignore_activity: false,
            environ,
            error_log: host.error_log.as_ref().map(|log| log.to_string_lossy().into_owned()),
            hook: true,
        };
        let exchange = self.exchange(&pool, profile, given).await.map_err(Unanswered::Lost)?;
        let mut headers = HeaderMap::new();
        let (head, _) = exchange.take_head(&mut headers);
        if head.worker_error || head.bad.is_some() || !head.status.is_success() {
            return Err(Unanswered::Failed);
        }
        let answer = headers.get(ANSWER).and_then(|value| gk_messages::decode(value.as_bytes()).ok());
        answer.ok_or_else(|| {
            let text = format!("the worker gave no answer of {function} in {}", script.path.display());
            crate::note(Level::Error, client, &text);
            Unanswered::Failed
        })
    }

    /// The workers of the request's process group; for a file, of the group that is set in its place.
    fn pool(&self) -> Option<Rc<Pool>> {
        if let Some((pool, _)) = &self.routed.app {
            return Some(Rc::clone(pool));
        }
        let target = &self.routed.target;
        let set = target.settings.process_group.as_ref().filter(|name| !name.starts_with("%{"));
        let first = || self.current.compiled.site().default_group(target.host).map(|group| &group.name);
        self.front.pool(set.or_else(first)?)
    }

    fn application_group(&self, script: &Script) -> String {
        let Some(name) = &script.application_group else { return String::new() };
        let target = &self.routed.target;
        let host = &self.current.compiled.site().hosts[target.host];
        let ends = self.ends;
        // The configured name, never the client's: it could create any number of groups.
        let asked = Asked {
            server_name: host.server_name.as_deref().unwrap_or("localhost"),
            port: host.server_port.unwrap_or(ends.local_port),
            host_header: None,
            script_name: "",
            variable: &|_| None,
        };
        group_name(name, &asked).into_owned()
    }

    async fn exchange(
        &self,
        pool: &Rc<Pool>,
        profile: Profile,
        given: &Headers,
    ) -> Result<crate::worker::exchange::Exchange, Refusal> {
        let (target, ends) = (&self.routed.target, self.ends);
        let profile = self.front.number_profile(profile);
        let overlay = proxy_trust::apply(&target.settings, &ends.peer, &self.parts.headers);
        let client = match overlay.as_ref().and_then(|o| o.remote_addr.as_ref()) {
            Some(addr) => addr.parse().ok(),
            None => ends.address,
        };
        let (script_name, path_info) = match &target.destination {
            Destination::App(app) => (&app.script_name[..], &app.path_info[..]),
            _ => (&self.routed.path[..], &b""[..]),
        };
        let id = host_log::request_id();
        let texts = Texts {
            id: id.as_deref().unwrap_or_default().as_bytes(),
            trace: b"",
            method: self.parts.method.as_str().as_bytes(),
            uri: b"",
            script_name,
            path_info,
            query: target::query(self.parts),
            server_name: target.server_name.as_bytes(),
            server_addr: ends.local.as_bytes(),
            remote_addr: overlay
                .as_ref()
                .and_then(|o| o.remote_addr.as_deref())
                .unwrap_or(&ends.peer)
                .as_bytes(),
        };
        let (mut again, since) = (false, pool.now());
        loop {
            let request_id = self.front.next_request();
            let permit = match pool.try_acquire(again, pool.micros(), client) {
                Some(permit) => permit,
                None => {
                    let bytes = memory::held(self.parts, &SpooledBody::Empty);
                    let arrival = Arrival { request: request_id, since, bytes, again, client };
                    pool.acquire(arrival, self.requester.client())
                        .await
                        .map_err(|why| failure::refused(pool, why, &ends.client))?
                }
            };
            let extras = RequestExtras {
                numbers: Numbers {
                    profile: profile.number,
                    version: version_number(self.parts.version),
                    https: overlay.as_ref().and_then(|o| o.https).unwrap_or(ends.https),
                    traced: false,
                    server_port: overlay.as_ref().and_then(|o| o.server_port).unwrap_or(target.server_port),
                    remote_port: ends.peer_port,
                    request_id,
                    connection_id: self.requester.connection_id(),
                    request_start: self.arrived,
                    queue_start: self.arrived,
                },
                texts,
                pass_authorization: false,
                end: true,
                chunked: None,
                overlay: overlay.as_ref(),
                place: given,
                tls: ends.tls().map(|tls| tls.entries(&target.settings.ssl)),
                client,
                stream: self.requester.stream(),
                identity: None,
            };
            let exchange = match permit.begin(&profile, self.parts, &extras) {
                Ok(exchange) => exchange,
                Err(BeginError::TooLong) => {
                    return Err(Refusal::LongHead(crate::request::refusal::LONG_HEAD));
                }
                Err(BeginError::LinkEnded) => {
                    again = true;
                    continue;
                }
            };
            match exchange.head().await {
                Ok(()) => return Ok(exchange),
                Err(Failure::NotStarted) => again = true,
                Err(failure) => {
                    let worker = Rc::clone(exchange.link());
                    let failed = FailedRequest {
                        front: self.front,
                        pool,
                        client: &ends.client,
                        parts: self.parts,
                        worker,
                        repeatable: false,
                    };
                    failed.end(failure).await?;
                    return Err(Refusal::Internal);
                }
            }
        }
    }
}
