//! Access logs: an [`Entry`] goes with each request and becomes a line when the last byte of the response went out.
//! Lines are collected and written a few times a second; a full disk loses lines, which are counted, and nothing else.

use gk_config::site::Site;
use gk_wire::log::Level;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, Uri, Version};
use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use crate::client::connection::Conn;
use crate::front::Routed;
use crate::log::format::{Format, Line, Lookup};
use crate::request::route::What;
use crate::worker::pool::Permit;

/// Bytes collected before they are written at once.
const COLLECT: usize = 32 * 1024;

/// The logs of every host.
pub struct AccessLogs {
    inner: Option<Rc<Inner>>,
}

struct Inner {
    /// Indices into `sinks` by host.
    hosts: Vec<Vec<usize>>,
    sinks: Vec<Sink>,
    names: Vec<String>,
    requests: Vec<HeaderName>,
    responses: Vec<HeaderName>,
    offset: Cell<(i64, i32)>,
}

struct Sink {
    format: Format,
    file: File,
    /// For messages.
    shown: String,
    collected: RefCell<String>,
    lost: Cell<u64>,
    /// Lines lost since a message said that lines are lost.
    losing: Cell<Option<u64>>,
    /// The last that was written is half a line.
    cut: Cell<bool>,
    /// Places of the format's headers in the lists common to all formats.
    request_at: Vec<usize>,
    response_at: Vec<usize>,
}

impl AccessLogs {
    /// Opens the files of a site. A file that cannot be opened is an error that names it.
    pub fn open(site: &Site) -> Result<Self, String> {
        let mut inner = Inner {
            hosts: Vec::new(),
            sinks: Vec::new(),
            names: site.hosts.iter().map(|h| h.server_name.clone().unwrap_or_default()).collect(),
            requests: Vec::new(),
            responses: Vec::new(),
            offset: Cell::new((i64::MIN, 0)),
        };
        let mut opened: Vec<(gk_config::site::AccessLog, usize)> = Vec::new();
        for host in &site.hosts {
            let mut of_host = Vec::new();
            for log in &host.access_logs {
                if let Some((_, index)) = opened.iter().find(|(known, _)| known == log) {
                    of_host.push(*index);
                    continue;
                }
                let format = Format::parse(&log.format, log.json)?;
                let file = match &log.path {
                    Some(path) => {
                        OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                            format!("the access log {} cannot be opened: {error}", path.display())
                        })?
                    }
                    None => {
                        let fd = std::io::stdout().as_fd().try_clone_to_owned();
                        File::from(fd.map_err(|error| format!("standard output is not open: {error}"))?)
                    }
                };
                let request_at = common(&mut inner.requests, &format.request_headers);
                let response_at = common(&mut inner.responses, &format.response_headers);
                inner.sinks.push(Sink {
                    format,
                    file,
                    shown: log.path.as_ref().map_or("on standard output".into(), |p| p.display().to_string()),
                    collected: RefCell::default(),
                    lost: Cell::new(0),
                    losing: Cell::new(None),
                    cut: Cell::new(false),
                    request_at,
                    response_at,
                });
                opened.push((log.clone(), inner.sinks.len() - 1));
                of_host.push(inner.sinks.len() - 1);
            }
            inner.hosts.push(of_host);
        }
        let any = !inner.sinks.is_empty();
        Ok(Self { inner: any.then(|| Rc::new(inner)) })
    }

    /// An entry for a request; none when nothing is logged.
    pub fn begin(&self, conn: &Rc<Conn>, parts: &Parts, arrived: f64) -> Option<Box<Entry>> {
        let inner = self.inner.as_ref()?;
        Some(Box::new(Entry {
            inner: Rc::clone(inner),
            conn: Rc::clone(conn),
            began: Instant::now(),
            began_micros: (arrived * 1e6) as u64,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            requests: pick(&inner.requests, &parts.headers),
            responses: Vec::new(),
            kept_alive: conn.requests.get().saturating_sub(1),
            status: 0,
            head_only: false,
            closes: false,
            routed: None,
            worker_pid: 0,
            request_id: 0,
            queue_micros: 0,
            remote_addr: None,
            body_bytes: 0,
            aborted: false,
        }))
    }

    /// Writes what was collected.
    pub fn flush(&self) {
        for sink in self.inner.iter().flat_map(|inner| &inner.sinks) {
            sink.flush();
        }
    }

    /// Lines that could not be written so far.
    pub fn lost(&self) -> u64 {
        self.inner.iter().flat_map(|inner| &inner.sinks).map(|sink| sink.lost.get()).sum()
    }
}

