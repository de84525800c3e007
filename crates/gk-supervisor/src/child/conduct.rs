//! The conduct of a child on its control socket: how much it may send before that is abuse. A worker may be in the hands of
//! somebody else, and the supervisor serves all of them on one thread. Pure: times come in as numbers.

use std::time::Duration;

/// Time that the bounds are for.
const WINDOW: Duration = Duration::from_secs(10);
/// Packets in a window. A change of every source file of a large application gives some thousands.
const PACKETS: u32 = 10_000;
/// Bytes in a window.
const BYTES: u64 = 64 << 20;
/// Packets in a window that are no messages. A worker of another version may have some of its own.
const MALFORMED: u32 = 32;

/// What a child has sent in the present window.
#[derive(Debug, Default)]
pub struct Conduct {
    began: Duration,
    packets: u32,
    bytes: u64,
    malformed: u32,
}

impl Conduct {
    /// Counts a packet of so many bytes. Returns half a sentence when that was one too many.
    pub fn packet(&mut self, bytes: usize, understood: bool, now: Duration) -> Option<String> {
        if now.saturating_sub(self.began) > WINDOW {
            *self = Self { began: now, ..Self::default() };
        }
        self.packets += 1;
        self.bytes += bytes as u64;
        self.malformed += u32::from(!understood);
        let bounds = [
            (u64::from(self.malformed), u64::from(MALFORMED), "messages that are none"),
            (u64::from(self.packets), u64::from(PACKETS), "messages"),
            (self.bytes, BYTES, "bytes of messages"),
        ];
        let (_, most, what) = bounds.into_iter().find(|(sent, most, _)| sent > most)?;
        Some(format!("it sent more than {most} {what} within {} s", WINDOW.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: a worker that had been taken over wrote 90 MB of log within 4 s, a line for each packet that was no message.
    #[test]
    fn what_no_worker_has_reason_to_send_is_abuse() {
        let start = Duration::from_secs(100);
        let cases = [
            ("no messages", 10, false, MALFORMED, "32 messages that are none"),
            ("messages", 10, true, PACKETS, "10000 messages"),
            ("long messages", 128 << 10, true, 512, "67108864 bytes of messages"),
        ];
        for (what, bytes, understood, good, why) in cases {
            let mut conduct = Conduct::default();
            for _ in 0..good {
                assert_eq!(conduct.packet(bytes, understood, start), None, "{what}");
            }
            let said = conduct.packet(bytes, understood, start).unwrap();
            assert!(said.contains(why), "{what}: {said}");
        }
    }

    #[test]
    fn the_count_begins_anew_with_each_window() {
        let mut conduct = Conduct::default();
        for window in 0..100 {
            let now = (WINDOW + Duration::from_millis(1)) * window;
            for _ in 0..MALFORMED {
                assert_eq!(conduct.packet(10, false, now), None);
            }
        }
    }
}
