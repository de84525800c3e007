//! Requests of a link, waiting and running, and the frames of the front that change them. The link holds the lock around it.

use crate::serve::profiles::number_profile;
use crate::serve::streams::RequestStreams;
use bytes::Bytes;
use foldhash::fast::RandomState;
use gk_sys::log::plain;
use gk_sys::memory::channel::blocks::Blocks;
use gk_wire::frame::{self, Hello, ToWorkerFrame};
use gk_wire::log::Level;
use gk_wire::request::Profile;
use gk_wsgi::application::NumberedProfile;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A request taken off the stream.
pub(crate) struct Job {
    pub(crate) streams: Arc<RequestStreams>,
    /// Position of its frame among the requests of the link, from 1.
    pub(super) ordinal: u64,
}

/// Requests and profiles received on a link.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) queue: VecDeque<Job>,
    /// Waiting and running requests, by the front's number.
    pub(super) requests: HashMap<u32, Arc<RequestStreams>, RandomState>,
    profiles: HashMap<u32, Arc<NumberedProfile>, RandomState>,
    /// Number of threads that serve a request.
    pub(super) running: usize,
    /// Number of requests received: the ordinal of the last one.
    arrived: u64,
    /// Ordinal of the last request that a thread began, as the page has it.
    pub(super) begun: u64,
    /// Ordinal of the last request that the front has taken back: those up to it are not begun any more.
    pub(super) void: u64,
    /// Requests that were cancelled before a thread began them, until the front is told that they count no more.
    pub(super) dropped: Vec<u32>,
    /// Mean service time in microseconds (exponential).
    pub(super) service: f32,
    /// The front said that no request follows.
    pub(super) drained: bool,
    /// No request is begun any more.
    pub(super) stopping: bool,
    /// Nothing more can be read.
    pub(super) closed: bool,
    /// This process has closed it, so that its end says nothing about the front.
    own_end: bool,
}

impl Stream {
    /// Returns true if a request runs or waits.
    pub(super) fn busy(&self) -> bool {
        self.running > 0 || !self.queue.is_empty()
    }

    /// Returns true if a request waits.
    pub(super) fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Returns true if no further request can come.
    pub(super) fn ended(&self) -> bool {
        self.drained || self.closed || self.stopping
    }

    /// Applies a frame of the front. The text of an error says why the stream cannot go on.
    pub(super) fn receive(&mut self, frame: ToWorkerFrame<'_>, blocks: &Blocks) -> Result<(), String> {
        match frame {
            ToWorkerFrame::Request { id, end, wide, payload } => {
                let number = gk_wire::request::profile_of(payload).map_err(|e| e.to_string())?;
                let profile = self.profiles.get(&number).cloned();
                let profile =
                    profile.ok_or_else(|| format!("The front used profile {number} before it sent it"))?;
                self.enqueue(Arc::new(RequestStreams::new(id, end, wide, payload.into(), profile)));
            }
            ToWorkerFrame::Body { id, end, data } => {
                if let Some(streams) = self.requests.get(&id) {
                    streams.body_came(Bytes::copy_from_slice(data), end);
                }
            }
            ToWorkerFrame::Block { id, end, place } => {
                let block = blocks.receive(place).ok_or("The front named a block that cannot be")?;
                if let Some(streams) = self.requests.get(&id) {
                    streams.body_came(Bytes::from_owner(block), end);
                }
            }
            ToWorkerFrame::Hello(json) => greeted(json)?,
            ToWorkerFrame::Profile { number, json } => {
                let profile: Profile =
                    gk_messages::decode(json).map_err(|e| format!("A profile is malformed: {e}"))?;
                self.profiles.insert(number, number_profile(profile));
            }
            ToWorkerFrame::Credit { id, bytes } => {
                if let Some(streams) = self.requests.get(&id) {
                    streams.room_came(bytes);
                }
            }
            ToWorkerFrame::Cancel { id } => self.cancel(id),
            ToWorkerFrame::Drain => self.drained = true,
        }
        Ok(())
    }

    fn enqueue(&mut self, streams: Arc<RequestStreams>) {
        self.requests.insert(streams.id, Arc::clone(&streams));
        self.arrived += 1;
        let ordinal = self.arrived;
        self.queue.push_back(Job { streams, ordinal });
    }

    /// A request that no thread has begun leaves the queue: its client has gone, and no thread needs to hear of it.
    fn cancel(&mut self, id: u32) {
        let Some(streams) = self.requests.get(&id) else { return };
        streams.cancelled();
        if let Some(at) = self.queue.iter().position(|job| job.streams.id == id) {
            self.queue.remove(at);
            self.requests.remove(&id);
            self.dropped.push(id);
        }
    }

    /// This process reads no more. What running requests send still reaches the front.
    pub(super) fn close(&mut self) {
        (self.closed, self.own_end) = (true, true);
    }

    /// Cancels the requests whose responses are sent piece by piece and have begun.
    pub(super) fn cancel_begun(&self) {
        self.requests.values().filter(|streams| streams.has_begun()).for_each(|streams| streams.cancelled());
    }

    /// Closes the stream and cancels every request, unless this process has closed it before. An empty `why` is the ordinary end, which is not logged.
    pub(super) fn break_off(&mut self, why: &str) {
        if !self.ended() && !why.is_empty() {
            plain(Level::Error, "wsgi", None, why);
        }
        self.closed = true;
        if !self.own_end {
            self.requests.values().for_each(|streams| streams.cancelled());
        }
    }
}

fn greeted(json: &[u8]) -> Result<(), String> {
    let hello: Hello =
        gk_messages::decode(json).map_err(|e| format!("The front's greeting is malformed: {e}"))?;
    frame::check_version(hello.protocol, &hello.package).map_err(|e| e.to_string())
}
