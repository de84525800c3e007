//! The last finished requests: samples, and the slow and failed ones in a list of their own, which samples cannot push out.

use crate::heard::requests::FinishedRequest;
use std::collections::VecDeque;

/// Requests in each of the two lists.
const LENGTH: usize = 400;

/// The last finished requests.
#[derive(Debug, Default)]
pub struct FinishedRequests {
    /// All of them, oldest first.
    all: VecDeque<FinishedRequest>,
    /// Slow and failed ones, oldest first.
    notable: VecDeque<FinishedRequest>,
    /// `WSGISlowRequests` in seconds; 0: no request counts as slow.
    slow: f64,
    /// Every request is notable: other servers report only slow ones.
    all_notable: bool,
}

impl FinishedRequests {
    /// Requests of this server. `slow`: `WSGISlowRequests` in seconds.
    pub fn of_this_server(slow: f64) -> Self {
        Self { slow, ..Self::default() }
    }

    /// Requests that other servers report.
    pub fn of_other_servers() -> Self {
        Self { all_notable: true, ..Self::default() }
    }

    /// Adds a request.
    pub fn push(&mut self, request: FinishedRequest) {
        if self.is_notable(&request) {
            push(&mut self.notable, request.clone());
        }
        push(&mut self.all, request);
    }

    fn is_notable(&self, request: &FinishedRequest) -> bool {
        let slow = self.slow > 0.0 && request.seconds() >= self.slow;
        self.all_notable || request.finished.record.error || slow
    }

    /// Every request once: the slow and failed ones, then the samples, both oldest first.
    pub fn all(&self) -> impl Iterator<Item = &FinishedRequest> {
        self.notable.iter().chain(self.all.iter().filter(|request| !self.is_notable(request)))
    }

    /// The last requests, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &FinishedRequest> {
        self.all.iter().rev()
    }
}

fn push(list: &mut VecDeque<FinishedRequest>, request: FinishedRequest) {
    list.push_back(request);
    if list.len() > LENGTH {
        list.pop_front();
    }
}
