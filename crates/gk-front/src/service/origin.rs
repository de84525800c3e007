//! Where the answer to a request comes from, and the response that is made of it.

use gk_wire::log::Level;
use http::Response;
use http::request::Parts;
use std::rc::Rc;

use super::{Body, Hangup};
use crate::answer::response::{ResponseRules, page, respond};
use crate::client::endpoints::Endpoints;
use crate::client::requester::Requester;
use crate::front::RoutedRequest;
use crate::request::refusal::Refusal;
use crate::worker::exchange::Exchange;

/// The response to a request's answer. `parts`: its header map becomes the response's. `logged`: there is an access log.
pub(super) fn made(
    answer: Result<Answer, Refusal>,
    requester: &Requester,
    ends: &Endpoints,
    parts: &mut Parts,
    logged: bool,
) -> Result<Response<Body>, Hangup> {
    Ok(match answer {
        Ok(Answer::Worker(exchange, routed)) => {
            let rules = ResponseRules {
                client: &ends.client,
                longest_header: routed.app.as_ref().map_or(usize::MAX, |(pool, _)| pool.limits().header_line),
                error_override: routed.target.settings.error_override,
                logged,
            };
            respond(parts, exchange, &rules)
        }
        Ok(Answer::Own(response)) => *response,
        Err(Refusal::ClientGone) => return Err(Hangup),
        Err(refusal) => {
            if let Some((code, text)) = refusal.note() {
                crate::note_code(Level::Error, code, Some(&ends.client), text);
            }
            if refusal.closes() {
                requester.refuse_rest();
            }
            page(&refusal)
        }
    })
}

/// The origin of the response. Small, because it is moved through several futures.
pub(super) enum Answer {
    /// A worker; the head is there.
    Worker(Exchange, Rc<RoutedRequest>),
    /// The front itself.
    Own(Box<Response<Body>>),
}
