//! The certificates in force. A thread looks at their files every two seconds; changed ones are read and checked there, and take
//! effect if they are good. Otherwise those before stay.

use super::stamps::Stamps;
use super::tickets::TicketKeys;
use super::{Reading, facts, read, refusal};
use crate::configuration::Configuration;
use gk_wire::certificates::{CertificateFacts, Certificates, TicketKey};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Files that change are read when they have not changed for this long: a certificate and its key are written one after the other.
const SETTLE: Duration = Duration::from_millis(500);
/// Most such waits: files that change all the time are read as they are.
const WAITS: usize = 20;
/// Seconds.
const DAY: i64 = 86_400;

/// The certificates in force, and the watch over their files.
#[derive(Debug)]
pub struct Kept {
    number: u64,
    reading: Arc<Reading>,
    tickets: TicketKeys,
    /// The configuration that the last look was for, and the files as it saw them.
    seen: (u64, Stamps),
    due: Duration,
    looking: bool,
    found: (Sender<Look>, Receiver<Look>),
    /// Those that the front has not answered yet, in the order in which it got them.
    pending: VecDeque<Pending>,
    /// Number of a configuration that the front has been offered and has not answered yet: until then it is not known which one new
    /// certificates would be for.
    offered: Option<u64>,
    /// Days on which a certificate's end was last warned of, by file.
    warned: BTreeMap<String, i64>,
}

/// What a look found.
#[derive(Debug)]
struct Look {
    configuration: u64,
    stamps: Stamps,
    /// `None`: nothing has changed.
    changed: Option<Result<Reading, String>>,
}

/// What came of changed files.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// They are in force from now on.
    Replaced,
    /// They cannot be used, for this reason.
    Refused(String),
}

/// Certificates that the front has not taken yet.
#[derive(Debug)]
struct Pending {
    /// Number of the message.
    number: u64,
    /// The log's words when it takes them.
    said: String,
    /// Those before, which stay if it does not.
    before: Arc<Reading>,
}

impl Kept {
    /// With those of the first configuration.
    pub fn new(configuration: &Configuration) -> Self {
        let reading = Arc::clone(&configuration.certificates);
        let mut kept = Self {
            number: 1,
            seen: (configuration.number, reading.stamps.clone()),
            reading,
            tickets: TicketKeys::default(),
            due: LOOK,
            looking: false,
            found: channel(),
            pending: VecDeque::new(),
            offered: None,
            warned: BTreeMap::new(),
        };
        kept.turn_tickets(Duration::ZERO);
        kept
    }

    /// Those of another configuration, for the front. Nothing else goes to it until they are adopted or withdrawn.
    pub fn offer(&mut self, configuration: &Configuration, now: Duration) -> Certificates {
        self.offered = Some(configuration.number);
        let reading = &configuration.certificates;
        if !reading.hosts.is_empty() && self.tickets.all().is_empty() {
            self.tickets.turn(now);
        }
        self.message_of(reading)
    }

    /// Puts those of another configuration in force.
    pub fn adopt(&mut self, configuration: &Configuration) {
        self.reading = Arc::clone(&configuration.certificates);
        self.seen = (configuration.number, self.reading.stamps.clone());
        self.number += 1;
        self.pending.clear();
        self.offered = None;
    }

    /// That configuration will not be used; whether the front was offered it.
    pub fn withdraw(&mut self, configuration: u64) -> bool {
        self.offered.take_if(|offered| *offered == configuration).is_some()
    }

    /// Goes on with the ticket keys of the server that this one replaces.
    pub fn inherit(&mut self, keys: Vec<TicketKey>) {
        self.tickets.inherit(keys);
    }

    /// For the front.
    pub fn message(&self) -> Certificates {
        self.message_of(&self.reading)
    }

    fn message_of(&self, reading: &Reading) -> Certificates {
        Certificates {
            number: self.number,
            hosts: reading.hosts.clone(),
            ticket_keys: self.tickets.all().to_vec(),
            facts: reading.facts.clone(),
        }
    }

    /// What is told of them.
    pub fn facts(&self) -> &[CertificateFacts] {
        &self.reading.facts
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.reading.hosts.is_empty()
    }

    /// When something is to be done.
    pub fn due(&self) -> Option<Duration> {
        let waits = self.looking || self.offered.is_some();
        (self.any() && !waits).then(|| self.due.min(self.tickets.due()))
    }

    /// Makes a new ticket key, if it is time; whether there is one.
    pub fn turn_tickets(&mut self, now: Duration) -> bool {
        let new = self.any() && self.offered.is_none() && self.tickets.turn(now);
        self.number += u64::from(new);
        new
    }

