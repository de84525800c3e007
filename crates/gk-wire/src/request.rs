//! A request on the wire: its profile (what depends on configuration only), the writer the front fills in place and
//! the borrowed view the worker reads. Names of headers are already in CGI form (`HTTP_ACCEPT`). No HTTP library here.

use crate::fields::{Reader, put_bytes};
use crate::frame::{self, WireError};
use crate::response::Headers;
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

/// Everything about a request that depends on the configuration and the place in URL space, not on the client.
/// Sent once per link; a number may be used again for another profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Script file, or `package.module` when `module` is set.
    pub script: String,
    /// `script` is a module name.
    pub module: bool,
    /// Name looked up in the script.
    pub callable: String,
    /// Application group; "" is the main interpreter.
    pub application_group: String,
    /// Whether the worker watches the script's modification time.
    pub script_reloading: bool,
    /// Requests of this profile do not count as activity.
    pub ignore_activity: bool,
    /// Fixed environ entries (`SERVER_SOFTWARE`, `DOCUMENT_ROOT`, `SCRIPT_FILENAME`, `SetEnv` …).
    pub environ: Vec<(String, String)>,
    /// Path of the host's own error log. Lines about the request go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_log: Option<String>,
    /// `callable` is a function of an access or dispatch script, not an application: the worker asks it, and answers with the
    /// header `Gilkeeper-Hook`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hook: bool,
}

/// Facts of one request that are numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    /// Number of the profile on this link.
    pub profile: u32,
    /// 10 for HTTP/1.0, 11 for HTTP/1.1, 20 for HTTP/2.
    pub version: u8,
    /// The client's connection is secure (`https`).
    pub https: bool,
    /// Its figures are wanted for a trace, however fast it is.
    pub traced: bool,
    /// `SERVER_PORT`.
    pub server_port: u16,
    /// `REMOTE_PORT`; 0 when unknown (Unix socket).
    pub remote_port: u16,
    /// Unique in this front's life.
    pub request_id: u64,
    /// Unique in this front's life.
    pub connection_id: u64,
    /// Epoch seconds: the front had the request's head.
    pub request_start: f64,
    /// Epoch seconds: the request entered the process group's queue.
    pub queue_start: f64,
}

/// Bytes of [`Numbers`] on the wire.
const NUMBERS_LEN: usize = 4 + 1 + 1 + 2 + 2 + 8 + 8 + 8 + 8;

/// Bytes for which there is room from the start: the count and the pairs of an ordinary request.
const PAIRS_ROOM: usize = 512;

/// Bits of the byte behind the version.
mod flag {
    pub(super) const HTTPS: u8 = 1;
    pub(super) const TRACED: u8 = 2;
    /// `id` and `trace` come before the other texts.
    pub(super) const IDENTIFIED: u8 = 4;
}

fn numbers(n: &Numbers, identified: bool) -> [u8; NUMBERS_LEN] {
    let mut bytes = [0; NUMBERS_LEN];
    bytes[0..4].copy_from_slice(&n.profile.to_le_bytes());
    bytes[4] = n.version;
    let flags = [(n.https, flag::HTTPS), (n.traced, flag::TRACED), (identified, flag::IDENTIFIED)];
    bytes[5] = flags.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
    bytes[6..8].copy_from_slice(&n.server_port.to_le_bytes());
    bytes[8..10].copy_from_slice(&n.remote_port.to_le_bytes());
    bytes[10..18].copy_from_slice(&n.request_id.to_le_bytes());
    bytes[18..26].copy_from_slice(&n.connection_id.to_le_bytes());
    bytes[26..34].copy_from_slice(&n.request_start.to_le_bytes());
    bytes[34..42].copy_from_slice(&n.queue_start.to_le_bytes());
    bytes
}

/// The texts every request has, in wire order. Bytes as they came from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Texts<'a> {
    /// Id of the request; empty on a site without them, as on the wire.
    pub id: &'a [u8],
    /// `traceparent` for the application; empty without traces. Goes with an `id` only.
    pub trace: &'a [u8],
    /// `REQUEST_METHOD`.
    pub method: &'a [u8],
    /// `REQUEST_URI`: the raw target.
    pub uri: &'a [u8],
    /// `SCRIPT_NAME`, decoded.
    pub script_name: &'a [u8],
    /// `PATH_INFO`, decoded.
    pub path_info: &'a [u8],
    /// `QUERY_STRING`, raw.
    pub query: &'a [u8],
    /// `SERVER_NAME`.
    pub server_name: &'a [u8],
    /// `SERVER_ADDR`.
    pub server_addr: &'a [u8],
    /// `REMOTE_ADDR`.
    pub remote_addr: &'a [u8],
}

/// Writes one `Request` frame in place: [`RequestWriter::begin`], [`RequestWriter::pair`] for each header and extra
/// environ entry, [`RequestWriter::finish`].
pub struct RequestWriter<'o> {
    out: &'o mut BytesMut,
    frame_at: usize,
    count_at: usize,
    count: u16,
}

