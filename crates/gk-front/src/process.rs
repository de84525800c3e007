//! The process around it all: its start, the supervisor's messages, the admin process, descriptors and clocks.

pub mod admin;
pub mod clock;
pub mod control;
pub mod descriptor_limit;
pub mod leftovers;
pub mod life;
pub mod readiness;
pub mod setup;
pub mod start;
