//! Input of the admin process: messages of the front, the scoreboards of its workers, and the reports of other servers.

pub mod feed;
pub mod fleet;
pub mod otlp_intake;
pub mod otlp_message;
pub mod pushes;
pub mod worker;
