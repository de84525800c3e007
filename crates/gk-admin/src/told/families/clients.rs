//! What clients got: answers, and the queues in which their requests wait.

use super::{Families, Form};
use crate::kept::hub::Hub;
use gk_wire::queue::QueueFigures;
use std::collections::BTreeMap;

/// Adds the queues of the process groups.
pub fn queues(page: &mut Families, queues: &BTreeMap<String, QueueFigures>) {
    type Gauge = fn(&QueueFigures) -> u64;
    let gauges: [(&str, &str, Gauge); 3] = [
        ("gilkeeper_queue_bytes", "Memory that the waiting requests hold.", |queue| queue.held),
        (
            "gilkeeper_overloaded",
            "1 while requests are refused for want of capacity, and ten seconds longer.",
            |queue| u64::from(queue.overloaded),
        ),
        ("gilkeeper_deadly_routes", "Routes whose requests workers die of again and again.", |queue| {
            queue.deadly.len() as u64
        }),
    ];
    for (name, help, get) in gauges {
        page.family(name, Form::Gauge, help);
        for (group, queue) in queues {
            page.line(&[("process_group", group)], get(queue) as f64);
        }
    }
    page.family(
        "gilkeeper_refused_requests_total",
        Form::Counter,
        "Requests that no worker took, by reason.",
    );
    for (group, queue) in queues {
        let reasons = [
            ("queue_memory", queue.full),
            ("queue_timeout", queue.timed_out),
            ("no_worker", queue.no_worker),
            ("listen_backlog", queue.no_place),
        ];
        for (reason, count) in reasons {
            page.line(&[("process_group", group), ("reason", reason)], count as f64);
        }
    }
    page.family(
        "gilkeeper_retried_requests_total",
        Form::Counter,
        "Requests tried again because their worker died.",
    );
    for (group, queue) in queues {
        page.line(&[("process_group", group)], queue.retried as f64);
    }
}

/// Adds the answers as clients got them.
pub fn answered(page: &mut Families, hub: &Hub) {
    page.family(
        "gilkeeper_responses_total",
        Form::Counter,
        "Answers to clients, by status, by who answered and why.",
    );
    for (group, answered) in hub.answered() {
        for answers in &answered.counts {
            let code = answers.code.to_string();
            let labels = [
                ("process_group", group.as_str()),
                ("code", &code),
                ("source", answers.reason.source()),
                ("reason", answers.reason.name()),
            ];
            page.line(&labels, answers.count as f64);
        }
    }
    page.family(
        "gilkeeper_response_seconds",
        Form::Histogram,
        "From the head of a request to the last byte of its answer.",
    );
    for (group, answered) in hub.answered() {
        page.histogram(&[("process_group", group)], &answered.seconds);
    }
}