impl Drop for Sink {
    /// After a reload a sink lives on in the entries of the responses that are still under way.
    fn drop(&mut self) {
        self.flush();
    }
}

impl Sink {
    fn flush(&self) {
        let mut collected = self.collected.borrow_mut();
        if collected.is_empty() {
            return;
        }
        // A newline that ends the half line which a full disk left behind, and belongs to none of these.
        let end = usize::from(self.cut.get());
        if end == 1 {
            collected.insert(0, '\n');
        }
        let bytes = collected.as_bytes();
        let (written, outcome) = gk_sys::log::write_most(&mut &self.file, bytes);
        if let Some(last) = bytes[..written].last() {
            self.cut.set(*last != b'\n');
        }
        match outcome {
            Ok(()) => self.tell_found(),
            Err(error) => {
                let lost = bytes[written.max(end)..].iter().filter(|byte| **byte == b'\n').count() as u64;
                self.tell_lost(lost, &error);
            }
        }
        collected.clear();
    }

    fn tell_lost(&self, lost: u64, error: &io::Error) {
        self.lost.set(self.lost.get() + lost);
        if self.losing.get().is_none() {
            let text = format!(
                "the access log {} cannot be written, so its lines are lost: {error}; make room there. Requests are served as before",
                self.shown
            );
            crate::note_code(Level::Error, "GK0015", None, &text);
        }
        self.losing.set(Some(self.losing.get().unwrap_or(0) + lost));
    }

    fn tell_found(&self) {
        if let Some(lost) = self.losing.take() {
            let text = format!("the access log {} is written again; {lost} lines were lost", self.shown);
            crate::note(Level::Warn, None, &text);
        }
    }
}

/// Puts names into a common list; returns their places.
fn common(list: &mut Vec<HeaderName>, names: &[HeaderName]) -> Vec<usize> {
    let place = |name: &HeaderName| {
        list.iter().position(|n| n == name).unwrap_or_else(|| {
            list.push(name.clone());
            list.len() - 1
        })
    };
    names.iter().map(place).collect()
}

fn pick(names: &[HeaderName], headers: &HeaderMap) -> Vec<Option<HeaderValue>> {
    names.iter().map(|name| headers.get(name).cloned()).collect()
}

/// One request on its way into the access log.
pub struct Entry {
    inner: Rc<Inner>,
    conn: Rc<Conn>,
    began: Instant,
    began_micros: u64,
    method: Method,
    uri: Uri,
    version: Version,
    requests: Vec<Option<HeaderValue>>,
    responses: Vec<Option<HeaderValue>>,
    kept_alive: u64,
    status: u16,
    head_only: bool,
    closes: bool,
    routed: Option<Rc<Routed>>,
    worker_pid: u32,
    request_id: u64,
    queue_micros: u64,
    /// Address of the client as trusted proxies tell it.
    pub remote_addr: Option<String>,
    /// Body bytes handed to hyper.
    pub body_bytes: u64,
    /// The response was not completed.
    pub aborted: bool,
}

impl Entry {
    /// Where the request goes.
    pub fn routed(&mut self, routed: &Rc<Routed>) {
        self.routed = Some(Rc::clone(routed));
    }

    /// A worker was found.
    pub fn dispatched(&mut self, permit: &Permit, request_id: u64) {
        self.worker_pid = permit.worker_pid();
        self.request_id = request_id;
        self.queue_micros = self.began.elapsed().as_micros() as u64;
    }

