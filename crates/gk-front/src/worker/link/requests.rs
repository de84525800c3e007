//! The requests on one link: a slab, found by the request id of the frames. A request is in it until both sides are done: the
//! worker (its last frame came) and the client's side (the exchange was dropped). Frames of the worker are applied here. No IO.

use bytes::Bytes;
use gk_sys::memory::channel::Carried;
use gk_wire::frame::{END, INITIAL_WINDOW, Place, ToFrontFrame, WireError};
use gk_wire::response::HeadView;
use std::rc::Rc;
use std::task::Waker;

use crate::engine::{Failure, FileSlice};
use crate::worker::held::Origin;
use crate::worker::link::backlog::Backlog;
use crate::worker::share::Share;

/// Bits of a request id that are the index in the slab; the other bits count the uses of that place.
const INDEX_BITS: u32 = 20;

/// Largest capacity, in bytes, that an unused place keeps for the next head.
const KEPT: usize = 2048;

/// Bytes of a worker's own words that are kept.
const MOST_WORDS: usize = 300;
/// Frames for requests that are not in flight which a worker may send: so many, and so many for each request it was given.
const STRAYS: (u64, u64) = (64, 8);

/// The failure of a response that is a file which could not be taken over.
const NO_DESCRIPTOR: &str = "its file could not be handed over, as the front has as many descriptors open as its limit allows \
                             (raise the limit on open files, ulimit -n)";

/// A frame that a worker may not send.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    /// It cannot be decoded.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// It breaks the order of frames.
    #[error("{0}")]
    Protocol(String),
}

/// One request on the link.
#[derive(Default)]
pub struct LinkRequest {
    generation: u32,
    used: bool,
    /// Position of its `Request` frame among those of the link, from 1.
    pub ordinal: u64,
    /// Where it came from.
    pub origin: Origin,
    /// The task that waits for this request.
    pub waker: Option<Waker>,
    /// Payload of the `Head` frame. The memory is kept for the next request in this place.
    pub head: Vec<u8>,
    /// Flags of the `Head` frame.
    pub head_flags: u8,
    /// `head` is there and has not been taken.
    pub has_head: bool,
    /// A head came.
    pub headed: bool,
    /// Bytes of the body that were not taken yet.
    pub backlog: Backlog,
    /// The body as a file.
    pub file: Option<FileSlice>,
    /// The worker sent its last frame of this request.
    pub ended: bool,
    /// The client's side is gone; later frames are dropped.
    pub released: bool,
    /// Why the request cannot be completed.
    pub failure: Option<Failure>,
    /// Its worker is silent, which its task has not seen (`Some(true)`) or has.
    pub silence: Option<bool>,
    /// Body bytes that may still be sent to the worker.
    pub upload_credit: u64,
    /// The worker wants the body once more.
    pub rewound: bool,
    /// Coarse time of the last frame, or of the dispatch, in milliseconds.
    pub since: u64,
}

impl LinkRequest {
    /// A frame came at this coarse time. That ends a timeout that nobody has seen yet.
    pub fn touch(&mut self, now: u64) {
        self.since = now;
        self.silence = None;
        self.failure.take_if(|failure| *failure == Failure::TimedOut);
    }

