//! OTLP over HTTP taken in: `POST /v1/metrics`, in protobuf or JSON form, plain or compressed by gzip.

use crate::door::body::Page;
use crate::door::connections::Door;
use crate::door::guard::{Guard, Verdict};
use crate::heard::otlp_message::read;
use crate::pages::server::Shared;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// Connections at a time: servers and collectors, which keep theirs open.
const CONNECTIONS: usize = 512;
/// Longest body as it comes, in bytes.
const BODY: usize = 8 << 20;
/// Longest body once it is decompressed.
const UNPACKED: u64 = 32 << 20;

/// Takes connections.
pub(crate) async fn serve(listener: std::net::TcpListener, guard: Guard, shared: Arc<Shared>) {
    let Ok(door) = Door::new(listener, CONNECTIONS) else { return };
    let guard = Arc::new(guard);
    loop {
        let (stream, place) = door.next().await;
        let (shared, guard) = (Arc::clone(&shared), Arc::clone(&guard));
        let service = service_fn(move |request: Request<Incoming>| {
            let (shared, guard) = (Arc::clone(&shared), Arc::clone(&guard));
            async move { Ok::<_, Infallible>(answer(request, &guard, &shared).await) }
        });
        tokio::spawn(async move {
            let _place = place;
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(60));
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, guard: &Guard, shared: &Shared) -> Response<Page> {
    let refuse = |status: StatusCode, text: &str| {
        let mut response = Response::new(Page::Whole(Some(Bytes::from(format!("{text}\n")))));
        *response.status_mut() = status;
        response
    };
    match guard.judge(request.uri(), request.headers()) {
        Verdict::Welcome | Verdict::WelcomeWithCookie(_) => {}
        Verdict::TokenNeeded => {
            return refuse(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer …");
        }
        Verdict::Refused(why) => return refuse(StatusCode::FORBIDDEN, why),
    }
    if request.uri().path() != "/v1/metrics" {
        return refuse(StatusCode::NOT_FOUND, "only /v1/metrics is here");
    }
    if request.method() != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "metrics are pushed by POST");
    }
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let kind = header(CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("").trim().to_owned();
    let packed = header(CONTENT_ENCODING).unwrap_or("identity").to_owned();
    let outcome = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => message(&body.to_bytes(), &kind, &packed),
        Err(_) => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("the body ends early or has more than {BODY} bytes")))
        }
    };
    let now = gk_sys::clock::epoch_seconds();
    match outcome {
        Ok(message) => {
            let pushed = read(&message);
            shared.hub().pushed(pushed, now);
            // An empty answer says that everything was taken.
            let json = kind == "application/json";
            let mut response =
                Response::new(Page::Whole(Some(Bytes::from_static(if json { b"{}" } else { b"" }))));
            let kind = if json { "application/json" } else { "application/x-protobuf" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        Err((status, why)) => {
            shared.hub().fleet.intake.pushes_refused += 1;
            refuse(status, &why)
        }
    }
}

fn message(
    body: &[u8],
    kind: &str,
    packed: &str,
) -> Result<ExportMetricsServiceRequest, (StatusCode, String)> {
    let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
    let unpacked;
    let body = match packed {
        "identity" | "" => body,
        "gzip" => {
            let mut out = Vec::new();
            let read = GzDecoder::new(body).take(UNPACKED + 1).read_to_end(&mut out);
            read.map_err(|why| wrong(format!("the body is no gzip: {why}")))?;
            if out.len() as u64 > UNPACKED {
                let why = format!("the body has more than {UNPACKED} bytes once it is decompressed");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            unpacked = out;
            &unpacked
        }
        other => {
            let why = format!("Content-Encoding is gzip or absent, not `{other}`");
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
    };
    match kind {
        "application/x-protobuf" => ExportMetricsServiceRequest::decode(body)
            .map_err(|why| wrong(format!("the body is no ExportMetricsServiceRequest: {why}"))),
        "application/json" => serde_json::from_slice(body)
            .map_err(|why| wrong(format!("the body is no ExportMetricsServiceRequest: {why}"))),
        other => {
            let why = format!("Content-Type is application/x-protobuf or application/json, not `{other}`");
            Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
        }
    }
}
