//! A profile: the functions in which request threads used the processor, as a tree of calls whose roots are routes. Trees of several
//! workers are added by name.

use serde::Serialize;
use std::collections::HashMap;

/// A function, or what stands for one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Function {
    /// Qualified name, or the name of a route.
    pub name: String,
    /// File; empty for what is no function.
    pub file: String,
}

/// A call: a line of a function, reached in one way.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Call {
    /// The call it was made from, which stands before it; `None`: a root.
    pub from: Option<usize>,
    /// Index of the function.
    pub function: usize,
    /// Line; 0 for what is no function.
    pub line: u32,
    /// Nanoseconds of CPU time in this call itself.
    pub ns: u64,
    /// Samples in it.
    pub samples: u64,
}

/// A worker's tree at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallTreeSample {
    /// Another number is another tree.
    pub number: u64,
    /// Nanoseconds of samples that were lost.
    pub lost: u64,
    /// Why the last profile did not begin.
    pub why: String,
    /// Functions.
    pub functions: Vec<Function>,
    /// Calls.
    pub calls: Vec<Call>,
}

/// A profile of some time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Functions.
    pub functions: Vec<Function>,
    /// Calls.
    pub calls: Vec<Call>,
    /// Nanoseconds of samples that were lost.
    pub lost: u64,
    index: HashMap<Function, usize>,
    places: HashMap<(Option<usize>, usize, u32), usize>,
}

impl Profile {
    /// Adds what a worker has sampled between two readings; without the first one, all of it.
    pub fn add(&mut self, now: &CallTreeSample, before: Option<&CallTreeSample>) {
        let before = before.filter(|before| before.number == now.number);
        self.lost = self.lost.saturating_add(now.lost.saturating_sub(before.map_or(0, |before| before.lost)));
        let mut mine: Vec<usize> = Vec::with_capacity(now.calls.len());
        for (index, call) in now.calls.iter().enumerate() {
            let earlier = before.and_then(|before| before.calls.get(index));
            let since = |now: u64, of: fn(&Call) -> u64| now.saturating_sub(earlier.map_or(0, of));
            let function = now.functions.get(call.function).cloned().unwrap_or_default();
            let from = call.from.and_then(|from| mine.get(from)).copied();
            let at = self.place(from, function, call.line);
            let place = &mut self.calls[at];
            place.ns = place.ns.saturating_add(since(call.ns, |call| call.ns));
            place.samples = place.samples.saturating_add(since(call.samples, |call| call.samples));
            mine.push(at);
        }
    }

    fn place(&mut self, from: Option<usize>, function: Function, line: u32) -> usize {
        let function = *self.index.entry(function).or_insert_with_key(|function| {
            self.functions.push(function.clone());
            self.functions.len() - 1
        });
        *self.places.entry((from, function, line)).or_insert_with(|| {
            self.calls.push(Call { from, function, line, ..Call::default() });
            self.calls.len() - 1
        })
    }

    /// The calls of a stack, the outermost first.
    pub fn stack(&self, call: usize) -> Vec<usize> {
        let mut stack = Vec::new();
        let mut next = Some(call);
        while let Some((at, call)) = next.and_then(|at| Some((at, self.calls.get(at)?))) {
            stack.push(at);
            // Each stands before those made from it, so this ends.
            next = call.from.filter(|from| *from < at);
        }
        stack.reverse();
        stack
    }

    /// Nanoseconds of each call with those made from it.
    pub fn inclusive(&self) -> Vec<u64> {
        let mut sums: Vec<u64> = self.calls.iter().map(|call| call.ns).collect();
        for (index, call) in self.calls.iter().enumerate().rev() {
            if let Some(from) = call.from {
                sums[from] = sums[from].saturating_add(sums[index]);
            }
        }
        sums
    }

    /// The part of it whose root has that name.
    pub fn of_route(&self, route: &str) -> Self {
        let mut of = Self { lost: self.lost, ..Self::default() };
        let mut mine: Vec<Option<usize>> = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let function = self.functions.get(call.function).cloned().unwrap_or_default();
            let from = call.from.map(|from| mine.get(from).copied().flatten());
            let at = match from {
                None if function.name == route => Some(of.place(None, function, call.line)),
                Some(Some(from)) => Some(of.place(Some(from), function, call.line)),
                _ => None,
            };
            if let Some(place) = at.and_then(|at| of.calls.get_mut(at)) {
                (place.ns, place.samples) = (call.ns, call.samples);
            }
            mine.push(at);
        }
        of
    }

    /// Samples in all.
    pub fn samples(&self) -> u64 {
        self.calls.iter().fold(0, |sum, call| sum.saturating_add(call.samples))
    }

    /// Nanoseconds of CPU time in all.
    pub fn ns(&self) -> u64 {
        self.calls.iter().fold(0, |sum, call| sum.saturating_add(call.ns))
    }
}
