//! Requests of hosts with rules: the phases around routing, the document for an error, and what rules make of a response.

use gk_rules::answers::Document;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};
use std::cell::OnceCell;
use std::rc::Rc;

use crate::answer::decoration::{self, OF_ERROR};
use crate::answer::reply;
use crate::answer::response::{is_own_page, page};
use crate::client::endpoints::Endpoints;
use crate::client::requester::Requester;
use crate::front::{CurrentSite, Front, RoutedRequest};
use crate::log::access_log::Entry;
use crate::request::refusal::Refusal;
use crate::request::route::{Destination, RuledPath};
use crate::request::rules::Asked;
use crate::request::rules::rewriting::Step;
use crate::request::spool::SpooledBody;
use crate::service::{Answer, Body, Serving, made};

/// Requests within the server that the rules of a place may begin for one of a client.
const INTERNAL_REDIRECTS: usize = 10;

impl Serving<'_> {
    /// Routes a request of a site with rules, and asks the rules before and after.
    pub(super) async fn ask_rules(&self, host: Option<&[u8]>) -> Result<Rc<RoutedRequest>, Refusal> {
        let asked = Asked::new(self.current, self.ends, self.parts, host, self.arrived)?;
        let Some((mut asked, understood)) = asked else {
            return self.front.route(self.current, self.ends, host, self.parts, None);
        };
        self.current.host_logs.enter(Some(asked.host));
        let routed = match understood {
            Ok(()) => self.phases(&mut asked).await,
            Err(refusal) => Err(refusal),
        };
        // A refusal, too, gets what rules have for responses.
        let _ = self.asked.set(Box::new(asked));
        routed
    }

    /// The phases up to the handler, in the order of Apache.
    async fn phases(&self, asked: &mut Asked) -> Result<Rc<RoutedRequest>, Refusal> {
        let route = |asked: &Asked| {
            self.front.route(self.current, self.ends, asked.authority(), self.parts, Some(asked.route()))
        };
        let mut folder: Option<Rc<RoutedRequest>> = None;
        for _ in 0..=INTERNAL_REDIRECTS {
            asked.before_routing()?;
            let mut routed = route(asked)?;
            asked.routed(&routed);
            if asked.choose_branches()? {
                routed = route(asked)?;
                asked.routed(&routed);
            }
            asked.in_place()?;
            // The rules that have admitted a client to a folder are not asked again about its index.
            if !folder.take().is_some_and(|folder| admits_to_index(&folder, &routed)) {
                self.guard(asked, &routed).await?;
            }
            let step = asked.after_access()?;
            if step == Step::Again {
                continue;
            }
            if asked.go_to_index(&routed) {
                folder = Some(routed);
                continue;
            }
            if asked.fall_back(&routed) {
                continue;
            }
            if routed.target.named_by_variable || step == Step::Rerouted {
                // The place may have set the variable that names the group.
                let before = Rc::clone(&routed);
                routed = route(asked)?;
                asked.routed(&routed);
                if routed.target.settings.access != before.target.settings.access {
                    self.guard(asked, &routed).await?;
                }
            }
            if let Some(chosen) = self.dispatch(asked, &routed).await? {
                let ruled = RuledPath { as_sent: false, chosen: Some(&chosen), ..asked.route() };
                routed =
                    self.front.route(self.current, self.ends, asked.authority(), self.parts, Some(ruled))?;
            }
            asked.complete(&routed);
            return Ok(routed);
        }
        asked.say("the rules of RewriteRule began more than 10 requests within the server");
        Err(Refusal::Internal)
    }

    /// Answers the request for the document about an error. It has no body.
    async fn document(
        &self,
        routed: Result<Rc<RoutedRequest>, Refusal>,
        entry: &mut Option<Box<Entry>>,
    ) -> Result<Answer, Refusal> {
        let routed = routed?;
        self.admit(&routed, entry)?;
        match (&routed.target.destination, &routed.app) {
            (Destination::File { path, tree, role }, _) => self.file(&routed, path, tree, *role).await,
            (Destination::App(app), Some(_)) => {
                self.check_owner(&routed, app)?;
                let exchange = self.run(&routed, app, &SpooledBody::Empty, entry).await?;
                Ok(Answer::Worker(exchange, routed))
            }
            _ => Err(Refusal::Internal),
        }
    }
}

