//! `RequestReadTimeout`: how long a client may take to send a request head, and a request body.

use serde::{Deserialize, Serialize};

/// The time for one stage of a request, as mod_reqtimeout counts it: from the start of the stage to its end, not from byte
/// to byte.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadTimeout {
    /// Seconds for the whole stage; 0 = off.
    pub seconds: f64,
    /// Seconds that bytes can extend it to; 0 = without bound.
    pub longest: f64,
    /// Bytes that give the client one second more; 0 = none do.
    pub min_rate: u64,
}

impl ReadTimeout {
    /// Without an extension.
    pub const fn fixed(seconds: f64) -> Self {
        Self { seconds, longest: 0.0, min_rate: 0 }
    }

    /// Seconds from the start of the stage after which it has taken too long, when so many bytes have come; `None`: never.
    pub fn allowed(&self, bytes: u64) -> Option<f64> {
        if self.seconds <= 0.0 {
            return None;
        }
        let more = if self.min_rate == 0 { 0.0 } else { bytes as f64 / self.min_rate as f64 };
        let allowed = self.seconds + more;
        Some(if self.longest > 0.0 { allowed.min(self.longest) } else { allowed })
    }
}

/// All stages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadTimeouts {
    /// The handshake of TLS; without a time of its own it has that of `Timeout`.
    #[serde(default = "ReadTimeouts::no_time")]
    pub handshake: ReadTimeout,
    /// From the first byte of the head (on a new connection from its start) to the head's end.
    pub header: ReadTimeout,
    /// The body.
    pub body: ReadTimeout,
}

impl ReadTimeouts {
    /// Apache's defaults.
    pub const STANDARD: Self = Self {
        handshake: ReadTimeout::fixed(0.0),
        header: ReadTimeout { seconds: 20.0, longest: 40.0, min_rate: 500 },
        body: ReadTimeout { seconds: 20.0, longest: 0.0, min_rate: 500 },
    };

    fn no_time() -> ReadTimeout {
        Self::STANDARD.handshake
    }
}

impl Default for ReadTimeouts {
    fn default() -> Self {
        Self::STANDARD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_extend_the_time_up_to_the_longest() {
        let ReadTimeouts { header, body, .. } = ReadTimeouts::STANDARD;
        let table = [
            (header, 0, Some(20.0)),
            (header, 1_000, Some(22.0)),
            (header, 1 << 20, Some(40.0)),
            (body, 0, Some(20.0)),
            (body, 250, Some(20.5)),
            (body, 1_000_000, Some(2_020.0)),
            (ReadTimeout::fixed(3.0), 1 << 40, Some(3.0)),
            (ReadTimeout { seconds: 0.0, ..body }, 0, None),
        ];
        for (stage, bytes, allowed) in table {
            assert_eq!(stage.allowed(bytes), allowed, "{stage:?} after {bytes} bytes");
        }
    }
}
