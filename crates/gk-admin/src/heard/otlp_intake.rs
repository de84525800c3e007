//! Receives OTLP over HTTP: `POST /v1/metrics`, in protobuf or JSON form, plain or compressed with gzip.

use crate::door::body::PageBody;
use crate::door::guard::{Guard, Verdict};
use crate::door::listener::LimitedListener;
use crate::heard::otlp_message::read;
use crate::heard::pushes::GroupPush;
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

/// Connections at a time. Servers and collectors keep theirs open.
const CONNECTIONS: usize = 512;
/// Longest body as it arrives, in bytes.
const BODY: usize = 8 << 20;
/// Longest body after decompression, in bytes.
const UNPACKED: u64 = 32 << 20;

/// An OTLP request as the receiver of this module gets it.
pub(crate) enum Pushed {
    /// The process groups of its message.
    Groups(Vec<GroupPush>),
    /// It could not be read.
    Unreadable,
}

/// Gets each request.
pub(crate) type Take = Box<dyn Fn(Pushed) + Send + Sync>;

/// Accepts connections.
pub(crate) async fn serve(listener: std::net::TcpListener, guard: Guard, take: Take) {
    let Ok(mut listener) = LimitedListener::new(listener, CONNECTIONS, 0) else { return };
    let (guard, take) = (Arc::new(guard), Arc::new(take));
    loop {
        let (stream, place) = listener.accept().await;
        let (guard, take) = (Arc::clone(&guard), Arc::clone(&take));
        let service = service_fn(move |request: Request<Incoming>| {
            let (guard, take) = (Arc::clone(&guard), Arc::clone(&take));
            async move { Ok::<_, Infallible>(answer(request, &guard, &take).await) }
        });
        tokio::spawn(async move {
            let _place = place;
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(60));
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, guard: &Guard, take: &Take) -> Response<PageBody> {
    let refuse = |status: StatusCode, text: &str| {
        let mut response = Response::new(PageBody::Whole(Some(Bytes::from(format!("{text}\n")))));
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
        return refuse(StatusCode::NOT_FOUND, "the only path here is /v1/metrics");
    }
    if request.method() != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "metrics are pushed with POST");
    }
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let kind = header(CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("").trim().to_owned();
    let encoding = header(CONTENT_ENCODING).unwrap_or("identity").to_owned();
    let outcome = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => message(&body.to_bytes(), &kind, &encoding),
        Err(_) => {
            let why = format!("the body ends early or is longer than {BODY} bytes");
            Err((StatusCode::PAYLOAD_TOO_LARGE, why))
        }
    };
    match outcome {
        Ok(message) => {
            take(Pushed::Groups(read(&message)));
            // An empty answer means that everything was accepted.
            let json = kind == "application/json";
            let (body, kind): (&'static [u8], _) =
                if json { (b"{}", "application/json") } else { (b"", "application/x-protobuf") };
            let mut response = Response::new(PageBody::Whole(Some(Bytes::from_static(body))));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        Err((status, why)) => {
            take(Pushed::Unreadable);
            refuse(status, &why)
        }
    }
}

/// Reads a body with its `Content-Type` and `Content-Encoding`; the error is the answer to it.
pub fn message(
    body: &[u8],
    kind: &str,
    encoding: &str,
) -> Result<ExportMetricsServiceRequest, (StatusCode, String)> {
    let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
    let unpacked;
    let body = match encoding {
        "identity" | "" => body,
        "gzip" => {
            let mut out = Vec::new();
            let read = GzDecoder::new(body).take(UNPACKED + 1).read_to_end(&mut out);
            read.map_err(|why| wrong(format!("the body is not gzip: {why}")))?;
            if out.len() as u64 > UNPACKED {
                let why = format!("the body is longer than {UNPACKED} bytes after decompression");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            unpacked = out;
            &unpacked
        }
        other => {
            let why = format!("Content-Encoding must be gzip or absent, not `{other}`");
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
    };
    match kind {
        "application/x-protobuf" => ExportMetricsServiceRequest::decode(body)
            .map_err(|why| wrong(format!("the body is not an ExportMetricsServiceRequest: {why}"))),
        "application/json" => serde_json::from_slice(body)
            .map_err(|why| wrong(format!("the body is not an ExportMetricsServiceRequest: {why}"))),
        other => {
            let why =
                format!("Content-Type must be application/x-protobuf or application/json, not `{other}`");
            Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
        }
    }
}
