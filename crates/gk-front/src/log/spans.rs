//! Requests of traces on their way to the admin process, which makes spans of them: what the front saw of each, kept from its head to
//! its end, and sent once a second if the trace is sampled or the request was slow or failed.

use gk_telemetry::Reason;
use gk_wire::feed::span::FrontSpan;
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{Method, Uri, Version};
use std::cell::{Cell, RefCell};

use crate::client::endpoints::Endpoints;
use crate::request::identity::{Identity, Trace};

/// Most requests that wait for the next second.
const MOST: usize = 4096;
/// Longest text of a request that a span keeps, in bytes.
const LONGEST: usize = 256;

/// What is known of a request when it begins.
pub struct SpanDraft {
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    client: String,
    https: bool,
    /// Epoch seconds.
    arrived: f64,
    /// Microseconds from which on it is slow.
    slow: u64,
}

impl SpanDraft {
    /// For a request that arrived at these epoch seconds, on a site where requests are slow from so many seconds on.
    pub fn new(parts: &Parts, ends: &Endpoints, arrived: f64, slow: f64) -> Self {
        let field = |name: &HeaderName| parts.headers.get(name).cloned();
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            host: field(&HOST),
            agent: field(&USER_AGENT),
            client: ends.peer.clone(),
            https: ends.https,
            arrived,
            slow: (slow * 1e6) as u64,
        }
    }

    /// Whether a request that ended so is of interest although its trace is not sampled.
    pub fn is_notable(&self, outcome: &SpanOutcome) -> bool {
        let broken = matches!(outcome.reason, Reason::BrokenOff | Reason::Unread);
        outcome.took >= self.slow || outcome.code >= 500 || broken
    }

    /// The span of a request that has ended.
    pub fn finish(
        &self,
        identity: &Identity,
        trace: &Trace,
        process_group: &str,
        outcome: &SpanOutcome,
    ) -> FrontSpan {
        let text = |value: &Option<HeaderValue>| {
            value.as_ref().map(|value| cut(&String::from_utf8_lossy(value.as_bytes()))).unwrap_or_default()
        };
        let host = match self.uri.authority() {
            Some(authority) => cut(authority.as_str()),
            None => text(&self.host),
        };
        let version = match self.version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        };
        FrontSpan {
            request: identity.number,
            id: identity.id.to_string(),
            trace: format!("{:032x}", trace.id),
            span: format!("{:016x}", trace.span),
            parent: trace.parent.map(|parent| format!("{parent:016x}")),
            state: trace.state.clone(),
            sampled: trace.sampled,
            process_group: process_group.to_owned(),
            method: cut(self.method.as_str()),
            path: cut(self.uri.path()),
            host,
            https: self.https,
            version: version.to_owned(),
            client: self.client.clone(),
            user_agent: text(&self.agent),
            status: outcome.code,
            reason: outcome.reason,
            start: self.arrived,
            head: outcome.head.map(|micros| micros as f64 / 1e6),
            end: outcome.took as f64 / 1e6,
        }
    }
}

/// How a request ended.
pub struct SpanOutcome {
    /// Status.
    pub code: u16,
    /// Who answered, or why the front did.
    pub reason: Reason,
    /// Microseconds from its head to that of its response.
    pub head: Option<u64>,
    /// Microseconds to the last byte of the response.
    pub took: u64,
}

/// A text that is not longer than a span keeps it.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

/// Spans that wait for the next second.
#[derive(Default)]
pub struct SpanOutbox {
    waiting: RefCell<Vec<FrontSpan>>,
    lost: Cell<u64>,
}

impl SpanOutbox {
    /// Adds one, or counts it as lost.
    pub fn put(&self, span: FrontSpan) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < MOST {
            waiting.push(span);
        } else {
            self.lose(1);
        }
    }

    /// Counts some that were lost on their way here.
    pub fn lose(&self, lost: u64) {
        self.lost.set(self.lost.get() + lost);
    }

    /// Takes them, and how many were lost.
    pub fn take(&self) -> (Vec<FrontSpan>, u64) {
        (std::mem::take(&mut *self.waiting.borrow_mut()), self.lost.take())
    }
}
