//! Access logs: an [`Entry`] goes with each request and becomes a line once the last byte of the response is sent.

mod lookups;

use gk_config::site::{EncodedSlashes, LogCondition, Site};
use gk_rules::{Env, Facts};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, Uri, Version};
use std::cell::Cell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::client::endpoints::Endpoints;
use crate::log::access_log::lookups::{EntryHeaders, NoHeaders};
use crate::log::format::{Format, Line, Lookup};
use crate::log::writer::LogWriter;
use crate::process::descriptor_limit;
use crate::request::identity::Identity;
use crate::request::limits;
use crate::request::route::{Destination, Target};
use crate::request::target::{self, RawTarget};

/// The connection of a request, for its line.
pub trait Connection {
    /// Addresses of both ends.
    fn endpoints(&self) -> &Endpoints;
    /// Requests begun on it.
    fn requests(&self) -> u64;
    /// Bytes received and sent since the last call.
    fn take_bytes(&self) -> (u64, u64);
    /// The client did not send its request in time, and got a 408.
    fn timed_out(&self) -> bool;
}

/// The logs of every host.
pub struct AccessLogs {
    /// `None` when nothing is logged.
    open: Option<Rc<OpenLogs>>,
}

struct OpenLogs {
    /// Indices into `logs` by host.
    hosts: Vec<Vec<usize>>,
    logs: Vec<Log>,
    /// By number in [`Site::access_log_files`].
    writers: Vec<Rc<LogWriter>>,
    /// `ServerName` by host.
    names: Vec<String>,
    /// Whether `%2F` in a path stays as it is, by host.
    keeps_slashes: Vec<bool>,
    /// Request headers that any format asks for.
    requests: Vec<HeaderName>,
    /// Response headers that any format asks for.
    responses: Vec<HeaderName>,
    /// Minute since the epoch, and the local time's seconds east of UTC in it.
    offset: Cell<(i64, i32)>,
}

/// A format and the file for its lines.
struct Log {
    format: Format,
    writer: Rc<LogWriter>,
    /// Which requests it is about.
    when: Option<LogCondition>,
    /// Places of the format's request headers in `OpenLogs::requests`.
    request_at: Vec<usize>,
    /// Places of the format's response headers in `OpenLogs::responses`.
    response_at: Vec<usize>,
}

