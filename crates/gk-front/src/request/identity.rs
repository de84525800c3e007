//! The id of a request and its place in a trace, on sites that want them. Made before anything else is known of a request; a trusted
//! proxy's `X-Request-ID` takes the place of ours, and the `traceparent` of whoever asks is continued.

use gk_config::measurements::{Believed, Traces};
use gk_config::site::Site;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::rc::Rc;

use crate::client::endpoints::Endpoints;
use crate::request::proxy_trust::Proxies;

/// The request's id, in requests and responses.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The place in a trace (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What systems of tracing add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Longest id that is taken from a proxy.
const LONGEST_ID: usize = 64;
/// Longest `tracestate` that a span keeps.
const LONGEST_STATE: usize = 512;

/// Random numbers of a front: no two fronts give the same id.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// First half of every id.
    front: u64,
    /// What the numbers of requests are mixed with.
    key: u64,
}

impl Seed {
    /// From the system's random numbers.
    pub fn new() -> Self {
        // Without random numbers the clock and the process tell fronts apart.
        let other = gk_sys::clock::epoch_micros() << 20 | u64::from(std::process::id());
        let random = || getrandom::u64().unwrap_or_else(|_| mixed(other));
        Self { front: random() | 1, key: random() }
    }
}

impl Default for Seed {
    fn default() -> Self {
        Self::new()
    }
}

/// A number spread over all bits; different numbers stay different (the finalizer of splitmix64).
fn mixed(number: u64) -> u64 {
    let x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What a site wants of ids.
pub struct Identities {
    proxies: Proxies,
    traces: Option<Traces>,
}

impl Identities {
    /// `None`: requests have none.
    pub fn of(site: &Site) -> Option<Self> {
        let measurements = &site.measurements;
        let traces = measurements.export.traces.clone();
        (measurements.request_ids || traces.is_some()).then(|| Self { proxies: Proxies::of(site), traces })
    }

    /// Seconds from which on a request counts as slow for traces.
    pub fn slow(&self) -> Option<f64> {
        self.traces.as_ref().map(|traces| traces.slow)
    }

    /// Those of a request. `number`: the front's. `ends`: of its connection, before a proxy has named the client.
    pub fn begin(&self, seed: Seed, number: u64, ends: &Endpoints, headers: &HeaderMap) -> Identity {
        let own = u128::from(seed.front) << 64 | u128::from(mixed(number ^ seed.key));
        let trusted = self.proxies.trust(ends);
        let sent = trusted.then(|| headers.get(X_REQUEST_ID).and_then(acceptable)).flatten();
        let id = sent.map_or_else(|| format!("{own:032x}").into(), Rc::from);
        let trace = self.traces.as_ref().map(|wanted| {
            let span = mixed(number.wrapping_add(seed.key)).max(1);
            Box::new(Trace::begin(wanted, own, span, headers, trusted))
        });
        Identity { number, id, trace }
    }
}

/// An id that may stand in a log, a header and a URL.
fn acceptable(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-_.:=+/@~".contains(&b);
    (!text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(sound)).then_some(text)
}

/// A request's id and its place in a trace.
pub struct Identity {
    /// The front's number.
    pub number: u64,
    /// Its text.
    pub id: Rc<str>,
    /// Its place in a trace, on a site with traces.
    pub trace: Option<Box<Trace>>,
}

impl Identity {
    /// Whether the application gets another value for this header, or none.
    pub fn replaces(&self, name: &HeaderName) -> bool {
        let traced = |trace: &Trace| *name == TRACEPARENT || (*name == TRACESTATE && trace.state.is_none());
        *name == X_REQUEST_ID || self.trace.as_deref().is_some_and(traced)
    }

    /// `traceparent` for the application; empty without traces.
    pub fn traceparent(&self) -> &[u8] {
        self.trace.as_ref().map_or(b"", |trace| &trace.text)
    }

    /// Whether its figures are wanted however fast it is.
    pub fn is_sampled(&self) -> bool {
        self.trace.as_ref().is_some_and(|trace| trace.sampled)
    }
}

/// The place of a request in a trace.
pub struct Trace {
    /// Number of the trace.
    pub id: u128,
    /// Number of our span.
    pub span: u64,
    /// Number of the span that asks.
    pub parent: Option<u64>,
    /// Its spans are sent in any case.
    pub sampled: bool,
    /// `tracestate` that came with `traceparent`.
    pub state: Option<String>,
    /// `traceparent` of what our span asks.
    text: Vec<u8>,
}

impl Trace {
    fn begin(wanted: &Traces, own: u128, span: u64, headers: &HeaderMap, trusted: bool) -> Self {
        let continued = match wanted.believe {
            Believed::Nobody => None,
            _ => parent(headers),
        };
        let id = continued.map_or(own, |parent| parent.trace);
        let heeded = trusted || wanted.believe == Believed::Everybody;
        let sampled = match continued {
            Some(parent) if heeded => parent.sampled,
            _ => chosen(id, wanted.ratio),
        };
        let states = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok());
        let state: Vec<&str> = states.collect();
        let state = continued
            .is_some()
            .then(|| state.join(","))
            .filter(|text| !text.is_empty() && text.len() <= LONGEST_STATE);
        let text = format!("00-{id:032x}-{span:016x}-{:02x}", u8::from(sampled)).into_bytes();
        Self { id, span, parent: continued.map(|parent| parent.span), sampled, state, text }
    }
}

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

