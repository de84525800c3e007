//! Answers as clients got them: those of applications and the server's own, with the reason, and the time that clients waited. Rate,
//! errors and duration of a site come from here; a worker knows only the requests that reached it.

use crate::histogram::Histogram;
use crate::saturating::saturating_sum;
use serde::{Deserialize, Serialize};

/// Why an answer is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The application's answer, whole.
    Application,
    /// The application's answer broke off: the client did not get all of it.
    BrokenOff,
    /// The application's answer was cut off: its client did not read it, and it held the last request thread while others waited.
    Unread,
    /// The client went before it had the whole answer.
    ClientGone,
    /// A file.
    File,
    /// A rule of the configuration: a redirect, a status.
    Rule,
    /// The server about itself: `OPTIONS *`.
    Server,
    /// The request cannot be understood, or is longer than allowed.
    Malformed,
    /// The request came too slowly.
    TooSlow,
    /// Access is denied.
    Denied,
    /// There is nothing at the address.
    NotFound,
    /// The method is not allowed.
    Method,
    /// No worker took the request.
    Busy,
    /// No room for the request's body, or no descriptor.
    NoSpace,
    /// The worker died.
    WorkerDied,
    /// The application did not answer in time.
    TimedOut,
    /// The server failed.
    Internal,
}

impl Reason {
    /// Its name in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "",
            Self::BrokenOff => "broken_off",
            Self::Unread => "unread",
            Self::ClientGone => "client_gone",
            Self::File => "file",
            Self::Rule => "rule",
            Self::Server => "server",
            Self::Malformed => "malformed",
            Self::TooSlow => "too_slow",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::Busy => "busy",
            Self::NoSpace => "no_space",
            Self::WorkerDied => "worker_died",
            Self::TimedOut => "timed_out",
            Self::Internal => "internal",
        }
    }

    /// Who answered, in `/metrics`.
    pub fn source(self) -> &'static str {
        match self {
            Self::Application | Self::BrokenOff => "application",
            _ => "front",
        }
    }

    /// The reason in words, for a sentence: `503 × 12 (no worker took the request)`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Application => "the application",
            Self::BrokenOff => "the answer broke off",
            Self::Unread => "the client did not read, and others waited",
            Self::ClientGone => "the client went",
            Self::File => "a file",
            Self::Rule => "a rule of the configuration",
            Self::Server => "the server",
            Self::Malformed => "the request was malformed",
            Self::TooSlow => "the request came too slowly",
            Self::Denied => "access is denied",
            Self::NotFound => "there is nothing at the address",
            Self::Method => "the method is not allowed",
            Self::Busy => "no worker took the request",
            Self::NoSpace => "there was no room for the request",
            Self::WorkerDied => "the worker died",
            Self::TimedOut => "the application did not answer in time",
            Self::Internal => "the server failed",
        }
    }
}

/// Answers with one status for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Status; 499: the client went before there was one.
    pub code: u16,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: u64,
}

impl Answers {
    /// Whether a user saw an error: a status from 500 on, or a part of an answer.
    pub fn failed(&self) -> bool {
        self.code >= 500 || matches!(self.reason, Reason::BrokenOff | Reason::Unread)
    }
}

/// Answers of a process group, or of the front for no group, since a start or in a span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answered {
    /// By status and reason, in the order of their first appearance.
    pub counts: Vec<Answers>,
    /// From the request's head to the answer's last byte.
    pub seconds: Histogram,
}

impl Answered {
    /// Counts an answer that took so many nanoseconds.
    pub fn record(&mut self, code: u16, reason: Reason, ns: u64) {
        self.add(code, reason, 1);
        self.seconds.record(ns);
    }

    fn add(&mut self, code: u16, reason: Reason, count: u64) {
        match self.counts.iter_mut().find(|known| known.code == code && known.reason == reason) {
            Some(known) => known.count = known.count.saturating_add(count),
            None => self.counts.push(Answers { code, reason, count }),
        }
    }

    /// Adds another one's.
    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|answers| self.add(answers.code, answers.reason, answers.count));
        self.seconds.merge(&other.seconds);
    }

    /// The difference to an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut now = Self { counts: Vec::new(), seconds: self.seconds.since(&earlier.seconds) };
        for answers in &self.counts {
            let same = |known: &&Answers| known.code == answers.code && known.reason == answers.reason;
            let before = earlier.counts.iter().find(same).map_or(0, |known| known.count);
            if answers.count > before {
                now.add(answers.code, answers.reason, answers.count - before);
            }
        }
        now
    }

    /// Whether nothing was answered.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// All answers.
    pub fn total(&self) -> u64 {
        self.sum(|_| true)
    }

    /// Answers that a user saw as an error.
    pub fn failed(&self) -> u64 {
        self.sum(Answers::failed)
    }

    /// Answers of a kind.
    pub fn sum(&self, of: impl Fn(&Answers) -> bool) -> u64 {
        saturating_sum(self.counts.iter().filter(|answers| of(answers)).map(|answers| answers.count))
    }

    /// The failures in words, the most frequent first: `503 × 12 (no worker took the request), 500 × 3 (the application)`.
    pub fn failures(&self) -> String {
        let mut failed: Vec<&Answers> = self.counts.iter().filter(|answers| answers.failed()).collect();
        failed.sort_by_key(|answers| std::cmp::Reverse(answers.count));
        let shown = |a: &&Answers| format!("{} × {} ({})", a.code, a.count, a.reason.words());
        failed.iter().take(3).map(shown).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(counts: &[(u16, Reason, u64)]) -> Answered {
        let mut answered = Answered::default();
        for (code, reason, count) in counts {
            (0..*count).for_each(|_| answered.record(*code, *reason, 1_000_000));
        }
        answered
    }

    #[test]
    fn failures_are_what_users_saw_as_errors() {
        use Reason::{Application, BrokenOff, Busy, ClientGone, Denied};
        let answered = answered(&[
            (200, Application, 5),
            (404, Application, 1),
            (403, Denied, 1),
            (499, ClientGone, 2),
            (500, Application, 3),
            (503, Busy, 96),
            (200, BrokenOff, 1),
        ]);
        assert_eq!((answered.total(), answered.failed()), (109, 100));
        assert_eq!(
            answered.failures(),
            "503 × 96 (no worker took the request), 500 × 3 (the application), 200 × 1 (the answer broke off)"
        );
    }

    #[test]
    fn a_later_reading_without_an_earlier_one_is_what_came_between() {
        let before = answered(&[(200, Reason::Application, 2), (503, Reason::Busy, 1)]);
        let mut now = before.clone();
        let fresh = answered(&[(200, Reason::Application, 1), (502, Reason::WorkerDied, 1)]);
        now.merge(&fresh);
        assert_eq!(now.since(&before), fresh);
        assert!(now.since(&now).is_empty());
        let json = serde_json::to_string(&now).unwrap();
        assert_eq!(serde_json::from_str::<Answered>(&json).unwrap(), now);
    }
}
