//! Reports of a process of another server: mod_wsgi's datagrams, or OTLP pushes of a Gilkeeper.

use crate::heard::pushes::PushingGroup;
use gk_telemetry::datagram::receive::{Process, Reading};

/// Location of a process of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the machine.
    pub host: String,
    /// The server there.
    pub instance: String,
    /// Form of its reports: `mod_wsgi` or `otlp`.
    pub kind: &'static str,
}

/// All reports of a process so far, summed up.
pub enum Reports {
    /// mod_wsgi's datagrams.
    Datagrams(Box<Process>),
    /// OTLP pushes.
    Pushes(Box<PushingGroup>),
}

impl Reports {
    /// Seconds between two reports; `None` while that is unknown.
    pub fn interval(&self) -> Option<f64> {
        match self {
            Self::Datagrams(process) => Some(process.interval).filter(|interval| *interval > 0.0),
            Self::Pushes(group) => group.interval(),
        }
    }

    /// Whether a GIL is in force is part of the reports.
    pub(crate) fn tells_gil(&self) -> bool {
        match self {
            Self::Datagrams(_) => true,
            Self::Pushes(group) => group.tells_gil(),
        }
    }

    /// Epoch seconds after which a reading adds nothing to what has been reported so far.
    pub(crate) fn handed_out(&self) -> f64 {
        match self {
            Self::Datagrams(process) => process.handed_out(),
            Self::Pushes(group) => group.handed_out(),
        }
    }

    /// The process at a moment, in epoch seconds.
    pub(crate) fn reading(&self, now: f64) -> Reading {
        match self {
            Self::Datagrams(process) => process.reading(now),
            Self::Pushes(group) => group.reading(now),
        }
    }
}
