//! The server's own processes, with what they use of CPU and memory.

use gk_sys::usage::accounts::{self, Used};

/// One of the server's own processes.
#[derive(Debug, Clone, Copy)]
pub struct OwnProcess {
    /// `supervisor`, `front` or `admin`.
    pub name: &'static str,
    /// Process id.
    pub pid: u32,
    /// What it has used.
    pub used: Used,
}

/// The supervisor, the front and this process; in `telemetry serve` this process alone. Given are process ids, 0 for none.
pub fn own_processes(supervisor: u32, front: u32) -> Vec<OwnProcess> {
    let this = std::process::id();
    let others = [("supervisor", supervisor), ("front", front)]
        .into_iter()
        .filter(|(_, pid)| *pid != 0 && *pid != this);
    let read = |(name, pid)| Some(OwnProcess { name, pid, used: accounts::of_process(pid)? });
    others.chain([("admin", this)]).filter_map(read).collect()
}