/// Whether the rules of a folder are those of its index, and about nothing that could differ.
fn admits_to_index(folder: &RoutedRequest, index: &RoutedRequest) -> bool {
    let (before, now) = (&folder.target.settings, &index.target.settings);
    let alike = folder.target.host == index.target.host && before.access == now.access;
    alike && !before.closed && !now.closed && now.access.is_about_the_client()
}

/// The status is known, also for the logs.
fn answered(asked: &mut Asked, response: &Response<Body>, entry: &mut Option<Box<Entry>>) {
    asked.status = Some(response.status());
    if let Some(entry) = entry {
        entry.choose(asked.host, asked);
    }
}

/// The parts of [`Serving`] that outlive the request's head.
pub(super) struct Again<'a> {
    pub(super) front: &'a Rc<Front>,
    pub(super) requester: &'a Requester,
    pub(super) ends: &'a Endpoints,
    pub(super) current: &'a Rc<CurrentSite>,
    pub(super) arrived: f64,
    pub(super) now: u64,
}

impl Again<'_> {
    /// Lets the rules change a response.
    pub(super) async fn finish(
        &self,
        mut asked: Box<Asked>,
        response: Response<Body>,
        entry: &mut Option<Box<Entry>>,
    ) -> Response<Body> {
        // The logs are about the request of the client, not about the one for the page of its error.
        answered(&mut asked, &response, entry);
        let (mut asked, mut response) = self.error_document(asked, response, entry).await;
        asked.status = Some(response.status());
        let took = self.front.clock.micros().saturating_sub(self.now);
        decoration::decorate(&asked, &mut response, took);
        if let Some(entry) = entry {
            entry.host = asked.host;
            entry.variables = asked.env;
            entry.user = asked.tried;
        }
        response
    }

    /// Puts the `ErrorDocument` in place of the front's own page, if there is one for its status.
    async fn error_document(
        &self,
        mut asked: Box<Asked>,
        mut response: Response<Body>,
        entry: &mut Option<Box<Entry>>,
    ) -> (Box<Asked>, Response<Body>) {
        let status = response.status();
        if !is_error(&response) {
            return (asked, response);
        }
        match asked.settings.rules.documents.get(&status.as_u16()).cloned() {
            None | Some(Document::Standard) => {}
            Some(Document::Text(text)) => {
                response.headers_mut().insert(CONTENT_TYPE, reply::html());
                response.headers_mut().remove(CONTENT_LENGTH);
                *response.body_mut() = Body::whole(text.into(), true);
            }
            Some(Document::Elsewhere(to)) => {
                if let Some(moved) = asked.moved(StatusCode::FOUND, to.as_bytes()) {
                    response = page(&moved);
                    answered(&mut asked, &response, entry);
                }
            }
            Some(Document::Local(to)) => {
                if let Some((asked, mut document)) = self.ask_document(&asked, &to, status, entry).await {
                    for name in OF_ERROR {
                        if let Some(value) = response.headers_mut().remove(&name) {
                            document.headers_mut().insert(name, value);
                        }
                    }
                    return (asked, document);
                }
            }
        }
        (asked, response)
    }

    /// Asks for a document within the server. `None`: that failed, too, so the first page stays. A document of a document is never
    /// asked for.
    async fn ask_document(
        &self,
        asked: &Asked,
        to: &str,
        status: StatusCode,
        entry: &mut Option<Box<Entry>>,
    ) -> Option<(Box<Asked>, Response<Body>)> {
        let mut again = asked.for_document(to, status)?;
        let mut parts = again.parts.clone();
        let cell = OnceCell::new();
        let Self { front, requester, ends, current, arrived, now } = *self;
        let serving = Serving {
            front,
            requester,
            ends,
            current,
            parts: &parts,
            asked: &cell,
            answering: None,
            arrived,
            now,
        };
        let routed = serving.phases(&mut again).await;
        let _ = cell.set(Box::new(again));
        let answer = serving.document(routed, entry).await;
        let is_file = matches!(answer, Ok(Answer::Own(_)));
        let mut response = made(answer, requester, ends, &mut parts, entry.is_some()).ok()?;
        if is_error(&response) {
            return None;
        }
        if is_file {
            *response.status_mut() = status;
        }
        Some((cell.into_inner()?, response))
    }
}

/// Whether the front has written a page for an error.
fn is_error(response: &Response<Body>) -> bool {
    response.status().as_u16() >= 400 && is_own_page(response)
}
