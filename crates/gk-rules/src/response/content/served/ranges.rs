//! `Range`: the parts of a file that a request asks for, as Apache reads them. What is malformed, or asks for more than the bounds
//! allow, is answered with the whole file.

use crate::Mistake;
use serde::{Deserialize, Serialize};

/// `MaxRanges`, `MaxRangeOverlaps`, `MaxRangeReversals`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RangeBounds {
    /// Parts of one response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Bound>,
    /// Ranges that overlap or touch the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlaps: Option<Bound>,
    /// Of these, the ones that begin before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversals: Option<Bound>,
}

/// The greatest number that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound(pub u32);

/// Parts of one response without a directive.
const PARTS: Bound = Bound(200);
/// Overlaps and reversals without a directive.
const CROSSINGS: Bound = Bound(20);

/// What a `Range` field asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The whole file: there is no range that counts.
    Whole,
    /// These parts, first and last byte of each, in the client's order.
    Parts(Vec<(u64, u64)>),
    /// Only bytes behind the end of the file.
    Nothing,
}

impl Bound {
    /// `default|none|unlimited|NUMBER`. `none` allows not one.
    pub fn parse(word: &str, standard: u32) -> Result<Self, Mistake> {
        Ok(Self(match &*word.to_ascii_lowercase() {
            "default" => standard,
            "none" => 0,
            // No head has room for so many.
            "unlimited" => u32::MAX,
            number => match number.parse() {
                Ok(number) => number,
                Err(_) => {
                    let mistake = Mistake::new(format!("`{word}` is no number of ranges")).at(0);
                    return Err(mistake.hint("known: default, none, unlimited, a number"));
                }
            },
        }))
    }

    fn holds(self, count: usize) -> bool {
        count <= self.0 as usize
    }
}

impl RangeBounds {
    /// Whether there is no bound of a directive.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays those of an inner scope over these.
    pub fn lay(&mut self, inner: &Self) {
        self.parts = inner.parts.or(self.parts);
        self.overlaps = inner.overlaps.or(self.overlaps);
        self.reversals = inner.reversals.or(self.reversals);
    }

    /// Reads the field of a request for a file of `len` bytes.
    pub fn read(&self, field: &[u8], len: u64) -> Wanted {
        let Some(list) = field.get(6..).filter(|_| field[..6].eq_ignore_ascii_case(b"bytes=")) else {
            return Wanted::Whole;
        };
        if len == 0 {
            return Wanted::Whole;
        }
        let mut parts: Vec<(u64, u64)> = Vec::new();
        let (mut overlaps, mut reversals, mut behind) = (0, 0, false);
        for element in list.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty()) {
            let Some((first, last)) = range(element, len) else { return Wanted::Whole };
            if first >= len {
                behind = true;
                continue;
            }
            let last = last.min(len - 1);
            match parts.last_mut() {
                // What touches the range before becomes one with it.
                Some(before) if first <= before.1 + 1 && before.0 <= last + 1 => {
                    overlaps += 1;
                    reversals += usize::from(first < before.0);
                    *before = (before.0.min(first), before.1.max(last));
                }
                _ => parts.push((first, last)),
            }
        }
        if parts.is_empty() {
            return if behind { Wanted::Nothing } else { Wanted::Whole };
        }
        let bytes = parts.iter().try_fold(0u64, |sum, (first, last)| sum.checked_add(last - first + 1));
        let bounded = self.parts.unwrap_or(PARTS).holds(parts.len())
            && self.overlaps.unwrap_or(CROSSINGS).holds(overlaps)
            && self.reversals.unwrap_or(CROSSINGS).holds(reversals);
        // Parts that are together longer than the file are a waste for both sides.
        match bytes {
            Some(bytes) if bounded && bytes <= len => Wanted::Parts(parts),
            _ => Wanted::Whole,
        }
    }
}

