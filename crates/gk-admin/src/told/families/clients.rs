//! What clients got: answers, and the queues in which their requests wait.

use super::{Families, Form};
use crate::kept::hub::Hub;
use gk_telemetry::{Answered, Reason};
use gk_wire::queue::QueueFigures;
use std::collections::BTreeMap;

/// Answers that have a line before there is one, so that the first error is an increase. Which others a site gives nobody knows.
const FROM_THE_START: [(u16, Reason); 6] = [
    (200, Reason::Application),
    (500, Reason::Application),
    (500, Reason::Internal),
    (502, Reason::WorkerDied),
    (503, Reason::Busy),
    (504, Reason::TimedOut),
];

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
    let none = Answered::default();
    let queued =
        hub.front_figures().status.queued.keys().filter(|group| !hub.answered().contains_key(*group));
    let groups: Vec<_> = hub.answered().iter().chain(queued.map(|group| (group, &none))).collect();
    for (group, answered) in &groups {
        let is_new = |(code, reason): &(u16, Reason)| {
            !answered.counts.iter().any(|answers| (answers.code, answers.reason) == (*code, *reason))
        };
        // Of no group are answers that no application could give.
        for (code, reason) in FROM_THE_START.into_iter().filter(is_new).filter(|_| !group.is_empty()) {
            let code = code.to_string();
            let labels = [
                ("process_group", group.as_str()),
                ("code", &code),
                ("source", reason.source()),
                ("reason", reason.name()),
            ];
            page.line(&labels, 0.0);
        }
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
        "From the first byte of a request to the last of its answer.",
    );
    for (group, answered) in groups {
        page.histogram(&[("process_group", group)], &answered.seconds);
    }
}