/// The `traceparent` of a request; one that is not understood, or is there twice, is none.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let text = value.to_str().ok()?.trim();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may have more parts.
    let is_version = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !(is_version && hex(trace, 32) && hex(span, 16) && hex(flags, 2)) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
    Some(Parent { trace, span, sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1 })
}

/// Whether a trace is among the share that is sampled: by its number, so that every service chooses the same.
fn chosen(trace: u128, ratio: f64) -> bool {
    // As OpenTelemetry's TraceIdRatioBased does.
    ((trace as u64) >> 1) < (ratio * (1u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let found = parent(&headers(&[("traceparent", sound)])).unwrap();
        assert_eq!(
            (format!("{:032x}", found.trace), found.span, found.sampled),
            (TRACE.into(), 0x00f0_67aa_0ba9_02b7, true)
        );
        for (value, understood) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            // A later version with more parts.
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false),
            ("", false),
        ] {
            assert_eq!(parent(&headers(&[("traceparent", value)])).is_some(), understood, "{value}");
        }
        assert_eq!(parent(&headers(&[("traceparent", sound), ("traceparent", sound)])), None);
    }

    #[test]
    fn who_is_sampled() {
        let yes = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let no = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        for (believe, ratio, sent, trusted, sampled, continued) in [
            (Believed::Proxies, 0.0, Some(yes), true, true, true),
            (Believed::Proxies, 0.0, Some(yes), false, false, true),
            (Believed::Proxies, 1.0, Some(no), true, false, true),
            (Believed::Proxies, 1.0, Some(no), false, true, true),
            (Believed::Everybody, 0.0, Some(yes), false, true, true),
            (Believed::Nobody, 1.0, Some(no), true, true, false),
            (Believed::Nobody, 0.0, Some(yes), true, false, false),
            (Believed::Proxies, 1.0, None, false, true, false),
            (Believed::Proxies, 0.0, None, true, false, false),
        ] {
            let wanted = Traces { believe, ratio, ..Traces::default() };
            let sent: Vec<_> = sent.map(|sent| ("traceparent", sent)).into_iter().collect();
            let trace = Trace::begin(&wanted, 7, 9, &headers(&sent), trusted);
            assert_eq!(
                (trace.sampled, trace.parent.is_some()),
                (sampled, continued),
                "{believe:?} {ratio} {sent:?}"
            );
            let flags = if sampled { "01" } else { "00" };
            let text = String::from_utf8(trace.text.clone()).unwrap();
            assert!(text.starts_with(&format!("00-{:032x}-", trace.id)) && text.ends_with(flags), "{text}");
            assert!(text.contains("-0000000000000009-"), "{text}");
        }
    }

    #[test]
    fn a_tenth_of_traces_is_a_tenth() {
        let seed = Seed { front: 1, key: 0x1234_5678 };
        let traces = (0..10_000u64).map(|number| u128::from(mixed(number ^ seed.key)));
        let share = traces.filter(|trace| chosen(*trace, 0.1)).count();
        assert!((900..1100).contains(&share), "{share}");
        assert!(chosen(u128::MAX, 1.0) && !chosen(0, 0.0));
    }

    #[test]
    fn ids_of_proxies_are_short_and_plain() {
        for (id, taken) in [("a-1.b:c", true), ("", false), ("a b", false), ("a\"", false), ("<x>", false)] {
            assert_eq!(acceptable(&HeaderValue::from_static(id)).is_some(), taken, "{id}");
        }
        assert!(acceptable(&HeaderValue::from_str(&"x".repeat(65)).unwrap()).is_none());
    }
}