impl AccessLogs {
    /// For a site and its files, open, in the order of [`Site::access_log_files`].
    pub fn open(site: &Site, files: Vec<OwnedFd>) -> Result<Self, String> {
        let paths = site.access_log_files();
        if files.len() != paths.len() {
            // The kernel drops descriptors that would exceed the limit.
            let (came, limit) = (files.len(), descriptor_limit::limit());
            return Err(format!(
                "of its {} access logs {came} arrived; are as many as {limit} descriptors open?",
                paths.len()
            ));
        }
        let shown =
            |path: &Option<&Path>| path.map_or("on standard output".into(), |p| p.display().to_string());
        let writers = paths.iter().zip(files).map(|(path, fd)| LogWriter::new(File::from(fd), shown(path)));
        let mut open = OpenLogs {
            hosts: Vec::new(),
            logs: Vec::new(),
            writers: writers.map(Rc::new).collect(),
            names: site.hosts.iter().map(|h| h.server_name.clone().unwrap_or_default()).collect(),
            keeps_slashes: site.hosts.iter().map(|h| h.encoded_slashes == EncodedSlashes::Kept).collect(),
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
                let format = Format::parse(&log.format, log.form)?;
                let file = paths.iter().position(|path| *path == log.path.as_deref());
                let file = file.ok_or("an access log has no file")?;
                let writer = Rc::clone(&open.writers[file]);
                let request_at = common(&mut open.requests, &format.request_headers);
                let response_at = common(&mut open.responses, &format.response_headers);
                let when = log.when.clone();
                open.logs.push(Log { format, writer, when, request_at, response_at });
                opened.push((log.clone(), open.logs.len() - 1));
                of_host.push(open.logs.len() - 1);
            }
            open.hosts.push(of_host);
        }
        let any = !open.logs.is_empty();
        Ok(Self { open: any.then(|| Rc::new(open)) })
    }

    /// An entry for a request; none when nothing is logged.
    pub fn begin(
        &self,
        connection: impl FnOnce() -> Rc<dyn Connection>,
        parts: &Parts,
        arrived: f64,
    ) -> Option<Box<Entry>> {
        let logs = self.open.as_ref()?;
        let connection = connection();
        Some(Box::new(Entry {
            logs: Rc::clone(logs),
            kept_alive: connection.requests().saturating_sub(1),
            connection,
            began: Instant::now(),
            began_micros: (arrived * 1e6) as u64,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            raw: target::raw(parts).map(Arc::clone),
            version: parts.version,
            requests: pick(&logs.requests, &parts.headers),
            responses: Vec::new(),
            status: 0,
            head_only: false,
            closes: false,
            target: None,
            worker_pid: 0,
            request_id: 0,
            identity: None,
            queue_micros: 0,
            remote_addr: None,
            host: 0,
            variables: Env::default(),
            user: None,
            body_bytes: 0,
            aborted: false,
            left_out: Vec::new(),
        }))
    }

    /// Writes the line of a request that has no head: refused with this status before it was understood, or too late. `shown` are its
    /// first bytes, `host` is the first host of its address.
    pub fn refused(&self, connection: &dyn Connection, host: usize, arrived: f64, status: u16, shown: &[u8]) {
        let Some(open) = &self.open else { return };
        let ends = connection.endpoints();
        let (received, sent) = connection.take_bytes();
        let began_micros = (arrived * 1e6) as u64;
        let name = open.names.get(host).map_or("", |name| name);
        let line = Line {
            client: &ends.peer,
            peer: ends.socket_text(),
            peer_port: ends.peer_port,
            local: &ends.local,
            local_port: ends.local_port,
            shown: Some(shown),
            status,
            received,
            sent,
            began_micros,
            utc_offset: open.utc_offset((began_micros / 1_000_000) as i64),
            connection: '-',
            kept_alive: connection.requests(),
            server_name: name,
            canonical_name: name,
            server_port: ends.local_port,
            pid: std::process::id(),
            ..Line::default()
        };
        for index in open.hosts.get(host).into_iter().flatten() {
            let log = &open.logs[*index];
            if !log.is_about(&NoHeaders) {
                continue;
            }
            log.writer.append(|out| log.format.write(&line, &NoHeaders, out));
        }
    }

    /// Writes the collected lines.
    pub fn flush(&self) {
        self.writers().for_each(|writer| {
            writer.flush();
        });
    }

    /// Writes the collected lines, and waits a little where there is no room for them.
    pub fn finish(&self) {
        self.writers().for_each(|writer| writer.finish());
    }

    /// Lines that could not be written so far.
    pub fn lost(&self) -> u64 {
        self.writers().map(|writer| writer.lost()).sum()
    }

    fn writers(&self) -> impl Iterator<Item = &Rc<LogWriter>> {
        self.open.iter().flat_map(|open| &open.writers)
    }
}

/// Adds names to a list common to all formats; returns their places.
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
    logs: Rc<OpenLogs>,
    connection: Rc<dyn Connection>,
    began: Instant,
    began_micros: u64,
    method: Method,
    uri: Uri,
    /// The target as sent, where it is another.
    raw: Option<Arc<RawTarget>>,
    version: Version,
    requests: Vec<Option<HeaderValue>>,
    responses: Vec<Option<HeaderValue>>,
    kept_alive: u64,
    status: u16,
    head_only: bool,
    closes: bool,
    target: Option<Rc<Target>>,
    worker_pid: u32,
    request_id: u64,
    /// Its id, where requests have one.
    pub identity: Option<Rc<Identity>>,
    queue_micros: u64,
    /// Address of the client as trusted proxies report it.
    pub remote_addr: Option<String>,
    /// Its host, where it was answered before it was routed.
    pub host: usize,
    /// The variables that rules set.
    pub variables: Env,
    /// The user that was authenticated, or whose password was wrong.
    pub user: Option<String>,
    /// Body bytes handed to hyper.
    pub body_bytes: u64,
    /// The response was not completed.
    pub aborted: bool,
    /// Logs whose expression is false for it: indices into `OpenLogs::logs`.
    left_out: Vec<usize>,
}

impl Entry {
    /// The request was routed.
    pub fn routed(&mut self, target: &Rc<Target>) {
        self.target = Some(Rc::clone(target));
    }

    /// Whether [`Entry::routed`] was called.
    pub fn is_routed(&self) -> bool {
        self.target.is_some()
    }

    /// A worker was found.
    pub fn dispatched(&mut self, worker_pid: u32, request_id: u64) {
        self.worker_pid = worker_pid;
        self.request_id = request_id;
        self.queue_micros = self.began.elapsed().as_micros() as u64;
    }