    /// Wakes the tasks that wait for this request.
    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        self.backlog.poke();
    }

    /// Whether the worker has it and no thread began it. `begun`: ordinal of the last one that was.
    fn is_unbegun(&self, begun: u64) -> bool {
        !self.ended && !self.headed && self.ordinal > begun
    }

    /// A piece of the response came; `end`: the last one.
    fn take_data(
        &mut self,
        id: u32,
        end: bool,
        len: usize,
        data: impl FnOnce() -> Bytes,
        share: &Share,
    ) -> Result<Applied, BadFrame> {
        self.ended = end;
        let mut applied = Applied::default();
        // Nothing may follow what was lost.
        if len > 0 && !self.released && self.failure.is_none() {
            if self.backlog.push(data(), share).is_err() {
                return Err(BadFrame::Protocol(format!("request {id} exceeds its window")));
            }
            applied.credit = if end { None } else { self.backlog.credit_fresh(share) };
            applied.lags = self.backlog.lags(end, share);
        }
        Ok(applied)
    }

    /// The credit that is due to the worker after bytes were taken or stored.
    pub fn credit(&mut self, share: &Share) -> Option<u32> {
        if self.ended { None } else { self.backlog.credit(share) }
    }

    /// Restores the state before the first use, but for the generation and some memory.
    fn clear(&mut self, share: &Share) {
        // Every field is named, so that the compiler reports a new one. Most are empty already.
        let Self {
            generation: _,
            used,
            ordinal,
            origin,
            waker,
            head,
            head_flags,
            has_head,
            headed,
            backlog,
            file,
            ended,
            released,
            failure,
            silence,
            upload_credit,
            rewound,
            since,
        } = self;
        (*used, *ordinal, *head_flags, *has_head, *headed) = (false, 0, 0, false, false);
        (*waker, *origin) = (None, Origin::default());
        head.clear();
        if head.capacity() > KEPT {
            *head = Vec::new();
        }
        backlog.clear(share);
        (*ended, *released, *rewound, *upload_credit, *since) = (false, false, false, 0, 0);
        *file = None;
        (*failure, *silence) = (None, None);
    }
}

/// The slab.
#[derive(Default)]
pub struct LinkRequests {
    places: Vec<LinkRequest>,
    free: Vec<u32>,
    share: Rc<Share>,
    /// Requests added so far.
    added: u64,
    /// Frames for requests that were not in flight.
    strays: u64,
}

/// Where bytes of a response are that a frame only names.
#[derive(Debug, Clone, Copy)]
pub enum Elsewhere {
    /// In the memory of the link.
    Block(Place),
    /// Where the application made them: the number of a loan.
    Lent(u64),
}

/// What follows from a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// It was the last frame of its request.
    pub ended: bool,
    /// Credit that is due to the worker.
    pub credit: Option<u32>,
    /// The client has fallen behind: a spooler should look after it.
    pub lags: bool,
}

impl LinkRequests {
    /// For a link whose responses take part in a share.
    pub fn new(share: Rc<Share>) -> Self {
        Self { share, ..Self::default() }
    }

