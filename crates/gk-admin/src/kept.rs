//! State of the admin process: the present in the hub, the last minute, and the history on disk.

pub mod events;
pub mod history;
pub mod hub;
pub mod tick;
pub mod totals;
