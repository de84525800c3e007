//! `GilkeeperTraces`: pushes spans of requests to an OpenTelemetry receiver, by OTLP over HTTP or gRPC. A push that fails is counted, and
//! its spans are lost.

use crate::kept::deliveries::Deliveries;
use crate::kept::traces::{Measured, TracedRequest};
use crate::note;
use crate::told::otlp::{self, ServerIdentity};
use bytes::{BufMut, Bytes, BytesMut};
use gk_config::measurements::Traces;
use gk_telemetry::Reason;
use gk_telemetry::figures::{FIGURES, Shown};
use gk_wire::log::Level;
use gk_wire::setup::duration;
use h2::client;
use http::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use http::{Method, Request, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::time::MissedTickBehavior;

/// Requests that wait for a push.
pub(crate) const WAITING: usize = 16 * 1024;
/// Requests in one push.
const BATCH: usize = 512;
/// Longest duration of a push.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bit of a span's flags: its trace is sampled.
const SAMPLED: u32 = 1;
/// Bytes before a message of gRPC: whether it is compressed, and its length.
const GRPC_HEAD: usize = 5;

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

fn whole(key: &str, value: u64) -> KeyValue {
    attribute(key, Any::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn seconds(key: &str, nanos: u64) -> KeyValue {
    attribute(key, Any::DoubleValue(nanos as f64 / 1e9))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The requests as an OTLP message.
pub fn message(
    requests: &[TracedRequest],
    service: &str,
    identity: &ServerIdentity,
) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let scope = InstrumentationScope {
        name: "gilkeeper".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let attributes = vec![
        text("service.name", service),
        text("service.instance.id", &identity.instance),
        text("host.name", &identity.host),
        text("telemetry.sdk.name", "gilkeeper"),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.version", version),
    ];
    let spans = requests.iter().flat_map(spans).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

/// The numbers of a span and of its relatives.
struct Numbers {
    trace: Vec<u8>,
    span: u64,
    state: String,
    flags: u32,
}

impl Numbers {
    fn span(
        &self,
        number: u64,
        parent: Vec<u8>,
        name: String,
        kind: SpanKind,
        (start, end): (u64, u64),
    ) -> Span {
        Span {
            trace_id: self.trace.clone(),
            span_id: number.to_be_bytes().to_vec(),
            parent_span_id: parent,
            trace_state: self.state.clone(),
            flags: self.flags,
            name,
            kind: kind as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: end.max(start),
            ..Span::default()
        }
    }

    /// A span within ours; `which` tells them apart.
    fn within(&self, which: u64, name: &str, times: (u64, u64)) -> Span {
        // Numbers of other spans are random, so a neighbour is nobody's.
        let number = self.span.wrapping_add(which).max(1);
        self.span(number, self.span.to_be_bytes().to_vec(), name.to_owned(), SpanKind::Internal, times)
    }
}

/// The spans of a request: that of the server, and within it queue, application and response.
fn spans(traced: &TracedRequest) -> Vec<Span> {
    let TracedRequest { span: seen, measured } = traced;
    let numbers = Numbers {
        trace: u128::from_str_radix(&seen.trace, 16).unwrap_or_default().to_be_bytes().to_vec(),
        span: u64::from_str_radix(&seen.span, 16).unwrap_or_default(),
        state: seen.state.clone().unwrap_or_default(),
        flags: if seen.sampled { SAMPLED } else { 0 },
    };
    let parent = seen.parent.as_deref().and_then(|parent| u64::from_str_radix(parent, 16).ok());
    let parent = parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default();
    let start = (seen.start * 1e9) as u64;
    let at = |seconds: f64| start + (seconds * 1e9) as u64;
    let name = match measured {
        Some(measured) => format!("{} {}", seen.method, measured.request.finished.route),
        None => seen.method.clone(),
    };
    let mut server = numbers.span(numbers.span, parent, name, SpanKind::Server, (start, at(seen.end)));
    server.attributes = server_attributes(traced);
    if seen.status >= 500 || matches!(seen.reason, Reason::BrokenOff | Reason::Unread) {
        let message = answered_by(seen.reason).to_owned();
        server.status = Some(Status { message, code: StatusCode::Error as i32 });
    }
    let mut all = vec![server];
    if let Some(measured) = measured {
        let record = &measured.request.finished.record;
        let queued = start + record.server;
        all.push(numbers.within(1, "queue", (queued, queued + record.queue)));
        let begun = queued + record.queue + record.daemon;
        let mut application = numbers.within(2, "application", (begun, begun + record.application));
        application.attributes = application_attributes(measured);
        let raised = &measured.request.finished.raised;
        if !raised.is_empty() {
            let code = StatusCode::Error as i32;
            application.status = Some(Status { message: raised.clone(), code });
            application.events = vec![Event {
                time_unix_nano: begun + record.application,
                name: "exception".to_owned(),
                attributes: vec![text("exception.type", raised)],
                ..Event::default()
            }];
        }
        all.push(application);
    }
    if let Some(head) = seen.head {
        all.push(numbers.within(3, "response", (at(head), at(seen.end))));
    }
    all
}

/// Who answered, or why the front did. The application's whole answer has no reason in `/metrics`.
fn answered_by(reason: Reason) -> &'static str {
    if reason.name().is_empty() { reason.source() } else { reason.name() }
}

fn server_attributes(traced: &TracedRequest) -> Vec<KeyValue> {
    let TracedRequest { span: seen, measured } = traced;
    let mut attributes = vec![
        text("http.request.method", &seen.method),
        text("url.path", &seen.path),
        text("url.scheme", if seen.https { "https" } else { "http" }),
        text("network.protocol.name", "http"),
        text("network.protocol.version", &seen.version),
        whole("http.response.status_code", seen.status.into()),
        text("gilkeeper.request_id", &seen.id),
        text("gilkeeper.answered_by", answered_by(seen.reason)),
    ];
    // The colons of an IPv6 address stand in brackets.
    let port = seen.host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    attributes.push(text("server.address", port.map_or(&*seen.host, |(host, _)| host)));
    attributes.extend(port.and_then(|(_, port)| port.parse().ok()).map(|port| whole("server.port", port)));
    for (key, value) in [
        ("client.address", &seen.client),
        ("user_agent.original", &seen.user_agent),
        ("gilkeeper.process_group", &seen.process_group),
    ] {
        if !value.is_empty() {
            attributes.push(text(key, value));
        }
    }
    if let Some(measured) = measured {
        let finished = &measured.request.finished;
        attributes.push(text("gilkeeper.route", &finished.route));
        attributes.push(text("gilkeeper.application_group", &finished.application_group));
        attributes.push(whole("process.pid", measured.request.pid.into()));
        attributes.push(whole("gilkeeper.thread", finished.thread.into()));
    }
    attributes
}

fn application_attributes(measured: &Measured) -> Vec<KeyValue> {
    let finished = &measured.request.finished;
    let record = &finished.record;
    let mut attributes = vec![
        seconds("gilkeeper.cpu", record.cpu),
        seconds("gilkeeper.gil_wait", record.gil_wait()),
        whole("gilkeeper.gil_waits", record.waits),
        seconds("gilkeeper.runnable", record.runnable),
        seconds("gilkeeper.blocked", record.blocked),
        seconds("gilkeeper.starting", record.daemon),
        whole("gilkeeper.bytes_in", record.bytes_in),
        whole("gilkeeper.bytes_out", record.bytes_out),
    ];
    // What threads of a process without a GIL waited for each other.
    for (what, of) in FIGURES.iter().filter_map(|row| row.lock().zip(row.of_request)) {
        if let Shown::Number(ns @ 1..) = of(record) {
            attributes.push(seconds(&format!("gilkeeper.lock_wait.{what}"), ns));
        }
    }
    if finished.longest_wait > 0 {
        attributes.push(seconds("gilkeeper.longest_gil_wait", finished.longest_wait));
        attributes.push(text("gilkeeper.gil_culprit", &finished.culprit));
    }
    attributes.extend(measured.holder.as_ref().map(|holder| text("gilkeeper.gil_holder", holder)));
    attributes
}

/// Tells the task that pushes that the server ends.
#[derive(Default)]
pub(crate) struct SpansEnding {
    asked: Notify,
    done: Notify,
}

impl SpansEnding {
    /// Has everything pushed that waits, and waits for that.
    pub(crate) async fn ask(&self) {
        self.asked.notify_one();
        self.done.notified().await;
    }
}

/// The export as it is configured.
pub(crate) struct SpanExport {
    pub(crate) wanted: Traces,
    pub(crate) identity: ServerIdentity,
    pub(crate) deliveries: Arc<Deliveries>,
}

impl SpanExport {
    /// Pushes what comes, at the interval that is wanted, until nothing more will.
    pub(crate) async fn push(self, mut requests: Receiver<TracedRequest>, ending: Arc<SpansEnding>) {
        let mut interval = tokio::time::interval(duration(self.wanted.interval.clamp(1.0, 86_400.0)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ends = tokio::select! {
                _ = interval.tick() => false,
                () = ending.asked.notified() => true,
            };
            let mut batch = Vec::new();
            loop {
                while batch.len() < BATCH
                    && let Ok(one) = requests.try_recv()
                {
                    batch.push(one);
                }
                // A quiet server sends nothing.
                if batch.is_empty() {
                    break;
                }
                self.push_batch(&batch).await;
                batch.clear();
            }
            if ends {
                ending.done.notify_one();
            }
            if requests.is_closed() {
                return;
            }
        }
    }

    async fn push_batch(&self, batch: &[TracedRequest]) {
        let Self { wanted, identity, deliveries } = self;
        let message = message(batch, &wanted.service, identity).encode_to_vec();
        let attempt = async {
            match wanted.grpc {
                true => grpc(wanted, &message).await,
                false => {
                    otlp::post(&wanted.authority, &wanted.path, &wanted.headers, Bytes::from(message)).await
                }
            }
        };
        let outcome = tokio::time::timeout(TIMEOUT, attempt).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
        let scheme = if wanted.grpc { "grpc" } else { "http" };
        match outcome {
            Ok(()) => {
                deliveries.add_sent(batch.len() as u64);
                if deliveries.end_failing() {
                    note(Level::Notice, &format!("{scheme}://{} accepts spans again", wanted.authority));
                }
            }
            Err(why) => {
                deliveries.add_lost(batch.len() as u64);
                if deliveries.begin_failing() {
                    let text = format!(
                        "spans cannot be pushed to {scheme}://{}: {why}; each interval tries again with new ones",
                        wanted.authority
                    );
                    note(Level::Warn, &text);
                }
            }
        }
    }
}

/// One call of gRPC without TLS.
async fn grpc(wanted: &Traces, message: &[u8]) -> Result<(), String> {
    let failed = |why: h2::Error| why.to_string();
    let stream = TcpStream::connect(&wanted.authority).await.map_err(|why| why.to_string())?;
    let (client, connection) = client::handshake(stream).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let uri: Uri = format!("http://{}{}", wanted.authority, wanted.path)
        .parse()
        .map_err(|why: http::uri::InvalidUri| why.to_string())?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(TE, "trailers")
        .header(CONTENT_TYPE, "application/grpc")
        .header(USER_AGENT, concat!("gilkeeper/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &wanted.headers {
        request = request.header(name.to_ascii_lowercase(), value);
    }
    let request = request.body(()).map_err(|why| why.to_string())?;
    let mut body = BytesMut::with_capacity(GRPC_HEAD + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).map_err(|_| "the message is too long")?);
    body.put_slice(message);
    let mut client = client.ready().await.map_err(failed)?;
    let (answer, mut sender) = client.send_request(request, false).map_err(failed)?;
    sender.send_data(body.freeze(), true).map_err(failed)?;
    let answer = answer.await.map_err(failed)?;
    let status = answer.status();
    let head = answer.headers().clone();
    let mut body = answer.into_body();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(failed)?;
        let _ = body.flow_control().release_capacity(piece.len());
    }
    let trailers = body.trailers().await.map_err(failed)?;
    connection.abort();
    if !status.is_success() {
        return Err(format!("the answer was {status}"));
    }
    // An answer without a message has its status in the head.
    outcome(trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(&head))
}

fn outcome(fields: &HeaderMap) -> Result<(), String> {
    let field = |name: &str| fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    match field("grpc-status") {
        "0" => Ok(()),
        code => {
            let said: String = field("grpc-message").chars().filter(|c| !c.is_control()).take(200).collect();
            Err(format!("the answer was status {code} of gRPC {said}").trim_end().to_owned())
        }
    }
}
