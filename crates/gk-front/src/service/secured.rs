//! Requests over TLS: whether the connection was made for the request's host, and for what the place asks of it. Hands are shaken
//! once, so a place that asks for more than the connection has is closed.

use gk_config::site::{SslSettings, VerifyClient};
use gk_wire::log::Level;
use http::StatusCode;
use rustls::pki_types::UnixTime;

use crate::client::tls::clients::Verified;
use crate::client::tls::facts::TlsFacts;
use crate::client::tls::is_compatible;
use crate::log::access_log::Entry;
use crate::request::refusal::Refusal;
use crate::service::Serving;

/// Without virtual hosts that have names, nobody has to say one: the main server and one more.
const NAMELESS: usize = 2;

impl Serving<'_> {
    /// Whether the connection may carry a request for this host. Apache's words for the answer are Misdirected Request: the client
    /// makes another connection.
    pub(super) fn check_name(&self, host: Option<&[u8]>) -> Result<(), Refusal> {
        let ends = self.ends;
        // Who has shaken no hands has sent no request; the site may have stopped to speak TLS.
        let (Some(facts), Some(tls)) = (ends.tls(), self.current.tls()) else {
            return Err(self.misdirected("TLS is not spoken any more"));
        };
        if host.is_none() && facts.name.is_some() {
            let text = "the client named a host when it shook hands, and its request names none";
            crate::note_code(Level::Error, "AH02031", Some(&ends.client), text);
            return Err(Refusal::Bad("The request names no host, and its connection was made for one."));
        }
        let compiled = &self.current.compiled;
        let local = ends.local_address();
        let asked = compiled.host(local, host);
        let Some(own) = tls.host(asked) else { return Err(self.misdirected("its host speaks no TLS")) };
        let same_site = facts.number == tls.number;
        // After a reload the host of the handshake is the one that its name chooses now.
        let shaken = match same_site {
            true => facts.host,
            false => compiled.host(local, facts.name.as_deref().map(str::as_bytes)),
        };
        let shaken = tls.host(shaken);
        let named = compiled.site().hosts.len() > NAMELESS;
        let strict = own.setup.strict_sni || shaken.is_some_and(|host| host.setup.strict_sni);
        if strict && named && facts.name.is_none() {
            let client = Some(&*ends.client);
            crate::note_code(Level::Error, "AH02033", client, "the client named no host when it shook hands");
            return Err(Refusal::Forbidden);
        }
        if !shaken.is_some_and(|host| is_compatible(&host.setup, &own.setup)) {
            return Err(self.misdirected("its host has another TLS than the one of the handshake"));
        }
        if same_site {
            return Ok(());
        }
        // Who was let in by other rules has to shake hands again.
        let verdict = match &own.clients {
            Some(judge) if facts.setup.clients.verify != VerifyClient::None => {
                judge.admits(&judge.judge(&facts.client, UnixTime::now()))
            }
            Some(_) => false,
            None => facts.setup.clients.verify == VerifyClient::None,
        };
        if verdict { Ok(()) } else { Err(self.misdirected("client certificates are judged otherwise now")) }
    }

    fn misdirected(&self, why: &str) -> Refusal {
        let text = format!("the request cannot be served on this connection: {why}");
        crate::note_code(Level::Error, "AH02032", Some(&self.ends.client), &text);
        Refusal::Status(StatusCode::MISDIRECTED_REQUEST)
    }

    /// Whether the connection has what a place asks of it.
    pub(super) fn check_tls(
        &self,
        asked: &SslSettings,
        host: usize,
        entry: &mut Option<Box<Entry>>,
    ) -> Result<(), Refusal> {
        let Some(facts) = self.ends.tls() else {
            if self.is_plain_by_now() {
                return Err(self.closed("the address speaks TLS by now, and the connection is older"));
            }
            return if asked.require_tls { Err(self.closed("TLS is required")) } else { Ok(()) };
        };
        let of_host = self.current.compiled.site().hosts[host].tls.as_ref();
        let verify = asked.verify.or(of_host.map(|tls| tls.clients.verify)).unwrap_or_default();
        if verify == VerifyClient::Require {
            match facts.verified {
                Verified::Valid(authorities) if asked.depth.is_none_or(|depth| authorities <= depth) => {}
                Verified::Valid(_) => {
                    return Err(self.closed("the chain of the client's certificate is too long"));
                }
                Verified::Wrong(_) => return Err(self.closed("the client's certificate is not valid")),
                Verified::Nothing => return Err(self.closed("a client certificate is required")),
            }
        }
        if let (Some(entry), Some(user)) = (entry, facts.user(asked)) {
            entry.user = Some(user.into_owned());
        }
        Ok(())
    }

    fn closed(&self, why: &str) -> Refusal {
        let text = format!("access to uri {} failed, reason: {why}", self.parts.uri.path());
        crate::note_code(Level::Error, "AH02219", Some(&self.ends.client), &text);
        Refusal::Forbidden
    }

    /// Whether hands were shaken before certificates or settings changed: then the client shakes them again for its next request.
    pub(super) fn is_of_old_tls(&self) -> bool {
        let old = |facts: &TlsFacts| self.current.tls().is_none_or(|tls| tls.number != facts.number);
        self.ends.tls().map_or_else(|| self.is_plain_by_now(), |facts| old(facts))
    }

    /// Whether the connection is plain, and new ones of its address would speak TLS: a reload came between.
    fn is_plain_by_now(&self) -> bool {
        let site = || self.current.compiled.site();
        !self.ends.https && self.current.has_tls() && site().speaks_tls(self.ends.local_address())
    }
}