    /// Looks at the files, if it is time. `wake` is written to when the look has ended.
    pub fn look(
        &mut self,
        configuration: &Arc<Configuration>,
        wake: impl FnOnce() -> std::io::Result<OwnedFd>,
        now: Duration,
    ) {
        if self.looking || self.offered.is_some() || !self.any() || now < self.due {
            return;
        }
        self.due = now + LOOK;
        let Ok(wake) = wake() else { return };
        let (configuration, sender) = (Arc::clone(configuration), self.found.0.clone());
        let seen = (self.seen.0 == configuration.number).then(|| self.seen.1.clone());
        let work = move || {
            let _ = sender.send(look(&configuration, seen.as_ref()));
            // The byte only wakes the loop.
            let _ = rustix::io::write(&wake, b".");
        };
        self.looking = std::thread::Builder::new().name("certificates".into()).spawn(work).is_ok();
    }

    /// Takes in what the last look found. `epoch`: seconds since 1970.
    pub fn take(&mut self, epoch: i64) -> Option<Change> {
        let Look { configuration, stamps, changed } = self.found.1.try_recv().ok()?;
        self.looking = false;
        if self.offered.is_some() || configuration != self.seen.0 {
            // A reload comes or came between. The next look finds what is still new then.
            return None;
        }
        self.seen.1 = stamps;
        let reading = match changed? {
            Ok(reading) => reading,
            Err(why) => return Some(Change::Refused(why)),
        };
        if let Some(why) = facts::worse(&self.reading.facts, &reading.facts, epoch) {
            return Some(Change::Refused(why));
        }
        if (&reading.hosts, &reading.facts) == (&self.reading.hosts, &self.reading.facts) {
            // The same bytes in new files.
            return None;
        }
        let each = reading.facts.iter().filter(|one| !self.reading.facts.contains(one));
        let each: Vec<String> =
            each.map(|one| format!("{} is valid until {}", one.file, facts::date(one.not_after))).collect();
        self.number += 1;
        let what = if each.is_empty() { "the files have changed".to_owned() } else { each.join(", ") };
        let before = std::mem::replace(&mut self.reading, Arc::new(reading));
        let said = format!("certificates replaced: {what}");
        self.pending.push_back(Pending { number: self.number, said, before });
        Some(Change::Replaced)
    }

    /// The front's answer: what is to be said of it, and whether it is good.
    pub fn answered(&mut self, number: u64, refused: Option<&str>) -> Option<(bool, String)> {
        let mut answered: Option<Pending> = None;
        while let Some(next) = self.pending.pop_front_if(|pending| pending.number <= number) {
            // An earlier one has had no answer, if the front ended before it.
            answered = Some(match answered {
                Some(Pending { before, .. }) => Pending { before, ..next },
                None => next,
            });
        }
        match refused {
            None => answered.map(|answered| (true, answered.said)),
            Some(why) => {
                if let Some(answered) = answered {
                    // The next front gets those that this one has, also if it refuses those that came next.
                    match self.pending.front_mut() {
                        Some(next) => next.before = answered.before,
                        None => self.reading = answered.before,
                    }
                }
                Some((false, format!("the front cannot use the certificates, those before stay: {why}")))
            }
        }
    }

    /// Certificates whose end is near or over, each once a day.
    pub fn warnings(&mut self, epoch: i64) -> Vec<String> {
        let today = epoch.div_euclid(DAY);
        let mut said = Vec::new();
        for one in &self.reading.facts {
            let Some(text) = facts::remark(one, epoch) else { continue };
            if self.warned.insert(one.file.clone(), today) != Some(today) {
                said.push(text);
            }
        }
        said
    }

    /// What the configuration's remarks have said already.
    pub fn warned_at_start(&mut self, epoch: i64) {
        self.warnings(epoch);
    }
}

/// Looks at the files of a configuration; `seen`: as they were at the last look.
fn look(configuration: &Configuration, seen: Option<&Stamps>) -> Look {
    let site = &configuration.site;
    let mut stamps = Stamps::of(site);
    let number = configuration.number;
    if seen.is_none_or(|seen| *seen == stamps) {
        return Look { configuration: number, stamps, changed: None };
    }
    for _ in 0..WAITS {
        std::thread::sleep(SETTLE);
        let before = std::mem::replace(&mut stamps, Stamps::of(site));
        if before == stamps {
            break;
        }
    }
    let epoch = gk_sys::clock::epoch_seconds() as i64;
    let changed = read(site, epoch).map_err(|bad| refusal(&bad).0);
    Look { configuration: number, stamps, changed: Some(changed) }
}
