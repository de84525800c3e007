//! The front's end of a worker's link, made of the codec, and a worker on it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test's helpers fail the test")]
#![allow(dead_code, reason = "each file of tests uses a part")]

pub mod values;

use bytes::BytesMut;
use gk_sys::descriptors;
use gk_sys::memory::SharedPage;
use gk_sys::memory::SharedWords;
use gk_sys::memory::channel::blocks::Blocks;
use gk_sys::memory::channel::{self, End, Receiver, Sender, Watch};
use gk_wire::control::{self, FromWorker, ToWorker};
use gk_wire::frame::{self, ToFrontFrame, ToWorkerFrame};
use gk_wire::request::{Numbers, Profile, RequestWriter, Texts};
use gk_wire::response::HeadView;
use gk_wire::setup::WorkerSetup;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
pub use values::{profile, setup};

pub struct Answer {
    pub status: u16,
    pub flags: u8,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Pieces of the body that came as blocks.
    pub blocks: usize,
    pub aborted: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub struct Front {
    pub sender: RefCell<Sender>,
    pub receiver: Receiver,
    pub blocks: Blocks,
    /// The link's memory.
    pub page_file: OwnedFd,
    pub control: OwnedFd,
    pub page: Watch,
    pub buffer: BytesMut,
    pub next: u32,
    /// Responses that are over.
    pub ended: HashSet<u32>,
    /// Number of the profile that requests have.
    pub profile: u32,
    pub directory: PathBuf,
    /// The worker's scoreboard, where the setup has one.
    pub scoreboard: Option<OwnedFd>,
    /// Bodies of requests, for a worker that wants them again.
    pub bodies: HashMap<u32, Vec<u8>>,
}

fn put_body(id: u32, body: &[u8], out: &mut BytesMut) {
    for (index, piece) in body.chunks(frame::CHUNK).enumerate() {
        let end = (index + 1) * frame::CHUNK >= body.len();
        ToWorkerFrame::Body { id, end, data: piece }.encode(out);
    }
}

impl Front {
    /// Gives the worker a link as the front of that number.
    fn link(
        control: OwnedFd,
        directory: PathBuf,
        front: u64,
        socket: OwnedFd,
        theirs: OwnedFd,
        page: OwnedFd,
    ) -> Self {
        let (sender, receiver) = channel::open(socket, SharedPage::map(&page).unwrap(), End::Front);
        let message = gk_messages::encode(&ToWorker::Link { front });
        descriptors::send(&control, &message, &[theirs.as_fd(), page.as_fd()]).unwrap();
        Self {
            blocks: sender.blocks(),
            sender: RefCell::new(sender),
            page: receiver.watch(),
            receiver,
            page_file: page,
            control,
            buffer: BytesMut::new(),
            next: 0,
            ended: HashSet::new(),
            profile: 1,
            directory,
            scoreboard: None,
            bodies: HashMap::new(),
        }
    }

    fn greet(&mut self, number: u32, profile: &Profile) {
        let mut out = BytesMut::new();
        let hello = gk_wire::frame::Hello {
            protocol: gk_wire::PROTOCOL_VERSION,
            package: gk_wire::PACKAGE_VERSION.to_owned(),
            pid: 1,
        };
        ToWorkerFrame::Hello(&serde_json::to_vec(&hello).unwrap()).encode(&mut out);
        ToWorkerFrame::Profile { number, json: &serde_json::to_vec(profile).unwrap() }.encode(&mut out);
        self.send(&out);
    }

    /// Another front of the same worker.
    pub fn beside(&self, number: u64) -> Self {
        let (socket, theirs) = descriptors::stream_pair().unwrap();
        let page = SharedPage::create().unwrap();
        let control = self.control.try_clone().unwrap();
        let mut other = Self::link(control, self.directory.clone(), number, socket, theirs, page);
        other.greet(1, &profile(&self.directory.join("app.py"), ""));
        other
    }

    pub fn send(&self, frames: &BytesMut) {
        self.sender.borrow_mut().send(frames).unwrap();
    }

    pub fn message(&self) -> FromWorker {
        let mut packet = vec![0; control::MAX_PACKET];
        let got = descriptors::receive(&self.control, &mut packet, true).unwrap();
        gk_messages::decode(&packet[..got.bytes]).unwrap()
    }

    pub fn tell(&self, message: &ToWorker) {
        descriptors::send(&self.control, &gk_messages::encode(message), &[]).unwrap();
    }

