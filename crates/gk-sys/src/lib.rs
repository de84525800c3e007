//! Safe wrappers around the operating system's facilities. Each function wraps one facility; the callers decide what to do with
//! it. No policy here.
//!
//! * [`memory`]: pages and words that processes share, and a link's rings.
//! * [`child`]: starting, identity and end of child processes.
//! * [`signal`]: arriving signals, by a descriptor or by a handler.
//! * [`usage`]: CPU time, memory and limits as the kernel counts them.
//! * [`event_loop`]: one that threads take turns to run.
//! * [`interpose`]: exchanging a function of a loaded library.
//! * [`cpu_timer`]: timers on the CPU time of single threads.
//! * Alone: [`descriptors`] and the messages that carry them, the [`datagram_sender`], the
//!   [`clock`], the calling process ([`own_process`]) and its forks ([`fork`]), the [`log`], the system's [`crypt`], reading a [`whole_file`].

pub mod child;
pub mod clock;
pub mod cpu_timer;
pub mod crypt;
pub mod datagram_sender;
pub mod descriptors;
pub mod event_loop;
pub mod fork;
pub mod interpose;
pub mod log;
pub mod memory;
pub mod own_process;
pub mod signal;
pub mod usage;
pub mod whole_file;
