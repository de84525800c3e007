//! Arithmetic of figures: sums, differences and shares; and the counts of phases without a histogram.

use super::{Figures, Record};
use crate::mod_wsgi_buckets;
use crate::saturating::saturating_sum;

/// Most types of exceptions that are counted separately, in each application group.
pub(crate) const KINDS: usize = 64;
/// Name of all other types.
pub const OTHER_KINDS: &str = "(others)";

/// mod_wsgi's phases without a histogram of ours: long ones are counted in mod_wsgi's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Long {
    /// [`Record::server`].
    Server,
    /// [`Record::daemon`].
    Daemon,
    /// [`Record::input`].
    Input,
    /// [`Record::output`].
    Output,
}

impl Long {
    /// All of them, in the order of [`Figures::long`].
    pub(crate) const ALL: [Self; 4] = [Self::Server, Self::Daemon, Self::Input, Self::Output];
    /// Buckets of one: mod_wsgi's but for the first.
    pub(crate) const BUCKETS: usize = mod_wsgi_buckets::BUCKETS - 1;

    /// The phase's nanoseconds in a request.
    #[inline]
    pub(crate) fn of(self, r: &Record) -> u64 {
        match self {
            Self::Server => r.server,
            Self::Daemon => r.daemon,
            Self::Input => r.input,
            Self::Output => r.output,
        }
    }

    /// The phase's nanoseconds in all requests.
    pub(crate) fn sum(self, figures: &Figures) -> u64 {
        match self {
            Self::Server => figures.server,
            Self::Daemon => figures.daemon,
            Self::Input => figures.input,
            Self::Output => figures.output,
        }
    }

    /// Its place in [`Figures::long`], and in a cell, of a bucket of mod_wsgi's but the first.
    pub(crate) fn place(self, bucket: usize) -> usize {
        self as usize * Self::BUCKETS + bucket - 1
    }

    /// Its buckets in [`Figures::long`]; empty when nothing was long.
    pub(crate) fn buckets(self, figures: &Figures) -> &[u64] {
        figures.long.get(self.place(1)..=self.place(Self::BUCKETS)).unwrap_or(&[])
    }
}

impl Figures {
    /// Adds another one's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counters_mut().into_iter().zip(other.counters()) {
            *mine = mine.saturating_add(theirs);
        }
        for (mine, theirs) in self.histograms_mut().into_iter().zip(other.histograms()) {
            mine.merge(theirs);
        }
        for (status, count) in &other.statuses {
            let mine = self.statuses.entry(*status).or_default();
            *mine = mine.saturating_add(*count);
        }
        other.raised.iter().for_each(|(kind, count)| self.raise(kind, *count));
        for (index, count) in other.long.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add_long(index, *count);
        }
    }

    /// Adds to the exceptions of a type. Applications may invent any number of types: above [`KINDS`], new ones have no place.
    pub(crate) fn raise(&mut self, kind: &str, count: u64) {
        let has_place = self.raised.len() < KINDS;
        if let Some(known) = self.raised.get_mut(kind) {
            *known = known.saturating_add(count);
        } else if has_place && count > 0 {
            self.raised.insert(kind.to_owned(), count);
        }
    }

    /// Exceptions by type; those of types without a place are together, so that the sum is that of all. They come first, and at 0
    /// too: a series that begins with its first exception would hide it from whoever looks for an increase.
    pub fn raised_by_type(&self) -> impl Iterator<Item = (&str, u64)> {
        let named = saturating_sum(self.raised.values().copied());
        let others = (OTHER_KINDS, self.exceptions.saturating_sub(named));
        std::iter::once(others).chain(self.raised.iter().map(|(kind, count)| (kind.as_str(), *count)))
    }

    /// A share of it, 0 to 1, every count cut to a whole number.
    #[must_use]
    pub fn scaled(mut self, share: f64) -> Self {
        let part = |count: u64| if share >= 1.0 { count } else { (count as f64 * share) as u64 };
        self.counters_mut().into_iter().for_each(|count| *count = part(*count));
        self.histograms_mut().into_iter().for_each(|histogram| *histogram = histogram.scaled(part));
        self.statuses.values_mut().for_each(|count| *count = part(*count));
        self.raised.values_mut().for_each(|count| *count = part(*count));
        self.long.iter_mut().for_each(|count| *count = part(*count));
        self
    }

    /// Adds to one of the buckets of long phases; `index`: [`Long::place`].
    pub(crate) fn add_long(&mut self, index: usize, count: u64) {
        if self.long.is_empty() {
            self.long = vec![0; Long::ALL.len() * Long::BUCKETS];
        }
        self.long[index] = self.long[index].saturating_add(count);
    }

    /// The difference to an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut now = self.clone();
        for (mine, before) in now.counters_mut().into_iter().zip(earlier.counters()) {
            *mine = mine.saturating_sub(before);
        }
        for (mine, before) in now.histograms_mut().into_iter().zip(earlier.histograms()) {
            *mine = mine.since(before);
        }
        for (status, count) in &mut now.statuses {
            *count = count.saturating_sub(earlier.statuses.get(status).copied().unwrap_or(0));
        }
        now.statuses.retain(|_, count| *count > 0);
        for (kind, count) in &mut now.raised {
            *count = count.saturating_sub(earlier.raised.get(kind).copied().unwrap_or(0));
        }
        now.raised.retain(|_, count| *count > 0);
        for (mine, before) in now.long.iter_mut().zip(&earlier.long) {
            *mine = mine.saturating_sub(*before);
        }
        now
    }
}