    pub fn request(&mut self, path: &str, method: &str, body: &[u8], out: &mut BytesMut) -> u32 {
        self.next += 1;
        let numbers = Numbers {
            profile: self.profile,
            version: 11,
            https: false,
            traced: false,
            server_port: 8000,
            remote_port: 5000,
            request_id: u64::from(self.next),
            connection_id: 1,
            request_start: 1.5,
            queue_start: 2.5,
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let texts = Texts {
            id: b"",
            trace: b"",
            method: method.as_bytes(),
            uri: path.as_bytes(),
            script_name: b"",
            path_info: path.as_bytes(),
            query: query.as_bytes(),
            server_name: b"localhost",
            server_addr: b"127.0.0.1",
            remote_addr: b"127.0.0.1",
        };
        let mut writer = RequestWriter::begin(out, self.next, body.is_empty(), &numbers, &texts);
        writer.pair(b"HTTP_HOST", b"localhost:8000");
        if !body.is_empty() {
            writer.pair(b"CONTENT_LENGTH", body.len().to_string().as_bytes());
            self.bodies.insert(self.next, body.to_vec());
        }
        writer.finish();
        put_body(self.next, body, out);
        self.next
    }

    /// Reads until the response of `id` is over, giving credit for what it reads.
    pub fn answer(&mut self, id: u32) -> Answer {
        self.read_answer(id, false)
    }

    /// Reads until the head of the response of `id` is there.
    pub fn head_of(&mut self, id: u32) -> Answer {
        self.read_answer(id, true)
    }

    fn read_answer(&mut self, id: u32, head_only: bool) -> Answer {
        let mut answer =
            Answer { status: 0, flags: 0, headers: vec![], body: vec![], blocks: 0, aborted: false };
        loop {
            while let Some((header, payload, used)) = frame::split(&self.buffer).unwrap() {
                let mut over = false;
                let mut credit = 0;
                let decoded = ToFrontFrame::decode(header, payload).unwrap();
                if let ToFrontFrame::Head { id: of, .. }
                | ToFrontFrame::Data { id: of, .. }
                | ToFrontFrame::Block { id: of, .. } = &decoded
                {
                    assert!(!self.ended.contains(of), "{decoded:?} for a response that is over");
                    let last = match &decoded {
                        ToFrontFrame::Head { flags, .. } => flags & frame::END != 0,
                        ToFrontFrame::Data { end, .. } | ToFrontFrame::Block { end, .. } => *end,
                        _ => false,
                    };
                    last.then(|| self.ended.insert(*of));
                }
                match decoded {
                    ToFrontFrame::Head { id: of, flags, payload } if of == id => {
                        let head = HeadView::decode(payload).unwrap();
                        answer.status = head.status;
                        answer.flags = flags;
                        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                        answer.headers = head.headers().map(|(n, v)| (text(n), text(v))).collect();
                        over = head_only || flags & frame::END != 0;
                    }
                    ToFrontFrame::Data { id: of, end, data } if of == id => {
                        answer.body.extend_from_slice(data);
                        credit = data.len() as u32;
                        over = end;
                    }
                    ToFrontFrame::Block { id: of, end, place } => {
                        // Of another response: it is dropped, which makes room.
                        let block = self.blocks.receive(place).unwrap();
                        if of == id {
                            answer.body.extend_from_slice(block.as_ref());
                            answer.blocks += 1;
                            credit = place.len;
                            over = end;
                        }
                    }
                    ToFrontFrame::Abort { id: of, .. } if of == id => {
                        answer.aborted = true;
                        over = true;
                    }
                    ToFrontFrame::Return { id: of } if of == id => over = true,
                    ToFrontFrame::Rewind { id: of } => {
                        let mut out = BytesMut::new();
                        put_body(of, &self.bodies[&of], &mut out);
                        self.sender.borrow_mut().send(&out).unwrap();
                    }
                    _ => {}
                }
                let _ = self.buffer.split_to(used);
                if credit > 0 {
                    let mut out = BytesMut::new();
                    ToWorkerFrame::Credit { id, bytes: credit }.encode(&mut out);
                    self.send(&out);
                }
                if over {
                    return answer;
                }
            }
            let mut piece = vec![0; 65536];
            let got = self.receiver.receive(&mut piece, true).unwrap();
            assert!(got > 0, "the worker ended while a response was awaited");
            self.buffer.extend_from_slice(&piece[..got]);
        }
    }

    /// Sends requests at once, waits for all answers and ignores their content. A worker with threads that have not run yet
    /// gives a request back: it is sent again, as a front would.
    pub fn all(&mut self, paths: &[&str]) {
        let mut out = BytesMut::new();
        let open = paths.iter().map(|path| (self.request(path, "GET", b"", &mut out), *path)).collect();
        self.send(&out);
        self.await_all(open);
    }

    /// [`Front::all`] for requests that were sent.
    pub fn await_all(&mut self, mut open: Vec<(u32, &str)>) {
        while !open.is_empty() {
            while let Some((header, payload, used)) = frame::split(&self.buffer).unwrap() {
                let (mut over, mut back) = (false, None);
                match ToFrontFrame::decode(header, payload).unwrap() {
                    ToFrontFrame::Head { flags, .. } => over = flags & frame::END != 0,
                    ToFrontFrame::Data { end, .. } => over = end,
                    ToFrontFrame::Block { end, place, .. } => {
                        drop(self.blocks.receive(place));
                        over = end;
                    }
                    ToFrontFrame::Abort { .. } => over = true,
                    ToFrontFrame::Return { id } => back = open.iter().position(|(of, _)| *of == id),
                    _ => {}
                }
                open.retain(|(id, _)| !over || *id != header.id);
                let _ = self.buffer.split_to(used);
                if let Some(at) = back {
                    let mut out = BytesMut::new();
                    open[at].0 = self.request(open[at].1, "GET", b"", &mut out);
                    self.send(&out);
                }
            }
            if !open.is_empty() {
                let mut piece = vec![0; 65536];
                let got = self.receiver.receive(&mut piece, true).unwrap();
                assert!(got > 0, "the worker ended while responses were awaited");
                self.buffer.extend_from_slice(&piece[..got]);
            }
        }
    }

    /// Requests from now on have this profile.
    pub fn set_profile(&mut self, number: u32, profile: &Profile) {
        let mut out = BytesMut::new();
        ToWorkerFrame::Profile { number, json: &serde_json::to_vec(profile).unwrap() }.encode(&mut out);
        self.send(&out);
        self.profile = number;
    }

    /// Messages until one that `wanted` takes.
    pub fn messages_until(&self, wanted: impl Fn(&FromWorker) -> bool) -> Vec<FromWorker> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.message());
            if messages.last().is_some_and(&wanted) {
                return messages;
            }
        }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        loop {
            let mut out = BytesMut::new();
            let id = self.request(path, "GET", b"", &mut out);
            self.send(&out);
            let answer = self.answer(id);
            // A worker with threads that have not run yet gives a request back; a front sends it again.
            if answer.status != 0 || answer.aborted {
                return answer;
            }
        }
    }

    /// Posts a body in pieces that are blocks.
    pub fn post_blocks(&mut self, path: &str, body: &[u8], piece: usize) -> Answer {
        let mut out = BytesMut::new();
        let id = self.request(path, "POST", body, &mut out);
        // Without the pieces that go through the ring.
        let (header, _, _) = frame::split(&out).unwrap().unwrap();
        out.truncate(frame::HEADER_LEN + header.len);
        let pieces = body.chunks(piece);
        let count = pieces.len();
        for (index, piece) in pieces.enumerate() {
            let mut block = self.blocks.draft(piece.len()).unwrap();
            block.write(piece);
            let (end, place) = (index + 1 == count, block.hand_over());
            ToWorkerFrame::Block { id, end, place }.encode(&mut out);
        }
        self.send(&out);
        self.answer(id)
    }

    pub fn head(&mut self, path: &str) -> Answer {
        let mut out = BytesMut::new();
        let id = self.request(path, "HEAD", b"", &mut out);
        self.send(&out);
        self.answer(id)
    }

    pub fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        let mut out = BytesMut::new();
        let id = self.request(path, "POST", b"", &mut BytesMut::new());
        self.next -= 1;
        assert_eq!(self.request(path, "POST", body, &mut out), id);
        self.send(&out);
        self.answer(id)
    }
}