    /// Adds a request; the id is never 0.
    pub fn add(&mut self) -> (u32, &mut LinkRequest) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(LinkRequest::default());
            (self.places.len() - 1) as u32
        });
        self.added += 1;
        let request = &mut self.places[index as usize];
        request.generation = (request.generation % ((1 << (32 - INDEX_BITS)) - 1)) + 1;
        request.used = true;
        (request.generation << INDEX_BITS | index, request)
    }

    /// The request of an id, if it is still here.
    pub fn get(&mut self, id: u32) -> Option<&mut LinkRequest> {
        find(&mut self.places, id)
    }

    /// Frees the place of a request when both sides are done with it.
    pub fn settle(&mut self, id: u32) {
        let Some(request) = find(&mut self.places, id) else { return };
        if !(request.ended && request.released) {
            return;
        }
        request.clear(&self.share);
        self.free.push(id & ((1 << INDEX_BITS) - 1));
    }

    /// Every request with its id.
    pub fn each(&mut self) -> impl Iterator<Item = (u32, &mut LinkRequest)> {
        self.places
            .iter_mut()
            .enumerate()
            .filter(|(_, request)| request.used)
            .map(|(index, request)| (request.generation << INDEX_BITS | index as u32, request))
    }

    /// A frame for a request that is not in flight. A worker may send credit for a request that ended early, and may end a
    /// request twice; more of them than that is no mistake.
    fn stray(&mut self) -> Result<bool, BadFrame> {
        self.strays += 1;
        let most = STRAYS.0.saturating_add(self.added.saturating_mul(STRAYS.1));
        if self.strays <= most {
            return Ok(false);
        }
        Err(BadFrame::Protocol("too many frames for requests that are not in flight".into()))
    }

    /// The worker returns a request that the application was not called for. `true`: it counted as in flight until now.
    pub fn give_back(&mut self, id: u32) -> Result<bool, BadFrame> {
        let Some(request) = self.get(id).filter(|request| !request.ended) else { return self.stray() };
        if request.headed {
            return Err(BadFrame::Protocol(format!("request {id} was returned after its head")));
        }
        request.ended = true;
        request.failure.get_or_insert(Failure::NotStarted);
        request.wake();
        self.settle(id);
        Ok(true)
    }

    /// Applies a frame of one request, at the coarse time `now`. `file` gives the descriptor that came before a `File` frame,
    /// `elsewhere` the bytes that a frame only names.
    pub fn apply(
        &mut self,
        frame: ToFrontFrame<'_>,
        now: u64,
        file: impl FnOnce() -> Option<Carried>,
        elsewhere: impl FnOnce(Elsewhere) -> Option<Bytes>,
    ) -> Result<Applied, BadFrame> {
        let nothing = Applied::default();
        let id = match frame {
            ToFrontFrame::Head { id, .. }
            | ToFrontFrame::Data { id, .. }
            | ToFrontFrame::Block { id, .. }
            | ToFrontFrame::Lent { id, .. }
            | ToFrontFrame::File { id, .. }
            | ToFrontFrame::Credit { id, .. }
            | ToFrontFrame::Rewind { id }
            | ToFrontFrame::Abort { id, .. } => id,
            ToFrontFrame::Welcome(_)
            | ToFrontFrame::Leaving { .. }
            | ToFrontFrame::Return { .. }
            | ToFrontFrame::Room => {
                return Ok(nothing);
            }
        };
        let share = &*self.share;
        let Some(request) = find(&mut self.places, id).filter(|request| !request.ended) else {
            return match frame {
                ToFrontFrame::Credit { .. } | ToFrontFrame::Rewind { .. } | ToFrontFrame::Abort { .. } => {
                    self.stray().map(|_| nothing)
                }
                _ => Err(BadFrame::Protocol(format!("a frame for request {id}, which is not in flight"))),
            };
        };
        request.touch(now);
        let mut applied = nothing;
        match frame {
            ToFrontFrame::Data { .. }
            | ToFrontFrame::Block { .. }
            | ToFrontFrame::Lent { .. }
            | ToFrontFrame::File { .. }
                if !request.headed =>
            {
                return Err(BadFrame::Protocol(format!("a body without a head for request {id}")));
            }
            ToFrontFrame::Head { flags, payload, .. } => {
                if request.headed {
                    return Err(BadFrame::Protocol(format!("a second head for request {id}")));
                }
                // Checked only: the task of its connection makes the response.
                HeadView::decode(payload)?;
                request.head.extend_from_slice(payload);
                (request.head_flags, request.has_head, request.headed) = (flags, true, true);
                request.ended = flags & END != 0;
            }
            ToFrontFrame::Data { end, data, .. } => {
                applied = request.take_data(id, end, data.len(), || Bytes::copy_from_slice(data), share)?;
            }
            ToFrontFrame::Block { end, place, .. } => {
                let Some(bytes) = elsewhere(Elsewhere::Block(place)) else {
                    return Err(BadFrame::Protocol(format!("request {id} names a block that cannot be")));
                };
                applied = request.take_data(id, end, bytes.len(), || bytes, share)?;
            }
            ToFrontFrame::Lent { end, number, .. } => {
                let Some(bytes) = elsewhere(Elsewhere::Lent(number)) else {
                    return Err(BadFrame::Protocol(format!("request {id} names a piece that nobody lent")));
                };
                applied = request.take_data(id, end, bytes.len(), || bytes, share)?;
            }
            ToFrontFrame::File { offset, len, .. } => {
                match file() {
                    Some(Carried::File(file)) => request.file = Some(FileSlice { file, offset, len }),
                    Some(Carried::Lost) => {
                        // A head that was not taken yet gives way to an error page.
                        request.has_head = false;
                        request.failure = Some(Failure::Aborted(NO_DESCRIPTOR.to_owned()));
                    }
                    None => {
                        return Err(BadFrame::Protocol("a File frame without its descriptor".into()));
                    }
                }
                request.ended = true;
            }
            ToFrontFrame::Credit { bytes, .. } => {
                request.upload_credit = request.upload_credit.saturating_add(u64::from(bytes));
            }
            ToFrontFrame::Rewind { .. } => {
                (request.rewound, request.upload_credit) = (true, u64::from(INITIAL_WINDOW));
            }
            ToFrontFrame::Abort { reason, .. } => {
                request.failure.get_or_insert_with(|| Failure::Aborted(words(reason).to_owned()));
                request.ended = true;
            }
            ToFrontFrame::Welcome(_)
            | ToFrontFrame::Leaving { .. }
            | ToFrontFrame::Return { .. }
            | ToFrontFrame::Room => {}
        }
        request.wake();
        applied.ended = request.ended;
        if applied.ended {
            self.settle(id);
        }
        Ok(applied)
    }

    /// The link is dead: settles every request. `started` is the ordinal of the last request that a thread began; later ones may
    /// go to another worker. Returns the number of requests that were lost while being served.
    pub fn fail_all(&mut self, started: u64) -> usize {
        let mut lost = 0;
        let mut settled = Vec::new();
        for (id, request) in self.each().filter(|(_, request)| !request.ended) {
            request.ended = true;
            settled.push(id);
            if request.failure.is_none() {
                let begun = request.ordinal <= started || request.headed;
                request.failure = Some(if begun { Failure::Died } else { Failure::NotStarted });
                lost += usize::from(begun && !request.released);
            }
            request.wake();
        }
        settled.into_iter().for_each(|id| self.settle(id));
        lost
    }

    /// Whether a request waits in the worker that no thread has begun. `begun`: ordinal of the last one that was.
    pub fn has_unbegun(&mut self, begun: u64) -> bool {
        self.each().any(|(_, request)| request.is_unbegun(begun))
    }

    /// Takes back the requests that no thread of the worker has begun. Returns their number.
    pub fn take_back(&mut self, begun: u64) -> u32 {
        let mut settled = Vec::new();
        for (id, request) in self.each().filter(|(_, request)| request.is_unbegun(begun)) {
            request.ended = true;
            request.failure.get_or_insert(Failure::NotStarted);
            request.wake();
            settled.push(id);
        }
        settled.iter().for_each(|id| self.settle(*id));
        settled.len() as u32
    }

    /// The worker is silent: tells those that wait for a head, once.
    pub fn tell_silence(&mut self) {
        for (_, request) in self.each() {
            if !request.ended && !request.released && !request.headed && request.silence.is_none() {
                request.silence = Some(true);
                request.wake();
            }
        }
    }

    /// Times out the requests of which no frame came for more than `bound` milliseconds and whose client waits for one.
    pub fn expire(&mut self, now: u64, bound: u64) {
        for (_, request) in self.each() {
            let waits = !request.ended
                && !request.released
                && request.backlog.is_empty()
                && request.failure.is_none();
            if waits && now.saturating_sub(request.since) > bound {
                request.failure = Some(Failure::TimedOut);
                request.wake();
            }
        }
    }
}

/// The request of an id, if it is still there.
fn find(places: &mut [LinkRequest], id: u32) -> Option<&mut LinkRequest> {
    let request = places.get_mut((id & ((1 << INDEX_BITS) - 1)) as usize)?;
    (request.used && request.generation == id >> INDEX_BITS).then_some(request)
}

/// The beginning of what a worker says for the log.
pub(super) fn words(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_WORDS)]
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