    /// The facts and the status are known: asks the expressions of the host's logs.
    pub fn choose(&mut self, host: usize, facts: &dyn Facts) {
        let logs = &self.logs;
        let of_host = logs.hosts.get(host).into_iter().flatten().copied();
        self.left_out = of_host.filter(|index| logs.logs[*index].leaves_out(facts)).collect();
    }

    /// The head of the response is known.
    pub fn answered<B>(&mut self, response: &Response<B>, head_only: bool) {
        self.status = response.status().as_u16();
        self.head_only = head_only;
        self.closes = response.headers().contains_key(http::header::CONNECTION);
        self.responses = pick(&self.logs.responses, response.headers());
    }

    fn write(&self) {
        let target = self.target.as_deref();
        let host = target.map_or(self.host, |t| t.host);
        let Some(logs) = self.logs.hosts.get(host).filter(|logs| !logs.is_empty()) else { return };
        let app = target.and_then(|t| match &t.destination {
            Destination::App(app) => Some(app),
            _ => None,
        });
        let file = target.and_then(|t| match &t.destination {
            Destination::App(app) => Some(app.script.clone()),
            Destination::File { path, .. } => Some(path.to_string_lossy().into_owned()),
            Destination::Refused(..) => None,
        });
        let (received, sent) = self.connection.take_bytes();
        let ends = self.connection.endpoints();
        let text = self.uri.to_string();
        let raw = self.raw.as_deref();
        let query = self.uri.query().map(str::as_bytes);
        let line = Line {
            client: self.remote_addr.as_deref().unwrap_or(&ends.peer),
            peer: ends.socket_text(),
            peer_port: ends.peer_port,
            local: &ends.local,
            local_port: ends.local_port,
            user: self.user.as_deref(),
            method: self.method.as_str(),
            target: raw.map_or(text.as_bytes(), RawTarget::bytes),
            path: raw.map_or(self.uri.path().as_bytes(), RawTarget::path),
            keeps_slashes: self.logs.keeps_slashes.get(host).is_some_and(|keeps| *keeps),
            query: raw.map_or(query, RawTarget::query),
            shown: None,
            protocol: limits::protocol(self.version),
            status: match self.status {
                0 if self.connection.timed_out() => 408,
                0 => 499,
                status => status,
            },
            body_bytes: if self.head_only { 0 } else { self.body_bytes },
            received,
            sent,
            began_micros: self.began_micros,
            took_micros: self.began.elapsed().as_micros() as u64,
            utc_offset: self.logs.utc_offset((self.began_micros / 1_000_000) as i64),
            connection: match (self.aborted || self.status == 0, self.closes) {
                (true, _) => 'X',
                (false, true) => '-',
                (false, false) => '+',
            },
            kept_alive: self.kept_alive,
            server_name: target.map_or("", |t| &t.server_name),
            canonical_name: self.logs.names.get(host).map_or("", |n| n),
            server_port: target.map_or(ends.local_port, |t| t.server_port),
            file: file.as_deref().unwrap_or(""),
            pid: std::process::id(),
            request_id: self.request_id,
            id: self.identity.as_ref().map(|identity| &*identity.id),
            process_group: app.map_or("", |a| &a.group),
            application_group: app.map_or("", |a| &a.profile.application_group),
            worker_pid: self.worker_pid,
            queue_micros: self.queue_micros,
        };
        for index in logs {
            let log = &self.logs.logs[*index];
            let headers = EntryHeaders { entry: self, log };
            if log.is_about(&headers) && !self.left_out.contains(index) {
                log.writer.append(|out| log.format.write(&line, &headers, out));
            }
        }
    }
}

impl Log {
    fn is_about(&self, request: &dyn Lookup) -> bool {
        match &self.when {
            Some(LogCondition::Variable { name, set }) => request.variable(name).is_some() == *set,
            Some(LogCondition::Expression(_)) | None => true,
        }
    }

    /// Whether its expression is false. One that cannot be evaluated leaves no request out.
    fn leaves_out(&self, facts: &dyn Facts) -> bool {
        match &self.when {
            Some(LogCondition::Expression(expression)) => matches!(expression.holds_aside(facts), Ok(false)),
            Some(LogCondition::Variable { .. }) | None => false,
        }
    }
}

impl OpenLogs {
    /// Local time's seconds east of UTC; asked of the system once a minute.
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

impl Drop for Entry {
    fn drop(&mut self) {
        self.write();
    }
}