    /// The head of the response is known.
    pub fn answered<B>(&mut self, response: &Response<B>, head_only: bool) {
        self.status = response.status().as_u16();
        self.head_only = head_only;
        self.closes = response.headers().contains_key(http::header::CONNECTION);
        self.responses = pick(&self.inner.responses, response.headers());
    }

    fn write(&self) {
        let target = self.routed.as_ref().map(|routed| &routed.target);
        let host = target.map_or(0, |t| t.host);
        let Some(sinks) = self.inner.hosts.get(host).filter(|sinks| !sinks.is_empty()) else { return };
        let app = target.and_then(|t| match &t.what {
            What::App(app) => Some(app),
            _ => None,
        });
        let file = target.and_then(|t| match &t.what {
            What::App(app) => Some(app.script.clone()),
            What::File { path } => Some(path.to_string_lossy().into_owned()),
            What::Refused(..) => None,
        });
        let (received, sent) = self.conn.take_bytes();
        let ends = &self.conn.ends;
        let text = self.uri.to_string();
        let line = Line {
            client: self.remote_addr.as_deref().unwrap_or(&ends.peer),
            peer: &ends.peer,
            peer_port: ends.peer_port,
            local: &ends.local,
            local_port: ends.local_port,
            method: self.method.as_str(),
            target: &text,
            path: self.uri.path(),
            query: self.uri.query(),
            protocol: if self.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" },
            status: match self.status {
                0 if self.conn.timed_out() => 408,
                0 => 499,
                status => status,
            },
            body_bytes: if self.head_only { 0 } else { self.body_bytes },
            received,
            sent,
            began_micros: self.began_micros,
            took_micros: self.began.elapsed().as_micros() as u64,
            utc_offset: self.inner.utc_offset((self.began_micros / 1_000_000) as i64),
            connection: match (self.aborted || self.status == 0, self.closes) {
                (true, _) => 'X',
                (false, true) => '-',
                (false, false) => '+',
            },
            kept_alive: self.kept_alive,
            server_name: target.map_or("", |t| &t.server_name),
            canonical_name: self.inner.names.get(host).map_or("", |n| n),
            server_port: target.map_or(ends.local_port, |t| t.server_port),
            file: file.as_deref().unwrap_or(""),
            pid: std::process::id(),
            request_id: self.request_id,
            process_group: app.map_or("", |a| &a.group),
            application_group: app.map_or("", |a| &a.profile.application_group),
            worker_pid: self.worker_pid,
            queue_micros: self.queue_micros,
        };
        for index in sinks {
            let sink = &self.inner.sinks[*index];
            let mut collected = sink.collected.borrow_mut();
            sink.format.write(&line, &Found { entry: self, sink }, &mut collected);
            let full = collected.len() >= COLLECT;
            drop(collected);
            if full {
                sink.flush();
            }
        }
    }
}

impl Inner {
    /// Local time's offset, asked once a minute.
    fn utc_offset(&self, seconds: i64) -> i32 {
        let (minute, offset) = self.offset.get();
        if minute == seconds / 60 {
            return offset;
        }
        let offset = gk_sys::clock::utc_offset(seconds);
        self.offset.set((seconds / 60, offset));
        offset
    }
}

struct Found<'a> {
    entry: &'a Entry,
    sink: &'a Sink,
}

impl Lookup for Found<'_> {
    fn request_header(&self, index: usize) -> Option<&[u8]> {
        Some(self.entry.requests.get(*self.sink.request_at.get(index)?)?.as_ref()?.as_bytes())
    }

    fn response_header(&self, index: usize) -> Option<&[u8]> {
        Some(self.entry.responses.get(*self.sink.response_at.get(index)?)?.as_ref()?.as_bytes())
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let routed = self.entry.routed.as_ref()?;
        routed.target.settings.env.get(name).map(String::as_str)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.write();
    }
}