/// First and last byte of one range; the last may be behind the end. `None`: malformed.
fn range(element: &[u8], len: u64) -> Option<(u64, u64)> {
    let dash = element.iter().position(|&b| b == b'-')?;
    let (first, last) = (&element[..dash], &element[dash + 1..]);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => match number(last)? {
            0 => None,
            suffix => Some((len.saturating_sub(suffix), len - 1)),
        },
        (false, true) => Some((number(first)?, u64::MAX)),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    // As Apache: what is no offset of a file is malformed.
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok().filter(|n| *n <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(list: &[(u64, u64)]) -> Wanted {
        Wanted::Parts(list.to_vec())
    }

    #[test]
    fn ranges_are_read_as_apache_reads_them() {
        let table = [
            ("bytes=0-0", parts(&[(0, 0)])),
            ("bytes=2-", parts(&[(2, 9)])),
            ("bytes=2-100", parts(&[(2, 9)])),
            ("bytes=-3", parts(&[(7, 9)])),
            ("bytes=-100", parts(&[(0, 9)])),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=20-,30-", Wanted::Nothing),
            ("bytes=-0", Wanted::Whole),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=,", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=0-1,3-4", parts(&[(0, 1), (3, 4)])),
            ("bytes=0-1, 3-4", parts(&[(0, 1), (3, 4)])),
            ("bytes=3-4,0-1", parts(&[(3, 4), (0, 1)])),
            ("bytes=0-1,2-4", parts(&[(0, 4)])),
            ("bytes=0-4,2-6", parts(&[(0, 6)])),
            ("bytes=5-9,0-4", parts(&[(0, 9)])),
            ("bytes=8-9,4-5,0-1", parts(&[(8, 9), (4, 5), (0, 1)])),
            ("bytes=0-1,20-", parts(&[(0, 1)])),
            ("bytes=0-3,20-,2-5", parts(&[(0, 5)])),
            ("bytes=0-1,-0", Wanted::Whole),
            ("bytes=0-1,x", Wanted::Whole),
            ("bytes=0-1,,3-4,", parts(&[(0, 1), (3, 4)])),
            ("bytes=0-6,8-9,0-6", Wanted::Whole),
            ("bytes=0 - 1", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("BYTES=0-1", parts(&[(0, 1)])),
            ("bytes=99999999999999999999-", Wanted::Whole),
            ("bytes=0-9223372036854775808", Wanted::Whole),
            ("bytes=0-9223372036854775807", parts(&[(0, 9)])),
        ];
        for (field, want) in table {
            assert_eq!(RangeBounds::default().read(field.as_bytes(), 10), want, "{field}");
        }
        assert_eq!(RangeBounds::default().read(b"bytes=0-", 0), Wanted::Whole);
    }

    #[test]
    fn too_many_give_the_whole_file() {
        let far = |count: u64| (0..count).map(|n| format!("{}-{}", n * 10, n * 10 + 1)).collect::<Vec<_>>();
        let touching =
            |count: u64| (0..count).map(|n| format!("{}-{}", n * 10, n * 10 + 9)).collect::<Vec<_>>();
        let back =
            |count: u64| (0..count).map(|n| format!("{}-{}", 900 - n * 10, 915 - n * 10)).collect::<Vec<_>>();
        let read = |bounds: RangeBounds, list: Vec<String>| match bounds
            .read(format!("bytes={}", list.join(",")).as_bytes(), 100_000)
        {
            Wanted::Parts(parts) => parts.len(),
            _ => 0,
        };
        let standard = RangeBounds::default();
        let two = Some(Bound(2));
        let table = [
            (standard, far(200), 200),
            (standard, far(201), 0),
            (standard, touching(21), 1),
            (standard, touching(22), 0),
            (standard, back(21), 1),
            (standard, back(22), 0),
            (RangeBounds { reversals: two, ..standard }, back(3), 1),
            (RangeBounds { reversals: two, ..standard }, back(4), 0),
            (RangeBounds { reversals: two, ..standard }, touching(4), 1),
            (RangeBounds { parts: two, ..standard }, far(2), 2),
            (RangeBounds { parts: two, ..standard }, far(3), 0),
            (RangeBounds { parts: two, ..standard }, touching(3), 1),
            (RangeBounds { parts: Some(Bound(0)), ..standard }, far(1), 0),
            (RangeBounds { parts: Bound::parse("unlimited", 200).ok(), ..standard }, far(300), 300),
        ];
        for (bounds, list, want) in table {
            assert_eq!(read(bounds, list.clone()), want, "{bounds:?} {list:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_file(field in "bytes=[0-9,\\- ]{0,60}", len in 0u64..500) {
            if let Wanted::Parts(parts) = RangeBounds::default().read(field.as_bytes(), len) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|(first, last)| first <= last && *last < len));
                prop_assert!(parts.iter().map(|(first, last)| last - first + 1).sum::<u64>() <= len);
            }
        }
    }
}
