//! The worker's end of a link, played by a test.

use bytes::BytesMut;
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::blocks::Blocks;
use gk_sys::memory::channel::{self, End, Receiver, Sender};
use gk_wire::frame::{self, Header, ToFrontFrame, ToWorkerFrame, Welcome};
use gk_wire::page::{BEAT, STARTED, VOID};
use gk_wire::request::RequestView;
use gk_wire::response::HeadWriter;
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

/// A frame as the fake worker sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Hello,
    Profile(u32, serde_json::Value),
    Request {
        id: u32,
        end: bool,
        wide: bool,
        method: String,
        uri: String,
        path: String,
        environ: Vec<(String, String)>,
    },
    Body {
        id: u32,
        end: bool,
        data: Vec<u8>,
    },
    Credit {
        id: u32,
        bytes: u32,
    },
    Cancel {
        id: u32,
    },
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
    socket: OwnedFd,
    sender: RefCell<Sender>,
    receiver: Receiver,
    blocks: Blocks,
    /// Number of pieces of bodies that came as blocks.
    pub came_as_blocks: usize,
    /// Windows of the requests that came.
    windows: HashMap<u32, u32>,
    buffer: BytesMut,
    /// Requests that were looked at, the last one that was begun, and the last one that the front took back.
    seen: u64,
    started: u64,
    void: u64,
}

impl FakeWorker {
    pub fn new(number: u64, socket: OwnedFd, page: SharedPage) -> Self {
        let raw = socket.try_clone().unwrap();
        let (sender, receiver) = channel::open(socket, page, End::Worker);
        Self {
            number,
            socket: raw,
            blocks: sender.blocks(),
            came_as_blocks: 0,
            windows: HashMap::new(),
            sender: RefCell::new(sender),
            receiver,
            buffer: BytesMut::new(),
            seen: 0,
            started: 0,
            void: 0,
        }
    }

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
                let frame = Self::frame(&self.blocks, header, payload);
                self.came_as_blocks += usize::from(header.kind == frame::to_worker::BLOCK);
                if let Frame::Request { id, wide, .. } = &frame {
                    let window = if *wide { frame::WIDE_WINDOW } else { frame::INITIAL_WINDOW };
                    self.windows.insert(*id, window);
                }
                let _ = self.buffer.split_to(used);
                return Some(frame);
            }
            let mut piece = vec![0; 256 * 1024];
            let got = self.receiver.receive(&mut piece, true).ok().filter(|bytes| *bytes > 0)?;
            self.buffer.extend_from_slice(&piece[..got]);
        }
    }

    /// The next request that was not taken back, marked as started; other frames are skipped.
    pub fn request(&mut self) -> Frame {
        loop {
            let frame = self.next().expect("the link ended");
            if matches!(frame, Frame::Request { .. }) && self.start() {
                return frame;
            }
        }
    }

    /// A request thread begins the next request. `false`: the front has taken it back.
    pub fn start(&mut self) -> bool {
        self.seen += 1;
        let watch = self.receiver.watch();
        let word = watch.word(STARTED);
        while self.seen > self.void {
            if word.compare_exchange(self.started, self.seen, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                self.started = self.seen;
                return true;
            }
            self.void = watch.word(VOID).load(Ordering::Acquire);
            word.store(self.started, Ordering::Release);
        }
        false
    }

    /// A sign of life of a worker with requests.
    pub fn beat(&self) {
        self.receiver.watch().word(BEAT).fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of the response that the front takes before it gives credit.
    pub fn window(&self, id: u32) -> usize {
        self.windows[&id] as usize
    }

    fn frame(blocks: &Blocks, header: Header, payload: &[u8]) -> Frame {
        match ToWorkerFrame::decode(header, payload).unwrap() {
            ToWorkerFrame::Hello(_) => Frame::Hello,
            ToWorkerFrame::Profile { number, json } => {
                Frame::Profile(number, serde_json::from_slice(json).unwrap())
            }
            ToWorkerFrame::Request { id, end, wide, payload } => {
                let view = RequestView::decode(payload).unwrap();
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                let mut environ: Vec<(String, String)> =
                    view.pairs().map(|(k, v)| (text(k), text(v))).collect();
                environ.push(("SCRIPT_NAME".into(), text(view.texts.script_name)));
                environ.push(("QUERY_STRING".into(), text(view.texts.query)));
                environ.push(("SERVER_NAME".into(), text(view.texts.server_name)));
                environ.push(("SERVER_PORT".into(), view.numbers.server_port.to_string()));
                environ.push(("REMOTE_ADDR".into(), text(view.texts.remote_addr)));
                environ.push(("https".into(), view.numbers.https.to_string()));
                environ.push(("version".into(), view.numbers.version.to_string()));
                Frame::Request {
                    id,
                    end,
                    wide,
                    method: text(view.texts.method),
                    uri: text(view.texts.uri),
                    path: text(view.texts.path_info),
                    environ,
                }
            }
            ToWorkerFrame::Body { id, end, data } => Frame::Body { id, end, data: data.to_vec() },
            ToWorkerFrame::Block { id, end, place } => {
                Frame::Body { id, end, data: blocks.receive(place).unwrap().as_ref().to_vec() }
            }
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

    /// Sends a piece of a response as a block, or through the ring if there is no room for one. Whether it was a block.
    pub fn send_block(&self, id: u32, end: bool, data: &[u8]) -> bool {
        let block = self.blocks.draft(data.len());
        let is_block = block.is_some();
        match block {
            Some(mut block) => {
                block.write(data);
                self.send(&ToFrontFrame::Block { id, end, place: block.hand_over() });
            }
            None => self.send(&ToFrontFrame::Data { id, end, data }),
        }
        is_block
    }

    /// Sends bytes.
    pub fn send_bytes(&self, out: &[u8]) {
        // A front that is gone is what some tests are about.
        let _ = self.sender.borrow_mut().send(out);
    }

    /// Sends a descriptor, which the next frame speaks of.
    pub fn attach(&self, file: BorrowedFd<'_>) {
        self.sender.borrow().attach(&[file]).unwrap();
    }

    /// Writes to the socket beside the rings, with a descriptor or without. `false`: the front is gone.
    pub fn write_beside(&self, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> bool {
        gk_sys::descriptors::send(&self.socket, bytes, file.as_slice()).is_ok()
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
