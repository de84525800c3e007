//! Bytes on their way from the ring to frames.

use crate::serve::link::stream::Stream;
use gk_sys::memory::channel::Receiver;
use gk_sys::memory::channel::blocks::Blocks;
use gk_wire::frame::{self, ToWorkerFrame};
use std::io::ErrorKind;

/// Initial size in bytes.
const ROOM: usize = 32 * 1024;

/// Bytes read and not yet handed out: `bytes[..filled]`. Grows to hold the longest frame received.
pub(super) struct ReadBuffer {
    receiver: Receiver,
    blocks: Blocks,
    bytes: Vec<u8>,
    filled: usize,
}

impl ReadBuffer {
    pub(super) fn new(receiver: Receiver, blocks: Blocks) -> Self {
        Self { receiver, blocks, bytes: vec![0; ROOM], filled: 0 }
    }

    /// Receives at least one byte, or without `wait` the bytes that are there. An empty error text is the ordinary end of the
    /// stream.
    pub(super) fn fill(&mut self, wait: bool) -> Result<(), String> {
        match self.receiver.receive(&mut self.bytes[self.filled..], wait) {
            Ok(0) => Err(String::new()),
            Ok(bytes) => {
                self.filled += bytes;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("The link to the front cannot be read: {error}")),
        }
    }

    /// Gives every whole frame to the stream.
    pub(super) fn hand_out(&mut self, stream: &mut Stream) -> Result<(), String> {
        let mut at = 0;
        while let Some((header, payload, used)) =
            frame::split(&self.bytes[at..self.filled]).map_err(|e| e.to_string())?
        {
            at += used;
            let frame = ToWorkerFrame::decode(header, payload).map_err(|e| e.to_string())?;
            stream.receive(frame, &self.blocks)?;
        }
        self.bytes.copy_within(at..self.filled, 0);
        self.filled -= at;
        if let Ok(Some(header)) = frame::Header::decode(&self.bytes[..self.filled]) {
            let whole = frame::HEADER_LEN + header.len;
            if whole > self.bytes.len() {
                self.bytes.resize(whole, 0);
            }
        }
        Ok(())
    }
}
