//! A front on a free port with a supervisor and workers played by the test: threads that speak gk-wire.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use bytes::BytesMut;
use gk_config::site::*;
use gk_sys::fds;
use gk_sys::page::SharedPage;
use gk_wire::control::{FromFront, FrontStatus, ToFront, decode, encode};
use gk_wire::frame::{self, Header, ToFrontFrame, ToWorkerFrame, Welcome};
use gk_wire::page::STARTED;
use gk_wire::request::RequestView;
use gk_wire::response::HeadWriter;
use gk_wire::setup::{FrontSetup, ListenerSetup, LogSetup};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A site with one group `g` and a mount at the root.
pub fn site(root: &Path) -> Site {
    let mut group = ProcessGroup::named("g");
    group.threads = 2;
    let settings = Settings { application_group: Some("%{GLOBAL}".into()), ..Settings::default() };
    Site {
        server_root: root.to_owned(),
        listen: Vec::new(),
        pid_file: None,
        user: None,
        group: None,
        error_log: ErrorLog::default(),
        http: HttpLimits { max_keep_alive_requests: 0, ..HttpLimits::default() },
        python: PythonOptions::default(),
        groups: vec![group],
        hosts: vec![Host {
            server_name: Some("example.org".into()),
            server_port: None,
            aliases: Vec::new(),
            addresses: Vec::new(),
            server_admin: None,
            document_root: None,
            mounts: vec![Mount::new("", MountTarget::File("/srv/app.wsgi".into()))],
            statics: Vec::new(),
            base: settings,
            sections: Vec::new(),
            access_logs: Vec::new(),
        }],
        imports: Vec::new(),
        interpreters: Vec::new(),
        admin: None,
    }
}

/// The supervisor's side of a running front.
pub struct Running {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub root: tempfile::TempDir,
    control: Option<OwnedFd>,
    front: Option<JoinHandle<Result<(), String>>>,
    workers: u64,
}

impl Running {
    /// Starts a front; `change` may change the site first.
    pub fn start(change: impl FnOnce(&mut Site)) -> Self {
        Self::start_with(change, None)
    }

    /// Starts a front that listens on `front.sock` in its root too.
    pub fn start_unix() -> Self {
        Self::start_with(|_| {}, Some("front.sock"))
    }

    fn start_with(change: impl FnOnce(&mut Site), unix_path: Option<&str>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut site = site(root.path());
        change(&mut site);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin_listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, admin) = (listener.local_addr().unwrap(), admin_listener.local_addr().unwrap());
        let (control, theirs) = fds::packet_pair().unwrap();
        let mut listeners: Vec<(ListenerSetup, OwnedFd)> =
            vec![(ListenerSetup { address: address.to_string(), tls: false }, listener.into())];
        if let Some(path) = unix_path {
            let unix = std::os::unix::net::UnixListener::bind(root.path().join(path)).unwrap();
            listeners.push((ListenerSetup { address: format!("unix:{path}"), tls: false }, unix.into()));
        }
        let parts = gk_front::Parts {
            site,
            generation: 1,
            listeners,
            admin: Some(admin_listener.into()),
            control: theirs,
        };
        let front = std::thread::spawn(move || gk_front::serve(parts));
        let running = Self { address, admin, root, control: Some(control), front: Some(front), workers: 0 };
        assert_eq!(running.hear(), FromFront::Ready);
        running
    }

    /// The next message of the front.
    pub fn hear(&self) -> FromFront {
        let mut buffer = vec![0; gk_wire::control::MAX_PACKET];
        let got = fds::receive(self.control(), &mut buffer, true).unwrap();
        decode(&buffer[..got.bytes]).unwrap()
    }

    fn control(&self) -> &OwnedFd {
        self.control.as_ref().expect("not abandoned")
    }

    /// Asks for the figures until they are as wanted.
    pub fn until(&self, wanted: impl Fn(&FrontStatus) -> bool) {
        eventually(|| {
            self.say(&ToFront::Status { token: 5 });
            let FromFront::Status { token: 5, status } = self.hear() else { panic!("no status") };
            wanted(&status)
        });
    }

    /// Puts another site in force.
    pub fn reload(&self, site: &Site) {
        let setup = FrontSetup {
            site: serde_json::to_value(site).unwrap(),
            log: LogSetup { level: gk_wire::log::Level::Warn, json: false },
            listeners: Vec::new(),
            admin: false,
            generation: 2,
        };
        let file = fds::memory_file("setup", &serde_json::to_vec(&setup).unwrap()).unwrap();
        fds::send(self.control(), &encode(&ToFront::Site), &[file.as_fd()]).unwrap();
    }

    /// The supervisor dies.
    pub fn abandon(&mut self) {
        self.control = None;
    }

    /// Waits for the front's end.
    pub fn join(&mut self) -> Result<(), String> {
        self.front.take().unwrap().join().unwrap()
    }

    /// A message to the front.
    pub fn say(&self, message: &ToFront) {
        fds::send(self.control(), &encode(message), &[]).unwrap();
    }

    /// A worker of group `g`, introduced to the front, before its handshake.
    pub fn worker(&mut self, threads: u32) -> FakeWorker {
        self.workers += 1;
        let (ours, theirs) = fds::stream_pair().unwrap();
        let page_fd = SharedPage::create().unwrap();
        let page = SharedPage::map(&page_fd).unwrap();
        let message = ToFront::Worker {
            worker: self.workers,
            process_group: "g".into(),
            pid: 1000 + self.workers as u32,
            threads,
        };
        fds::send(self.control(), &encode(&message), &[theirs.as_fd(), page_fd.as_fd()]).unwrap();
        FakeWorker { number: self.workers, socket: ours, page, buffer: BytesMut::new(), started: 0 }
    }

    /// A worker that answers every request with `hello`, in a thread.
    pub fn hello_worker(&mut self) -> JoinHandle<()> {
        let mut worker = self.worker(2);
        std::thread::spawn(move || {
            worker.welcome();
            while let Some(frame) = worker.next() {
                match frame {
                    Frame::Request { id, .. } => worker.hello(id),
                    Frame::Drain => return,
                    _ => {}
                }
            }
        })
    }

    /// A client.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Stops the front and waits for its end.
    pub fn stop(&mut self, timeout: f64) -> Result<(), String> {
        self.say(&ToFront::Stop { timeout });
        self.join()
    }
}

