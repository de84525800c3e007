//! State of the admin process: the present in the hub, the last minute, and the history on disk. It takes values from `heard`;
//! pages and exports read it through methods.

pub mod answers;
pub mod counters;
pub mod deliveries;
pub mod events;
pub mod exceptions;
pub mod handed_on;
pub mod health;
pub mod history;
pub mod holders;
pub mod hub;
pub mod own_processes;
pub mod profiles;
pub mod requests;
pub mod tick;
pub mod totals;
pub mod traces;
