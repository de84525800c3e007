//! A front on a free port; the test plays the supervisor and the workers.

#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test file uses a part of this"
)]

mod client;
pub mod http2;
mod pki;
pub mod tls;
mod worker;

pub use client::{Answer, Client};
pub use pki::{Pki, Valid, ticket_key};
pub use worker::{FakeWorker, Frame};

use gk_config::site::*;
use gk_messages::{decode, encode};
use gk_sys::descriptors;
use gk_sys::memory::SharedPage;
use gk_wire::certificates::Certificates;
use gk_wire::control::{FromFront, FrontStatus, ToFront};
use gk_wire::setup::{FrontSetup, ListenerSetup, LogSetup};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait of a test for an event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A site with one group `g` and a mount at the root.
pub fn site(root: &Path) -> Site {
    let mut group = ProcessGroup::named("g");
    group.threads = 2;
    let settings = Settings { application_group: Some("%{GLOBAL}".into()), ..Settings::default() };
    Site {
        server_root: root.to_owned(),
        listen_implied: false,
        admin_implied: false,
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
            read_timeouts: ReadTimeouts::default(),
            protocols: Protocols::default(),
            http2: Http2::default(),
            access_logs: Vec::new(),
            remote: gk_rules::remote::RemoteIp::default(),
            error_log: None,
            encoded_slashes: Default::default(),
            tls: None,
        }],
        imports: Vec::new(),
        interpreters: Vec::new(),
        admin: None,
        measurements: gk_config::measurements::Measurements::default(),
        files: Vec::new(),
        supervision: Supervision::default(),
        embedded: false,
        proxy_protocol: None,
    }
}

/// The files of a site's access logs.
fn open_logs(site: &Site) -> Vec<OwnedFd> {
    let open = |path: Option<&Path>| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path.expect("a file"));
        OwnedFd::from(file.unwrap())
    };
    site.access_log_files().into_iter().map(open).collect()
}

/// The supervisor's side of a running front.
pub struct Running {
    pub address: SocketAddr,
    pub root: tempfile::TempDir,
    control: Option<OwnedFd>,
    front: Option<JoinHandle<Result<(), String>>>,
    workers: u64,
}

impl Running {
    /// Starts a front; `change` may change the site first.
    pub fn start(change: impl FnOnce(&mut Site)) -> Self {
        Self::start_with(change, None, Certificates::default())
    }

    /// Starts a front with certificates.
    pub fn start_tls(certificates: &Certificates, change: impl FnOnce(&mut Site)) -> Self {
        Self::start_with(change, None, certificates.clone())
    }

    /// Starts a front that listens on `front.sock` in its root too.
    pub fn start_unix() -> Self {
        Self::start_with(|_| {}, Some("front.sock"), Certificates::default())
    }

    fn start_with(
        change: impl FnOnce(&mut Site),
        unix_path: Option<&str>,
        certificates: Certificates,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut site = site(root.path());
        change(&mut site);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (control, theirs) = descriptors::packet_pair().unwrap();
        let mut listeners: Vec<(ListenerSetup, OwnedFd)> =
            vec![(ListenerSetup { address: address.to_string(), tls: false }, listener.into())];
        if let Some(path) = unix_path {
            let unix = std::os::unix::net::UnixListener::bind(root.path().join(path)).unwrap();
            listeners.push((ListenerSetup { address: format!("unix:{path}"), tls: false }, unix.into()));
        }
        let parts = gk_front::Parts {
            folder: site.server_root.clone(),
            logs: gk_front::Logs { access: open_logs(&site), lost: None },
            site,
            generation: 1,
            listeners,
            admin: None,
            admin_command: Vec::new(),
            log: LogSetup::default(),
            control: theirs,
            certificates,
            secret: Vec::new(),
            passing: None,
            embedded: false,
        };
        let front = std::thread::spawn(move || gk_front::serve(parts));
        let running = Self { address, root, control: Some(control), front: Some(front), workers: 0 };
        assert_eq!(running.hear(), FromFront::Ready);
        running
    }

    /// The next message of the front, but that it serves or does what it was told.
    pub fn hear(&self) -> FromFront {
        loop {
            match self.hear_any() {
                FromFront::Serving | FromFront::GivesNoMore { .. } | FromFront::AcceptsNoMore => {}
                message => return message,
            }
        }
    }

