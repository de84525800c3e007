//! Places in applications that held a GIL while others waited. A line is a label, so only the costliest have a value.

use super::{Families, Form};
use crate::kept::hub::Hub;

/// Places of a process group with a value of their own.
const MOST: usize = 10;

/// Adds their families, once there is a place.
pub fn add(page: &mut Families, hub: &Hub) {
    let all: Vec<_> = hub.holders().costliest(MOST).collect();
    if all.is_empty() {
        return;
    }
    page.family(
        "gilkeeper_gil_booked_seconds_total",
        Form::Counter,
        "Waits for the GIL that were booked to the places that held it.",
    );
    for (process_group, _, seconds) in &all {
        page.line(&[("process_group", process_group)], *seconds);
    }
    page.family(
        "gilkeeper_gil_holder_seconds_total",
        Form::Counter,
        "Time that others waited while the GIL was held there: the ten lines of a process group that cost most since the start.",
    );
    for (process_group, places, _) in &all {
        for place in places {
            let location = format!("{}:{}", place.file, place.line);
            let labels = [
                ("process_group", *process_group),
                ("application_group", place.application_group.as_str()),
                ("route", place.route.as_str()),
                ("function", place.function.as_str()),
                ("location", location.as_str()),
            ];
            page.line(&labels, place.seconds);
        }
    }
}
