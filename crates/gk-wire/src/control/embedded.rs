//! What a worker that speaks HTTP itself (embedded mode) tells of the clients it serves, by way of the supervisor to the front, which
//! adds up the figures of all.

use crate::feed::span::FrontSpan;
use crate::queue::QueueFigures;
use gk_telemetry::Answered;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Figures of the HTTP side of one worker, since its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbeddedFigures {
    /// Open client connections.
    pub connections: u64,
    /// Requests finished.
    pub requests: u64,
    /// Requests that workers have from it and have not ended, by worker.
    #[serde(deserialize_with = "super::figures::numbered")]
    pub in_flight: BTreeMap<u64, u64>,
    /// Requests that wait, by process group.
    pub queued: BTreeMap<String, u64>,
    /// More about the queues, by process group.
    pub queues: BTreeMap<String, QueueFigures>,
    /// Requests refused before their head was understood.
    pub malformed_requests: u64,
    /// Connections closed because their address had as many as it may.
    pub refused_connections: u64,
    /// Connections closed because they did not begin with the header of the PROXY protocol.
    pub unproxied_connections: u64,
    /// Lines of access logs that it could not hand on.
    pub lost_log_lines: u64,
    /// Bytes of responses that wait for slow clients, in memory and in files.
    pub waiting_responses: (u64, u64),
    /// Answers as clients got them, by process group; "" is no group.
    pub answered: BTreeMap<String, Answered>,
}

/// Requests of traces that its HTTP side has answered, a few in each message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbeddedSpans {
    /// As it saw them.
    pub spans: Vec<FrontSpan>,
    /// Those that found no room since the last message.
    pub lost: u64,
}

impl EmbeddedFigures {
    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        for (worker, requests) in &other.in_flight {
            *self.in_flight.entry(*worker).or_default() += requests;
        }
        for (group, queued) in &other.queued {
            *self.queued.entry(group.clone()).or_default() += queued;
        }
        self.waiting_responses.0 += other.waiting_responses.0;
        self.waiting_responses.1 += other.waiting_responses.1;
        self.add_counts(other);
    }

    /// Adds what another worker counted, which stays when it has ended.
    pub fn add_counts(&mut self, other: &Self) {
        self.requests += other.requests;
        self.malformed_requests += other.malformed_requests;
        self.refused_connections += other.refused_connections;
        self.unproxied_connections += other.unproxied_connections;
        self.lost_log_lines += other.lost_log_lines;
        for (group, queue) in &other.queues {
            self.queues.entry(group.clone()).or_default().add(queue);
        }
        for (group, answered) in &other.answered {
            self.answered.entry(group.clone()).or_default().merge(answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_telemetry::Reason;

    fn figures(connections: u64, requests: u64, queued: u64, full: u64) -> EmbeddedFigures {
        let mut answered = Answered::default();
        (0..requests).for_each(|_| answered.record(200, Reason::Application, 1_000));
        EmbeddedFigures {
            connections,
            requests,
            in_flight: BTreeMap::from([(7, 1)]),
            queued: BTreeMap::from([("a".to_owned(), queued)]),
            queues: BTreeMap::from([(
                "a".to_owned(),
                QueueFigures { full, held: 7, ..QueueFigures::default() },
            )]),
            answered: BTreeMap::from([("a".to_owned(), answered)]),
            ..EmbeddedFigures::default()
        }
    }

    #[test]
    fn counts_of_a_worker_stay_when_it_has_ended() {
        let mut all = EmbeddedFigures::default();
        all.add_counts(&figures(9, 2, 9, 1));
        all.add(&figures(3, 4, 5, 1));
        assert_eq!((all.connections, all.requests, all.in_flight[&7]), (3, 6, 1));
        assert_eq!((all.queued["a"], all.queues["a"].full), (5, 2));
        assert_eq!(all.answered["a"].total(), 6);
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<EmbeddedFigures>(&json).unwrap(), all);
    }
}