    /// The next message of the front.
    pub fn hear_any(&self) -> FromFront {
        let mut buffer = vec![0; gk_wire::control::MAX_PACKET];
        let got = descriptors::receive(self.control(), &mut buffer, true).unwrap();
        decode(&buffer[..got.bytes]).unwrap()
    }

    fn control(&self) -> &OwnedFd {
        self.control.as_ref().expect("not abandoned")
    }

    /// Asks for the status until it is as wanted.
    pub fn until(&self, wanted: impl Fn(&FrontStatus) -> bool) {
        eventually(|| {
            self.say(&ToFront::Status { token: 5 });
            let status = loop {
                match self.hear() {
                    FromFront::Status { token: 5, status } => break status,
                    FromFront::LinkEnded { .. } => {}
                    other => panic!("no status: {other:?}"),
                }
            };
            wanted(&status)
        });
    }

    /// Puts another site in force.
    pub fn reload(&self, site: &Site) {
        assert_eq!(self.reload_tls(site, &Certificates::default()), None);
    }

    /// Puts other certificates in force; returns why not.
    pub fn certify(&self, certificates: &Certificates) -> Option<String> {
        let file =
            descriptors::memory_file("certificates", &serde_json::to_vec(certificates).unwrap()).unwrap();
        descriptors::send(self.control(), &encode(&ToFront::Certificates), &[file.as_fd()]).unwrap();
        loop {
            if let FromFront::Certificates { number, refused } = self.hear() {
                assert_eq!(number, certificates.number);
                return refused;
            }
        }
    }

    /// Puts another site with its certificates in force; returns why not.
    pub fn reload_tls(&self, site: &Site, certificates: &Certificates) -> Option<String> {
        let setup = FrontSetup {
            site: serde_json::to_value(site).unwrap(),
            log: LogSetup { level: gk_wire::log::Level::Warn, ..LogSetup::default() },
            listeners: Vec::new(),
            admin: false,
            admin_command: Vec::new(),
            generation: 2,
            folder: self.root.path().to_owned(),
            certificates: certificates.clone(),
            secret: Vec::new(),
        };
        for logs in open_logs(site).chunks(descriptors::MAX_FDS) {
            let logs: Vec<_> = logs.iter().map(AsFd::as_fd).collect();
            descriptors::send(self.control(), &encode(&ToFront::AccessLogs), &logs).unwrap();
        }
        let file = descriptors::memory_file("setup", &serde_json::to_vec(&setup).unwrap()).unwrap();
        let message = encode(&ToFront::Site { configuration: 2 });
        descriptors::send(self.control(), &message, &[file.as_fd()]).unwrap();
        loop {
            if let FromFront::Site { configuration, refused } = self.hear() {
                assert_eq!(configuration, 2);
                return refused;
            }
        }
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
        descriptors::send(self.control(), &encode(message), &[]).unwrap();
    }

    /// A worker of group `g`, introduced to the front, before its handshake.
    pub fn worker(&mut self, threads: u32) -> FakeWorker {
        self.workers += 1;
        let (ours, theirs) = descriptors::stream_pair().unwrap();
        let page_fd = SharedPage::create().unwrap();
        let page = SharedPage::map(&page_fd).unwrap();
        let message = ToFront::Worker {
            worker: self.workers,
            process_group: "g".into(),
            pid: 1000 + self.workers as u32,
            threads,
            imported: true,
        };
        descriptors::send(self.control(), &encode(&message), &[theirs.as_fd(), page_fd.as_fd()]).unwrap();
        FakeWorker::new(self.workers, ours, page)
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

    /// A worker's process ends; `died`: nobody had decided on it.
    pub fn ended(&self, worker: FakeWorker, died: bool) {
        let how = "signal 9 (KILL)".into();
        self.say(&ToFront::WorkerExited { worker: worker.number, how, died });
        drop(worker);
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
        assert!(std::time::Instant::now() < deadline, "the condition did not come true in time");
        std::thread::yield_now();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(front) = self.front.take() {
            if let Some(control) = &self.control {
                let _ = descriptors::send(control, &encode(&ToFront::Stop { timeout: 0.0 }), &[]);
            }
            let _ = front.join();
        }
    }
}
