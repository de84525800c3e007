//! `GilkeeperOTLP`: pushes the metrics of `/metrics` to an OpenTelemetry collector, as OTLP over HTTP in protobuf form. A push that
//! fails is counted and dropped: the next one contains all counters again.

use crate::kept::deliveries::Deliveries;
use crate::note;
use crate::told::families::{EDGES, Families, Form, Value};
use bytes::Bytes;
use gk_config::measurements::Otlp;
use gk_telemetry::Histogram;
use gk_wire::log::Level;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram as OtlpHistogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest duration of a push.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER: usize = 64 * 1024;

/// Identity of this server in its pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    /// `host.name`.
    pub host: String,
    /// `service.instance.id`: the server root, which is unique on a host.
    pub instance: String,
    /// Start of the counters, epoch nanoseconds.
    pub started: u64,
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// The families as an OTLP message. `now`: epoch nanoseconds.
pub fn message(
    families: &Families,
    service: &str,
    identity: &ServerIdentity,
    now: u64,
) -> ExportMetricsServiceRequest {
    let metrics = families.0.iter().filter(|family| !family.points.is_empty()).map(|family| {
        let cumulative = AggregationTemporality::Cumulative as i32;
        let data = match family.form {
            Form::Counter => Data::Sum(Sum {
                data_points: numbers(family, identity.started, now),
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
            Form::Gauge => Data::Gauge(Gauge { data_points: numbers(family, 0, now) }),
            Form::Histogram => Data::Histogram(OtlpHistogram {
                data_points: histograms(family, identity.started, now),
                aggregation_temporality: cumulative,
            }),
        };
        let unit = match family.name {
            name if name.contains("seconds") => "s",
            name if name.contains("bytes") => "By",
            // Not "1", which collectors take for a ratio: for Prometheus they would call the gauge NAME_ratio.
            _ => "",
        };
        Metric {
            name: family.name.to_owned(),
            description: family.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    });
    let version = env!("CARGO_PKG_VERSION");
    let scope = InstrumentationScope {
        name: "gilkeeper".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope), metrics: metrics.collect(), ..ScopeMetrics::default() }];
    let attributes = vec![
        text("service.name", service),
        text("service.version", version),
        text("service.instance.id", &identity.instance),
        text("host.name", &identity.host),
    ];
    let resource = Resource { attributes, ..Resource::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics,
            ..ResourceMetrics::default()
        }],
    }
}

fn attributes(labels: &[(&'static str, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| text(name, value)).collect()
}

fn numbers(family: &crate::told::families::Family, started: u64, now: u64) -> Vec<NumberDataPoint> {
    let point = |point: &crate::told::families::Point| match &point.value {
        Value::Number(number) => Some(NumberDataPoint {
            attributes: attributes(&point.labels),
            start_time_unix_nano: started,
            time_unix_nano: now,
            value: Some(number_data_point::Value::AsDouble(*number)),
            ..NumberDataPoint::default()
        }),
        Value::Histogram(_) => None,
    };
    family.points.iter().filter_map(point).collect()
}

fn histograms(family: &crate::told::families::Family, started: u64, now: u64) -> Vec<HistogramDataPoint> {
    let point = |point: &crate::told::families::Point| match &point.value {
        Value::Histogram(histogram) => Some(HistogramDataPoint {
            attributes: attributes(&point.labels),
            start_time_unix_nano: started,
            time_unix_nano: now,
            count: histogram.count(),
            sum: Some(histogram.sum as f64 / 1e9),
            bucket_counts: bucket_counts(histogram),
            explicit_bounds: EDGES.iter().map(|(_, edge)| *edge).collect(),
            ..HistogramDataPoint::default()
        }),
        Value::Number(_) => None,
    };
    family.points.iter().filter_map(point).collect()
}

/// Counts between the edges. Unlike in Prometheus' form, a bucket does not include the ones below it.
fn bucket_counts(histogram: &Histogram) -> Vec<u64> {
    let mut below = 0;
    let mut counts: Vec<u64> = EDGES
        .iter()
        .map(|(_, seconds)| {
            let at_most = histogram.at_most((seconds * 1e9) as u64);
            at_most - std::mem::replace(&mut below, at_most)
        })
        .collect();
    counts.push(histogram.count() - below);
    counts
}

/// Pushes once.
pub async fn push(wanted: &Otlp, message: &ExportMetricsServiceRequest, deliveries: &Deliveries) {
    let body = Bytes::from(message.encode_to_vec());
    let attempt = post(&wanted.authority, &wanted.path, &wanted.headers, body);
    let outcome = tokio::time::timeout(TIMEOUT, attempt).await;
    let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
    match outcome {
        Ok(()) => {
            deliveries.count_sent();
            if deliveries.end_failing() {
                note(
                    Level::Notice,
                    &format!("http://{}{} accepts metrics again", wanted.authority, wanted.path),
                );
            }
        }
        Err(why) => {
            deliveries.count_lost();
            if deliveries.begin_failing() {
                let text = format!(
                    "metrics cannot be pushed to http://{}{}: {why}; each interval tries again",
                    wanted.authority, wanted.path
                );
                note(Level::Warn, &text);
            }
        }
    }
}

/// Posts a message in protobuf form.
pub(crate) async fn post(
    authority: &str,
    path: &str,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<(), String> {
    let stream = TcpStream::connect(authority).await.map_err(|why| why.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|why| why.to_string())?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/x-protobuf")
        .header(USER_AGENT, concat!("gilkeeper/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|why| why.to_string())?;
    let answer = sender.send_request(request).await.map_err(|why| why.to_string())?;
    let status = answer.status();
    // The body of a refusal says why, and goes into the log.
    let said = Limited::new(answer.into_body(), ANSWER).collect().await;
    connection.abort();
    if status.is_success() {
        return Ok(());
    }
    let said = said.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    let said =
        said.lines().next().unwrap_or("").chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    Err(format!("the answer was {status} {said}").trim_end().to_owned())
}