impl<'o> RequestWriter<'o> {
    /// Starts the frame. `end`: the request has no body.
    pub fn begin(out: &'o mut BytesMut, id: u32, end: bool, n: &Numbers, t: &Texts<'_>) -> Self {
        let texts = [
            t.path_info,
            t.query,
            t.uri,
            // From here on, the requests of one connection are mostly alike: see `RequestView::alike`.
            t.method,
            t.script_name,
            t.server_name,
            t.server_addr,
            t.remote_addr,
        ];
        let room: usize = texts.iter().map(|text| 4 + text.len()).sum();
        out.reserve(frame::HEADER_LEN + NUMBERS_LEN + room + PAIRS_ROOM);
        let frame_at = frame::begin(out, frame::to_worker::REQUEST, u8::from(end), id);
        out.extend_from_slice(&numbers(n, !t.id.is_empty()));
        if !t.id.is_empty() {
            put_bytes(out, t.id);
            put_bytes(out, t.trace);
        }
        for text in texts {
            put_bytes(out, text);
        }
        let count_at = out.len();
        out.put_u16_le(0);
        Self { out, frame_at, count_at, count: 0 }
    }

    /// One environ entry: `name` is the environ key, `value` its bytes (latin-1 for the application).
    pub fn pair(&mut self, name: &[u8], value: &[u8]) {
        put_bytes(self.out, name);
        put_bytes(self.out, value);
        self.count += 1;
    }

    /// Environ entries made before.
    pub fn pairs(&mut self, pairs: &Headers) {
        let (bytes, count) = pairs.wire();
        self.out.extend_from_slice(bytes);
        self.count += count;
    }

    /// Ends the frame.
    pub fn finish(self) {
        self.out[self.count_at..self.count_at + 2].copy_from_slice(&self.count.to_le_bytes());
        frame::finish(self.out, self.frame_at);
    }
}

/// A request as the worker reads it, borrowed from the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestView<'a> {
    /// The numbers.
    pub numbers: Numbers,
    /// The texts.
    pub texts: Texts<'a>,
    /// URI and method in wire form.
    pub target: &'a [u8],
    /// `PATH_INFO`, query and URI in wire form.
    pub place: &'a [u8],
    /// All that the requests of one connection mostly have in common, in wire form: method, `SCRIPT_NAME`, the server's
    /// name and address, the client's address, and every pair.
    pub alike: &'a [u8],
    count: u16,
    pairs: &'a [u8],
}

impl<'a> RequestView<'a> {
    /// Reads the payload of a `Request` frame; the pairs are checked too, so that iteration cannot fail later.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader { rest: payload, what: "Request" };
        let head = r.take(NUMBERS_LEN)?;
        let mut n = Reader { rest: head, what: "Request" };
        let flags = head[5];
        let numbers = Numbers {
            profile: u32::from_le_bytes(n.array()?),
            version: n.array::<1>()?[0],
            https: n.array::<1>()?[0] & flag::HTTPS != 0,
            traced: flags & flag::TRACED != 0,
            server_port: u16::from_le_bytes(n.array()?),
            remote_port: u16::from_le_bytes(n.array()?),
            request_id: u64::from_le_bytes(n.array()?),
            connection_id: u64::from_le_bytes(n.array()?),
            request_start: f64::from_le_bytes(n.array()?),
            queue_start: f64::from_le_bytes(n.array()?),
        };
        let identified = flags & flag::IDENTIFIED != 0;
        let (id, trace) = if identified { (r.bytes()?, r.bytes()?) } else { (&[][..], &[][..]) };
        // Written once only: without the bit.
        if identified && id.is_empty() {
            return Err(WireError::Malformed("Request"));
        }
        let place = r.rest;
        let (path_info, query) = (r.bytes()?, r.bytes()?);
        let target = r.rest;
        let uri = r.bytes()?;
        let alike = r.rest;
        let place = &place[..place.len() - alike.len()];
        let method = r.bytes()?;
        let target = &target[..target.len() - r.rest.len()];
        let texts = Texts {
            id,
            trace,
            uri,
            path_info,
            query,
            method,
            script_name: r.bytes()?,
            server_name: r.bytes()?,
            server_addr: r.bytes()?,
            remote_addr: r.bytes()?,
        };
        let count = u16::from_le_bytes(r.array()?);
        let pairs = r.rest;
        for _ in 0..count {
            r.bytes()?;
            r.bytes()?;
        }
        if !r.rest.is_empty() {
            return Err(WireError::Malformed("Request"));
        }
        Ok(Self { numbers, texts, target, place, alike, count, pairs })
    }

    /// Environ entries that are not among the texts: headers in CGI form and per-request additions.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut r = Reader { rest: self.pairs, what: "Request" };
        (0..self.count).map_while(move |_| Some((r.bytes().ok()?, r.bytes().ok()?)))
    }

    /// The value of one entry.
    pub fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.pairs().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

/// The number of the profile in the payload of a `Request` frame.
pub fn profile_of(payload: &[u8]) -> Result<u32, WireError> {
    Ok(u32::from_le_bytes(Reader { rest: payload, what: "Request" }.array()?))
}
