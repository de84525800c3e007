//! An upgrade's processes: the server that is to replace this one, the one that this one replaces, and what passes between them. The
//! plan decides; `perform/upgrade.rs` acts.

use crate::StartError;
use crate::child::Child;
use crate::root::Root;
use crate::sockets::Offered;
use crate::sockets::matching::Origin;
use gk_messages::{decode, encode};
use gk_sys::child::reap;
use gk_sys::descriptors;
use gk_sys::signal::SIGKILL;
use gk_wire::certificates::TicketKey;
use gk_wire::control::MAX_PACKET;
use gk_wire::handover::{SOCKET_FD, ToPredecessor, ToSuccessor, VARIABLE};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Both halves of an upgrade.
#[derive(Debug, Default)]
pub struct Handover {
    /// The server root in use.
    pub root: Option<Root>,
    /// Arguments after `serve`.
    pub arguments: Vec<OsString>,
    /// The server that is to replace this one.
    pub successor: Option<Child>,
    /// Process id of the server that has replaced the successor, while this process still ends.
    pub next: Option<u32>,
    /// New servers that were killed before they served.
    pub dying: Vec<u32>,
    /// The server that this one replaces.
    pub predecessor: Option<Child>,
    /// The process that stays in front hears here who its server is.
    pub keeper: Option<OwnedFd>,
    /// This process stays in front of its successor.
    pub stays: bool,
    /// The predecessor's keys of session tickets.
    pub ticket_keys: Vec<TicketKey>,
    /// The secret of the predecessor's fronts; empty: it did not pass it on.
    pub secret: Vec<u8>,
    /// The predecessor drains.
    pub draining: bool,
}

impl Handover {
    /// The server starts. A process that somebody watches by its id stays when another server takes over: process 1, and one
    /// that no service manager can be told of the new one.
    pub fn begin(&mut self, root: Root, arguments: Vec<OsString>, has_manager: bool) {
        self.root = Some(root);
        self.arguments = arguments;
        self.stays = std::process::id() == 1 || (!has_manager && self.keeper.is_none());
    }

    /// Takes the server that has replaced the successor for the successor, if there is one.
    pub fn follow(&mut self) -> bool {
        match (self.next.take(), &mut self.successor) {
            (Some(pid), Some(successor)) => {
                successor.pid = pid;
                true
            }
            _ => false,
        }
    }

    /// Sends the successor a message.
    pub fn tell_successor(&mut self, message: &ToSuccessor) {
        self.successor.iter_mut().for_each(|new| new.send(message, Vec::new()));
    }

    /// Sends the predecessor a message.
    pub fn tell_predecessor(&mut self, message: &ToPredecessor) {
        self.predecessor.iter_mut().for_each(|old| old.send(message, Vec::new()));
    }

    /// This server never served.
    pub fn refuse(&mut self, why: &str) {
        self.tell_predecessor(&refusal(why));
    }

    /// Sends the successor a signal; one that is killed is forgotten.
    pub fn signal_successor(&mut self, signal: i32) {
        let Some(pid) = self.successor.as_ref().map(|new| new.pid) else { return };
        let _ = reap::signal(pid, signal);
        if signal == SIGKILL {
            self.successor = None;
            self.dying.push(pid);
        }
    }
}

/// What a server leaves to the one that replaces it.
#[derive(Debug)]
pub struct Estate {
    /// The lock of the server root.
    pub lock: OwnedFd,
    /// The listening control socket.
    pub control: OwnedFd,
    /// The listening sockets.
    pub sockets: Vec<Offered>,
    /// The other side.
    pub handover: Handover,
}

/// A way to tell the predecessor that there will be no successor.
#[derive(Debug)]
pub struct Refuser(Option<OwnedFd>);

impl Refuser {
    /// One sentence, or more.
    pub fn refuse(&self, why: &str) {
        self.0.iter().for_each(|socket| drop(descriptors::send(socket, &encode(&refusal(why)), &[])));
    }
}

fn refusal(why: &str) -> ToPredecessor {
    // A packet has its bound, and escapes make text longer.
    let most = why.floor_char_boundary(MAX_PACKET / 8);
    ToPredecessor::Refused { why: why[..most].to_owned() }
}

impl Estate {
    /// From the server that has started this process to replace it; `None`: nobody has.
    pub fn receive() -> Result<Option<Self>, StartError> {
        let Some(pid) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let broken = |why: String| {
            StartError(format!(
                "{VARIABLE} is set, but no server hands over to this one: {why}; unset it, or use `gilkeeper upgrade`"
            ))
        };
        let Some(pid) = pid.to_str().and_then(|pid| pid.parse().ok()) else {
            return Err(broken("it is no process id".into()));
        };
        let socket = descriptors::inherited(SOCKET_FD).map_err(|e| broken(e.to_string()))?;
        let (mut root, mut sockets, mut buffer) = (Vec::new(), Vec::new(), vec![0; MAX_PACKET]);
        let (keeper, ticket_keys, secret, draining) = loop {
            let got = descriptors::receive(&socket, &mut buffer, true).map_err(|e| broken(e.to_string()))?;
            if got.bytes == 0 {
                return Err(broken("it has ended".into()));
            }
            let message = decode::<ToSuccessor>(&buffer[..got.bytes]);
            let message = message.map_err(|e| broken(format!("a message of it is not understood ({e})")))?;
            if got.cut {
                return Err(broken("a descriptor was lost; raise the limit of open files".into()));
            }
            match message {
                ToSuccessor::Root => root = got.fds,
                ToSuccessor::Listener { purpose, file } => sockets.extend(offered(purpose, file, got.fds)),
                ToSuccessor::Complete { kept, ticket_keys, secret, draining } => {
                    // One before the predecessor, or the predecessor itself.
                    let given = || got.fds.into_iter().next().map_or_else(|| socket.try_clone(), Ok);
                    break (kept.then(given), ticket_keys, secret, draining);
                }
                ToSuccessor::Yours | ToSuccessor::ServicesEnded | ToSuccessor::Ended => {}
            }
        };
        let Ok([lock, control]) = <[OwnedFd; 2]>::try_from(root) else {
            return Err(broken("its server root did not arrive".into()));
        };
        let keeper = keeper.transpose().map_err(|e| broken(e.to_string()))?;
        let predecessor = Child::new(pid, socket).map_err(|e| broken(e.to_string()))?;
        let handover = Handover {
            predecessor: Some(predecessor),
            keeper,
            ticket_keys,
            secret,
            draining,
            ..Handover::default()
        };
        Ok(Some(Self { lock, control, sockets, handover }))
    }

    /// A way to refuse it, also when it has been taken apart.
    pub fn predecessor(&self) -> Refuser {
        use std::os::fd::AsFd;
        let old = self.handover.predecessor.as_ref();
        Refuser(old.and_then(|old| old.as_fd().try_clone_to_owned().ok()))
    }
}

/// A socket for a purpose of another version is not taken.
fn offered(purpose: serde_json::Value, file: Option<PathBuf>, fds: Vec<OwnedFd>) -> Option<Offered> {
    let purpose = serde_json::from_value(purpose).ok()?;
    let socket = fds.into_iter().next()?;
    Some(Offered { socket, origin: Origin::Predecessor(purpose), file })
}
