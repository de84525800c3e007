//! The JSON that Gilkeeper's processes exchange: control messages, setups, greetings of a link.
//!
//! serde's code for a type is compiled in the crate that uses it, with that crate's settings. Processes that are compiled for speed read
//! and write these types, but no request does. So the code is generated here, once, in a crate that is compiled for size.
#![forbid(unsafe_code)]

use gk_wire::admin::{Answer, Command};
use gk_wire::certificates::Certificates;
use gk_wire::control::{FromFront, FromWorker, ToFront, ToWorker};
use gk_wire::feed::{FromAdmin, ToAdmin};
use gk_wire::frame::{Hello, Welcome};
use gk_wire::handover::{ToPredecessor, ToSuccessor};
use gk_wire::passing::Passed;
use gk_wire::request::Profile;
use gk_wire::setup::{AdminSetup, FrontSetup, WorkerSetup};
use serde_json::{Error, Value};

/// A type that two processes exchange as JSON.
pub trait Message: Sized {
    /// Writes it.
    fn to_json(&self) -> Vec<u8>;
    /// Reads it.
    fn from_json(json: &[u8]) -> Result<Self, Error>;
}

/// Each method is a function of this crate: inlined, it would be compiled for the speed of its caller.
macro_rules! messages {
    ($($name:ty),+ $(,)?) => {$(
        impl Message for $name {
            #[inline(never)]
            fn to_json(&self) -> Vec<u8> {
                serde_json::to_vec(self).expect("messages hold only strings, numbers, lists and maps of them")
            }

            #[inline(never)]
            fn from_json(json: &[u8]) -> Result<Self, Error> {
                serde_json::from_slice(json)
            }
        }
    )+};
}

messages![
    Command,
    Answer,
    ToFront,
    FromFront,
    ToWorker,
    FromWorker,
    ToAdmin,
    FromAdmin,
    ToSuccessor,
    ToPredecessor,
    FrontSetup,
    AdminSetup,
    WorkerSetup,
    Certificates,
    Hello,
    Welcome,
    Profile,
    Passed,
    Value,
];

/// Writes a message.
pub fn encode<T: Message>(message: &T) -> Vec<u8> {
    message.to_json()
}

/// Reads a message.
pub fn decode<T: Message>(json: &[u8]) -> Result<T, Error> {
    T::from_json(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::control::{AdminProcess, FrontStatus};
    use gk_wire::queue::{DeadlyRoute, QueueFigures};

    #[test]
    fn a_front_status_is_read_back_as_written() {
        let deadly = DeadlyRoute { route: "GET /".into(), deaths: 3 };
        let status = FrontStatus {
            connections: 1,
            requests: 2,
            queued: [("g".to_owned(), 3)].into(),
            in_flight: [(4, 5)].into(),
            admin: Some(AdminProcess { pid: 7, silent: 8 }),
            queues: [(
                "g".to_owned(),
                QueueFigures { held: 7, deadly: vec![deadly], ..QueueFigures::default() },
            )]
            .into(),
        };
        let message = FromFront::Status { token: 6, status };
        assert_eq!(decode::<FromFront>(&encode(&message)).unwrap(), message);
    }
}
