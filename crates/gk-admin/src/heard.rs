//! Input of the admin process: messages of the front, the scoreboards of its workers, and the reports of other servers. The
//! readers give values to their callers; nothing here uses another room.

pub(crate) mod datagram_socket;
pub mod event;
pub mod fleet;
pub(crate) mod front_socket;
pub mod otlp_intake;
pub mod otlp_message;
pub mod pushes;
pub mod reports;
pub mod requests;
pub mod worker;
