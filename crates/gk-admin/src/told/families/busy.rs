//! Where the request threads' time goes, as it passes.

use super::{Families, Form};
use crate::kept::counters::busy::PARTS;
use crate::kept::hub::Hub;
use std::collections::BTreeSet;

/// Adds the thread-seconds of requests, those in flight included. Every process group has its lines from the start.
pub fn add(page: &mut Families, hub: &Hub) {
    page.family(
        "gilkeeper_busy_thread_seconds_total",
        Form::Counter,
        "Time of request threads as it passed, by what their requests did; requests in flight included.",
    );
    let busy = hub.busy_time();
    let known = hub.front_figures().status.queued.keys().map(String::as_str);
    // The processes of several fronts have no request threads that serve.
    let used = busy.groups().filter(|group| busy.of(group).iter().any(|seconds| *seconds > 0.0));
    let groups: BTreeSet<&str> = known.chain(used).collect();
    for group in groups {
        for (part, seconds) in PARTS.iter().zip(busy.of(group)) {
            page.line(&[("process_group", group), ("part", part)], seconds);
        }
    }
}