/// Runs a worker on this thread (Python's main thread) and `with` on another, which gets the front's end.
pub fn with_worker(
    threads: u32,
    source: &str,
    group: &str,
    with: impl FnOnce(&mut Front) + Send + 'static,
) -> i32 {
    with_other_setup(threads, source, group, |_| {}, with)
}

pub fn with_other_setup(
    threads: u32,
    source: &str,
    group: &str,
    change: impl FnOnce(&mut WorkerSetup),
    with: impl FnOnce(&mut Front) + Send + 'static,
) -> i32 {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("app.py");
    std::fs::write(&script, source).unwrap();
    let mut setup = setup(threads, &script);
    change(&mut setup);
    let (supervisor, control) = descriptors::packet_pair().unwrap();
    let (socket, theirs) = descriptors::stream_pair().unwrap();
    let page = SharedPage::create().unwrap();
    let reloading = setup.imports[0].reloading;
    let profile = Profile { script_reloading: reloading, ..profile(&script, group) };
    let home = directory.path().to_owned();
    let words = gk_telemetry::Layout::new(threads).words();
    let scoreboard = setup.scoreboard.then(|| SharedWords::create("scoreboard", words).unwrap());
    let given = scoreboard.as_ref().map(|file| file.try_clone().unwrap());
    let front = std::thread::spawn(move || {
        let mut front = Front::link(supervisor, home, 0, socket, theirs, page);
        front.scoreboard = scoreboard;
        front.greet(1, &profile);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| with(&mut front)));
        // The test may have stopped it already.
        let stop = gk_messages::encode(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        let _ = descriptors::send(&front.control, &stop, &[]);
        (outcome, front)
    });
    let code = gk_python::entry::embed(|py| gk_worker::run_measured(py, control, setup, given));
    let (outcome, _front) = front.join().unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    code
}