/// Waits for a condition that no event announces.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it did not come true in time");
        std::thread::yield_now();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(front) = self.front.take() {
            if let Some(control) = &self.control {
                let _ = fds::send(control, &encode(&ToFront::Stop { timeout: 0.0 }), &[]);
            }
            let _ = front.join();
        }
    }
}

/// A frame as the fake worker sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Hello,
    Profile(u32, serde_json::Value),
    Request { id: u32, end: bool, method: String, uri: String, path: String, environ: Vec<(String, String)> },
    Body { id: u32, end: bool, data: Vec<u8> },
    Credit { id: u32, bytes: u32 },
    Cancel { id: u32 },
    Drain,
}

impl Frame {
    /// The id of a request.
    pub fn id(&self) -> u32 {
        match self {
            Frame::Request { id, .. } => *id,
            other => panic!("not a request: {other:?}"),
        }
    }

    /// An environ entry of a request.
    pub fn get(&self, key: &str) -> Option<&str> {
        match self {
            Frame::Request { environ, .. } => environ.iter().find(|(k, _)| k == key).map(|(_, v)| &**v),
            _ => None,
        }
    }
}

/// The worker's end of a link.
pub struct FakeWorker {
    pub number: u64,
    pub socket: OwnedFd,
    page: SharedPage,
    buffer: BytesMut,
    started: u64,
}

impl FakeWorker {
    /// The handshake.
    pub fn welcome(&mut self) {
        assert_eq!(self.next(), Some(Frame::Hello));
        let welcome = Welcome {
            protocol: gk_wire::PROTOCOL_VERSION,
            package: "0".into(),
            python: "3.13.0".into(),
            gil_mode: "shared".into(),
            pid: 1,
            threads: 2,
            process_group: "g".into(),
        };
        self.send(&ToFrontFrame::Welcome(&serde_json::to_vec(&welcome).unwrap()));
    }

