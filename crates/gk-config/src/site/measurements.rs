//! Measurements and exports, as the directives request them.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `GilkeeperMeasurements` and its relatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// `GilkeeperMeasurements` (default true): the workers have scoreboards.
    pub on: bool,
    /// `WSGISlowRequests`: requests whose application takes longer are kept with a stack; seconds, 0: none.
    pub slow_requests: f64,
    /// `GilkeeperHolders`.
    #[serde(default)]
    pub holders: Holders,
    /// `GilkeeperRequestId`: requests have ids. With traces they have them in any case.
    #[serde(default)]
    pub request_ids: bool,
    /// Where figures are sent.
    #[serde(default)]
    pub export: Export,
    /// `GilkeeperAdminTLS`: the admin pages speak TLS.
    #[serde(default)]
    pub admin_tls: Option<AdminTls>,
    /// `GilkeeperAdmin … token=always`: a loopback address asks for the token, too.
    #[serde(default)]
    pub admin_token: bool,
}

impl Default for Measurements {
    fn default() -> Self {
        Self {
            on: true,
            slow_requests: 0.0,
            holders: Holders::default(),
            request_ids: false,
            export: Export::default(),
            admin_tls: None,
            admin_token: false,
        }
    }
}

/// Waits for the GIL that are booked to the line of the application that held it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holders {
    /// Those that last a switch interval.
    #[default]
    SwitchInterval,
    /// Those that last so many seconds.
    From(f64),
    /// None.
    Off,
}

impl Holders {
    /// As the worker's setup has it: seconds, negative for the switch interval.
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::SwitchInterval => Some(-1.0),
            Self::From(seconds) => Some(seconds),
            Self::Off => None,
        }
    }
}

/// `service.name` where none is given.
const SERVICE: &str = "gilkeeper";

/// Where figures are sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// `WSGITelemetryService`.
    pub datagrams: Option<Datagrams>,
    /// `GilkeeperOTLP`.
    pub otlp: Option<Otlp>,
    /// `GilkeeperStatsd`.
    pub statsd: Option<Statsd>,
    /// `GilkeeperTraces`.
    #[serde(default)]
    pub traces: Option<Traces>,
}

impl Export {
    /// Whether anything is sent anywhere.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// mod_wsgi's telemetry datagrams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Datagrams {
    /// The receiver's socket.
    pub socket: PathBuf,
    /// Seconds.
    pub interval: f64,
}

/// OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Otlp {
    /// `HOST:PORT` of the URL.
    pub authority: String,
    /// Path of the URL.
    pub path: String,
    /// `service.name` of the metrics.
    pub service: String,
    /// Seconds.
    pub interval: f64,
    /// Header fields to send along.
    pub headers: Vec<(String, String)>,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            authority: String::new(),
            path: "/v1/metrics".to_owned(),
            service: SERVICE.to_owned(),
            interval: 10.0,
            headers: Vec::new(),
        }
    }
}

/// Spans of requests by OTLP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traces {
    /// gRPC in place of HTTP.
    pub grpc: bool,
    /// `HOST:PORT` of the URL.
    pub authority: String,
    /// Path of the URL; with gRPC the method's.
    pub path: String,
    /// `service.name` of the spans.
    pub service: String,
    /// Share of the traces that begin here and are sampled, from 0 to 1.
    pub ratio: f64,
    /// Whose `traceparent` counts.
    pub believe: Believed,
    /// Seconds from which on a request is slow, so that its spans are sent in any case.
    pub slow: f64,
    /// Seconds between two pushes.
    pub interval: f64,
    /// Header fields to send along.
    pub headers: Vec<(String, String)>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            grpc: false,
            authority: String::new(),
            path: "/v1/traces".to_owned(),
            service: SERVICE.to_owned(),
            ratio: 0.01,
            believe: Believed::Proxies,
            slow: 1.0,
            interval: 5.0,
            headers: Vec::new(),
        }
    }
}

/// Whose `traceparent` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Believed {
    /// Everybody's trace is continued; only trusted proxies say whether it is sampled.
    #[default]
    Proxies,
    /// Everybody says that.
    Everybody,
    /// Every request begins a trace of its own.
    Nobody,
}

/// statsd over UDP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statsd {
    /// `HOST:PORT`.
    pub address: String,
    /// Seconds.
    pub interval: f64,
    /// Prefix of the names.
    pub prefix: String,
}

/// Files of the admin pages' TLS, in PEM form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdminTls {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of client certificates; with them, who has none needs the token.
    pub client_authorities: Option<PathBuf>,
}
