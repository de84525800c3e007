//! Messages of an upgrade, between a running server and the one that is to replace it: JSON, one message per packet, with descriptors
//! riding along. Each side may be of another version: unknown fields are passed over, unknown messages are errors.

use crate::certificates::TicketKey;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Environment variable of a server that replaces another one, with the process id of that.
pub const VARIABLE: &str = "GILKEEPER_REPLACES";
/// Its socket to that server.
pub const SOCKET_FD: i32 = 3;

/// To the new server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToSuccessor {
    /// The server root. Descriptors: [lock file, control socket].
    Root,
    /// A listening socket. Descriptor: [the socket].
    Listener {
        /// What it is for, as `gk_supervisor::sockets::matching::Purpose` in JSON.
        purpose: serde_json::Value,
        /// Its file, where its last owner removes that.
        file: Option<PathBuf>,
    },
    /// That was all. Descriptor: [socket to the process that stays in front], where that is not the old server itself.
    Complete {
        /// A process stays in front.
        kept: bool,
        /// The keys of session tickets: clients resume their sessions with the new server.
        #[serde(default)]
        ticket_keys: Vec<TicketKey>,
        /// Of the fronts ([`crate::setup::FrontSetup`]): Digest logins go on with the new server. Empty from a server that did not pass it on.
        #[serde(default)]
        secret: Vec<u8>,
        /// Load balancers are to send their requests elsewhere.
        #[serde(default)]
        draining: bool,
    },
    /// From now on it is the server.
    Yours,
    /// The service scripts have ended.
    ServicesEnded,
    /// All processes have ended, but for the one that may stay in front.
    Ended,
}

/// To the old server, and to the process that stays in front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPredecessor {
    /// It cannot serve.
    Refused {
        /// One sentence, and a traceback where an import failed.
        why: String,
    },
    /// It accepts connections, and its applications are imported.
    Serving,
    /// Another one has replaced the sender.
    Successor {
        /// Its process id.
        pid: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_server_leaves_no_secret() {
        let told: ToSuccessor = serde_json::from_str(r#"{"type":"complete","kept":true}"#).unwrap();
        let (ticket_keys, secret) = (Vec::new(), Vec::new());
        assert_eq!(told, ToSuccessor::Complete { kept: true, ticket_keys, secret, draining: false });
    }
}