    /// The next frame; `None` at the end of the link.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((header, payload, used)) = frame::split(&self.buffer).unwrap() {
                let frame = Self::frame(header, payload);
                let _ = self.buffer.split_to(used);
                return Some(frame);
            }
            let mut piece = vec![0; 256 * 1024];
            let got = fds::receive(&self.socket, &mut piece, true).ok()?;
            if got.bytes == 0 {
                return None;
            }
            self.buffer.extend_from_slice(&piece[..got.bytes]);
        }
    }

    /// The next request, marked as started; other frames are passed over.
    pub fn request(&mut self) -> Frame {
        loop {
            if let frame @ Frame::Request { .. } = self.next().expect("the link ended") {
                self.start();
                return frame;
            }
        }
    }

    /// A request thread begins the next request.
    pub fn start(&mut self) {
        self.started += 1;
        self.page.word(STARTED).store(self.started, Ordering::Release);
    }

    fn frame(header: Header, payload: &[u8]) -> Frame {
        match ToWorkerFrame::decode(header, payload).unwrap() {
            ToWorkerFrame::Hello(_) => Frame::Hello,
            ToWorkerFrame::Profile { number, json } => {
                Frame::Profile(number, serde_json::from_slice(json).unwrap())
            }
            ToWorkerFrame::Request { id, end, payload } => {
                let view = RequestView::decode(payload).unwrap();
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                let mut environ: Vec<(String, String)> =
                    view.pairs().map(|(k, v)| (text(k), text(v))).collect();
                environ.push(("SCRIPT_NAME".into(), text(view.texts.script_name)));
                environ.push(("QUERY_STRING".into(), text(view.texts.query)));
                environ.push(("SERVER_NAME".into(), text(view.texts.server_name)));
                environ.push(("SERVER_PORT".into(), view.numbers.server_port.to_string()));
                environ.push(("REMOTE_ADDR".into(), text(view.texts.remote_addr)));
                environ.push(("version".into(), view.numbers.version.to_string()));
                Frame::Request {
                    id,
                    end,
                    method: text(view.texts.method),
                    uri: text(view.texts.uri),
                    path: text(view.texts.path_info),
                    environ,
                }
            }
            ToWorkerFrame::Body { id, end, data } => Frame::Body { id, end, data: data.to_vec() },
            ToWorkerFrame::Credit { id, bytes } => Frame::Credit { id, bytes },
            ToWorkerFrame::Cancel { id } => Frame::Cancel { id },
            ToWorkerFrame::Drain => Frame::Drain,
        }
    }

    /// Sends a frame.
    pub fn send(&self, frame: &ToFrontFrame<'_>) {
        let mut out = BytesMut::new();
        frame.encode(&mut out);
        self.send_bytes(&out);
    }

    /// Sends bytes.
    pub fn send_bytes(&self, mut out: &[u8]) {
        while !out.is_empty() {
            let Ok(n) = fds::send(&self.socket, out, &[]) else { return };
            out = &out[n..];
        }
    }

    /// Sends a head and, in the same write, a first piece of the body.
    pub fn respond(&self, id: u32, status: u16, headers: &[(&str, &str)], body: &[u8], end: bool) {
        let mut out = BytesMut::new();
        let mut writer = HeadWriter::begin(&mut out, id, 0, status, b"", 0.0);
        for (name, value) in headers {
            writer.header(name.as_bytes(), value.as_bytes());
        }
        writer.finish();
        ToFrontFrame::Data { id, end, data: body }.encode(&mut out);
        self.send_bytes(&out);
    }

    /// `hello` with its length.
    pub fn hello(&self, id: u32) {
        self.respond(id, 200, &[("Content-Type", "text/plain"), ("Content-Length", "5")], b"hello", true);
    }
}

/// A raw-socket client.
pub struct Client {
    pub stream: TcpStream,
    rest: Vec<u8>,
}

/// A response as it stood on the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some(v.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, rest: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    pub fn get(&mut self, path: &str) -> &mut Self {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"))
    }

    fn more(&mut self) -> usize {
        let mut piece = [0; 64 * 1024];
        let n = self.stream.read(&mut piece).unwrap_or(0);
        self.rest.extend_from_slice(&piece[..n]);
        n
    }

    /// The head of the next response.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.more() > 0,
                "the connection ended before a head: {:?}",
                String::from_utf8_lossy(&self.rest)
            );
        };
        let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// The next response with its body, by Content-Length or chunked.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding").is_some() {
            loop {
                let size = loop {
                    if let Some(at) = self.rest.windows(2).position(|w| w == b"\r\n") {
                        let line: Vec<u8> = self.rest.drain(..at + 2).collect();
                        break usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                    }
                    assert!(self.more() > 0, "the connection ended inside a chunked body");
                };
                while self.rest.len() < size + 2 {
                    assert!(self.more() > 0, "the connection ended inside a chunk");
                }
                answer.body.extend(self.rest.drain(..size));
                self.rest.drain(..2);
                if size == 0 {
                    return answer;
                }
            }
        }
        let length = answer.header("content-length").map_or(0, |v| v.parse().unwrap());
        while self.rest.len() < length {
            assert!(self.more() > 0, "the connection ended inside a body");
        }
        answer.body = self.rest.drain(..length).collect();
        answer
    }

    /// Everything until the end of the connection; `true`: it ended properly and not with a reset.
    pub fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut all = std::mem::take(&mut self.rest);
        let proper = self.stream.read_to_end(&mut all).is_ok();
        (all, proper)
    }
}
