//! The server's own processes: what supervisor, front and admin process use of CPU and memory.

use super::{Families, Form};
use crate::kept::hub::Hub;

/// Adds their families, where there is a front.
pub fn add(page: &mut Families, hub: &Hub) {
    let processes = hub.own_processes();
    page.family(
        "gilkeeper_server_cpu_seconds_total",
        Form::Counter,
        "User and system CPU time of the server's own processes.",
    );
    for one in &processes {
        page.line(&[("process", one.name)], one.used.cpu);
    }
    page.family(
        "gilkeeper_server_resident_memory_bytes",
        Form::Gauge,
        "Resident memory of the server's own processes.",
    );
    for one in &processes {
        page.line(&[("process", one.name)], one.used.resident as f64);
    }
}
