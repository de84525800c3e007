//! The requests of one link: a slab of slots, found by the request id of the frames. A slot is in use until both sides
//! are done with it: the worker (its last frame came) and the client's side (the exchange was dropped). No IO here.

use bytes::Bytes;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::task::Waker;

/// Bits of a request id that are the index in the slab; the rest counts the uses of that place.
const INDEX_BITS: u32 = 20;

/// Bytes of a head for which an unused slot keeps the room.
const KEPT: usize = 2048;

/// Why an exchange over a link cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The worker ended before a request thread began it: it may go to another worker.
    NotStarted,
    /// The worker ended while it was on the request.
    Died,
    /// No frame came for `socket-timeout`.
    Late,
    /// The worker says that the response cannot be completed.
    Aborted(String),
}

/// A file the worker handed over as the whole response body.
#[derive(Debug)]
pub struct FileBody {
    /// Open for reading.
    pub file: OwnedFd,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

/// One request on the link.
#[derive(Default)]
pub struct Slot {
    generation: u32,
    used: bool,
    /// Position of its `Request` frame among those of the link, from 1.
    pub ordinal: u64,
    /// Whom to wake when something arrives.
    pub waker: Option<Waker>,
    /// Payload of the `Head` frame. The memory is kept for the next user of the slot.
    pub head: Vec<u8>,
    /// Flags of the `Head` frame.
    pub head_flags: u8,
    /// `head` has not been taken.
    pub has_head: bool,
    /// A head came.
    pub headed: bool,
    /// Body pieces not taken yet.
    pub chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    pub buffered: usize,
    /// Bytes taken and not credited to the worker yet.
    pub taken: u32,
    /// The body as a file.
    pub file: Option<FileBody>,
    /// The worker sent its last frame of this request.
    pub ended: bool,
    /// The client's side is gone; nothing that still arrives is wanted.
    pub released: bool,
    /// It went wrong.
    pub failure: Option<Failure>,
    /// Body bytes that may still be sent to the worker.
    pub upload_credit: u64,
    /// Coarse time of the last frame, or of the dispatch.
    pub since: u64,
}

impl Slot {
    /// A frame came for it, at this coarse time. That it is late is not so any more, if nobody was told yet.
    pub fn heard(&mut self, now: u64) {
        self.since = now;
        self.failure.take_if(|failure| *failure == Failure::Late);
    }

    /// Wakes whoever waits for this request.
    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Back to how it was before its first use, but for the generation and some memory.
    fn empty(&mut self) {
        // Each field by itself, so that a new one is thought of; most of them are empty already.
        let Self { generation: _, used, ordinal, waker, head, head_flags, has_head, headed, .. } = self;
        (*used, *ordinal, *head_flags, *has_head, *headed) = (false, 0, 0, false, false);
        *waker = None;
        head.clear();
        if head.capacity() > KEPT {
            *head = Vec::new();
        }
        let Self { chunks, buffered, taken, file, ended, released, failure, upload_credit, since, .. } = self;
        chunks.clear();
        if chunks.capacity() > 16 {
            chunks.shrink_to(16);
        }
        (*buffered, *taken, *ended, *released, *upload_credit, *since) = (0, 0, false, false, 0, 0);
        *file = None;
        *failure = None;
    }
}

/// The slab.
#[derive(Default)]
pub struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    /// Takes a free slot; the id is never 0.
    pub fn take(&mut self) -> (u32, &mut Slot) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = (slot.generation % ((1 << (32 - INDEX_BITS)) - 1)) + 1;
        slot.used = true;
        (slot.generation << INDEX_BITS | index, slot)
    }

    /// The slot of an id, if it is in use.
    pub fn get(&mut self, id: u32) -> Option<&mut Slot> {
        let slot = self.slots.get_mut((id & ((1 << INDEX_BITS) - 1)) as usize)?;
        (slot.used && slot.generation == id >> INDEX_BITS).then_some(slot)
    }

    /// Gives a slot back when both sides are done with it.
    pub fn settle(&mut self, id: u32) {
        let Some(slot) = self.get(id) else { return };
        if !(slot.ended && slot.released) {
            return;
        }
        slot.empty();
        self.free.push(id & ((1 << INDEX_BITS) - 1));
    }

    /// Every slot in use with its id.
    pub fn each(&mut self) -> impl Iterator<Item = (u32, &mut Slot)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter(|(_, slot)| slot.used)
            .map(|(index, slot)| (slot.generation << INDEX_BITS | index as u32, slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_does_not_find_the_next_user_of_its_place() {
        let mut slots = Slots::default();
        let (first, slot) = slots.take();
        (slot.ended, slot.released) = (true, true);
        slots.settle(first);
        let (second, _) = slots.take();
        assert_ne!(first, second);
        assert!(slots.get(first).is_none());
        assert!(slots.get(second).is_some());
    }

    #[test]
    fn a_slot_stays_until_both_sides_are_done() {
        let mut slots = Slots::default();
        let (id, slot) = slots.take();
        slot.ended = true;
        slots.settle(id);
        slots.get(id).unwrap().released = true;
        slots.settle(id);
        assert!(slots.get(id).is_none());
        assert_eq!(slots.each().count(), 0);
    }

    #[test]
    fn whoever_is_heard_of_is_not_late() {
        let mut slot = Slot { failure: Some(Failure::Late), ..Slot::default() };
        slot.heard(7);
        assert_eq!((slot.since, slot.failure.clone()), (7, None));
        slot.failure = Some(Failure::Died);
        slot.heard(8);
        assert_eq!((slot.since, slot.failure), (8, Some(Failure::Died)));
    }

    #[test]
    fn ids_are_never_zero_and_survive_the_generation_counter() {
        let mut slots = Slots::default();
        for _ in 0..10_000 {
            let (id, slot) = slots.take();
            assert_ne!(id, 0);
            (slot.ended, slot.released) = (true, true);
            slots.settle(id);
        }
    }
}
