//! Requests of places with access rules or a dispatch script: what they say, and what becomes of it.

use serde_json::Value;

use crate::access::decision::Protected;
use crate::access::hook::{HookCall, Unanswered};
use crate::front::RoutedRequest;
use crate::request::refusal::Refusal;
use crate::request::route::{Chosen, Destination};
use crate::request::rules::Asked;
use crate::service::Serving;

impl Serving<'_> {
    /// Asks the access rules of a place.
    pub(super) async fn guard(&self, asked: &mut Asked, routed: &RoutedRequest) -> Result<(), Refusal> {
        asked.admitted = false;
        match routed.target.settings.granted() {
            Some(true) => return Ok(()),
            // At once: neither a redirection nor a script of the place is asked.
            Some(false) => return Err(self.denied()),
            None => {}
        }
        let mut tried = None;
        let protected = Protected { call: self.hook_call(asked, routed), facts: &*asked };
        let decision = protected.admit(&mut tried).await;
        asked.tried = tried;
        asked.caller = decision?;
        asked.admitted = true;
        Ok(())
    }

    /// The choice of the place's dispatch script, if there is one.
    pub(super) async fn dispatch(
        &self,
        asked: &mut Asked,
        routed: &RoutedRequest,
    ) -> Result<Option<Chosen>, Refusal> {
        let (Some(script), Destination::App(app)) =
            (&routed.target.settings.dispatch, &routed.target.destination)
        else {
            return Ok(None);
        };
        asked.complete(routed);
        let environ = app.profile.environ.clone();
        let answer = self.hook_call(asked, routed).ask(script, "dispatch", &asked.extra, environ).await;
        let answer: Value = answer.map_err(|why| match why {
            Unanswered::Lost(refusal @ (Refusal::Busy(_) | Refusal::ClientGone)) => refusal,
            Unanswered::Failed | Unanswered::Lost(_) => Refusal::Internal,
        })?;
        serde_json::from_value(answer).map(Some).map_err(|_| Refusal::Internal)
    }

    fn hook_call<'a>(&'a self, asked: &'a Asked, routed: &'a RoutedRequest) -> HookCall<'a> {
        let Self { front, requester, ends, current, arrived, .. } = *self;
        HookCall { front, requester, ends, current, parts: &asked.parts, routed, arrived }
    }
}
