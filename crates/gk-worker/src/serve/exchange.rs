//! The exchange of one request: the link's side of the seam to the application's conversation. In a child that the application
//! forked it takes everything and sends nothing, without a lock: the request is its parent's.

use crate::serve::link::OwnLink;
use crate::serve::streams::{Flow, RequestStreams};
use bytes::Bytes;
use gk_sys::fork;
use gk_wire::frame::{self, ToFrontFrame};
use gk_wire::request::RequestView;
use gk_wire::response::HeadWriter;
use gk_wsgi::{Body, Exchange, Head, Sent};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A request being served: its streams and the link it came by.
pub(crate) struct LinkExchange {
    pub(crate) link: Arc<OwnLink>,
    pub(crate) streams: Arc<RequestStreams>,
}

impl LinkExchange {
    /// Waits until `ready`, or until the request is cancelled or the link closed.
    fn wait_for(&self, ready: impl Fn(&Flow) -> bool) {
        self.link.wait_for(|| ready(&self.streams.flow()) || self.streams.is_gone());
        if !ready(&self.streams.flow()) {
            // The link may have been closed without cancelling; the caller would ask again without end.
            self.streams.cancelled();
        }
    }

    /// Takes room for a part of a piece of `len` bytes: its length, and whether nothing follows it. `end`: nothing follows the piece.
    /// `most` chooses from the room that there is. Without room, what the caller is told.
    fn part(&self, len: usize, end: bool, most: impl FnOnce(usize) -> usize) -> Result<(usize, bool), Sent> {
        if self.streams.is_gone() {
            return Err(Sent::Gone);
        }
        let mut flow = self.streams.flow();
        // The last frame of a response is small, and nobody would send it again.
        if flow.crowds && len > 0 {
            drop(flow);
            if !self.link.outbox().try_flush() {
                return Err(Sent::Full);
            }
            flow = self.streams.flow();
            flow.crowds = false;
        }
        let part = most(len.min(flow.room as usize));
        if part == 0 && len > 0 {
            return Err(Sent::Full);
        }
        flow.room -= part as u32;
        let end = end && part == len;
        flow.begun |= !end;
        Ok((part, end))
    }
}

impl Exchange for LinkExchange {
    fn body(&self, most: usize) -> Body {
        if fork::is_child() {
            return Body::Failed("the rest of the body stays with the process that was forked".to_owned());
        }
        let mut flow = self.streams.flow();
        let Some(mut piece) = flow.pieces.pop_front() else {
            return match (flow.body_ended, self.streams.is_gone()) {
                (true, _) => Body::End,
                (false, true) => Body::Failed("the client or the front has gone".to_owned()),
                (false, false) => Body::Wait,
            };
        };
        if piece.len() > most {
            let rest = piece.split_off(most);
            flow.pieces.push_front(rest);
        }
        flow.owed += piece.len() as u32;
        let tell = flow.owed >= frame::INITIAL_WINDOW / 4 && !flow.body_ended;
        let owed = if tell { std::mem::take(&mut flow.owed) } else { 0 };
        drop(flow);
        if tell {
            self.link.outbox().send(&ToFrontFrame::Credit { id: self.streams.id, bytes: owed });
            self.link.outbox().try_flush();
        }
        Body::Bytes(piece)
    }

    fn wait_body(&self) {
        self.wait_for(|flow| !flow.pieces.is_empty() || flow.body_ended);
    }

    fn body_length(&self) -> Option<u64> {
        let request = RequestView::decode(&self.streams.payload).ok()?;
        let text =
            request.get(b"CONTENT_LENGTH").map_or(Some("0"), |value| std::str::from_utf8(value).ok())?;
        text.trim().parse().ok()
    }

    fn rewind(&self) {
        if fork::is_child() {
            return;
        }
        {
            let mut flow = self.streams.flow();
            (flow.body_ended, flow.owed) = (false, 0);
        }
        self.link.outbox().send(&ToFrontFrame::Rewind { id: self.streams.id });
        self.link.outbox().try_flush();
    }

    fn head(&self, head: &Head<'_>) {
        let mut flags = 0;
        for (bit, set) in [
            (frame::END, head.end),
            (frame::WORKER_ERROR, head.worker_error),
            (frame::HAS_LENGTH, head.has_length),
        ] {
            flags |= if set { bit } else { 0 };
        }
        self.link.outbox().put(|out| {
            let mut writer = HeadWriter::begin(
                out,
                self.streams.id,
                flags,
                head.status,
                head.reason,
                head.application_seconds,
            );
            writer.headers(head.headers);
            writer.finish();
        });
    }

    fn data(&self, data: &[u8], end: bool) -> Sent {
        if fork::is_child() {
            return Sent::Took(data.len());
        }
        let (id, outbox) = (self.streams.id, self.link.outbox());
        let mut block = None;
        let part = self.part(data.len(), end, |most| {
            block = if most < frame::BLOCK_LEAST { None } else { outbox.draft(most) };
            if block.is_some() { most } else { most.min(frame::CHUNK) }
        });
        let (len, end) = match part {
            Ok(part) => part,
            Err(sent) => return sent,
        };
        let data = &data[..len];
        if let Some(mut block) = block {
            block.write(data);
            outbox.send_block(id, end, block);
        } else if outbox.send_piece(&ToFrontFrame::Data { id, end, data }) {
            self.streams.flow().crowds = true;
        }
        Sent::Took(len)
    }

    fn borrows(&self) -> bool {
        self.link.is_own() && !fork::is_child()
    }

    fn lend(&self, data: &Bytes, end: bool) -> Sent {
        if fork::is_child() {
            return Sent::Took(data.len());
        }
        let (len, end) = match self.part(data.len(), end, |most| most) {
            Ok(part) => part,
            Err(sent) => return sent,
        };
        self.link.outbox().send_lent(self.streams.id, end, data.slice(..len));
        Sent::Took(len)
    }

    fn is_gone(&self) -> bool {
        self.streams.is_gone()
    }

    fn wait_room(&self) {
        self.wait_for(|flow| flow.room > 0);
    }

    fn file(&self, file: OwnedFd, offset: u64, len: u64) {
        if fork::is_child() {
            return;
        }
        if !self.link.outbox().send_with(&ToFrontFrame::File { id: self.streams.id, offset, len }, &file) {
            self.abort("the file could not be handed to the front");
        }
    }

    fn abort(&self, reason: &str) {
        let most = reason.len().min(200);
        let reason = reason.get(..most).unwrap_or("the response failed");
        self.link.outbox().send(&ToFrontFrame::Abort { id: self.streams.id, reason });
    }

    fn flush(&self) {
        self.link.outbox().try_flush();
    }
}
