//! The server's own processes, with what they use of CPU and memory.

use gk_sys::usage::accounts::{self, Used};

/// One of the server's own processes.
#[derive(Debug, Clone, Copy)]
pub struct OwnProcess {
    /// `front` or `admin`.
    pub name: &'static str,
    /// Process id.
    pub pid: u32,
    /// What it has used.
    pub used: Used,
}

/// The front and this process; in `telemetry serve` this process alone. `front`: its process id.
pub fn own_processes(front: u32) -> Vec<OwnProcess> {
    let this = std::process::id();
    let read = |name, pid| Some(OwnProcess { name, pid, used: accounts::of_process(pid)? });
    let front = Some(front).filter(|pid| *pid != 0 && *pid != this).and_then(|pid| read("front", pid));
    front.into_iter().chain(read("admin", this)).collect()
}
