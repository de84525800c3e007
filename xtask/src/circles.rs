//! Circles of files inside a crate: each file can be read after the ones that it uses, unless they use it in turn.

use crate::modules::Use;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Circles, as short as possible; one for each set of files that all lead to each other.
pub fn circles(uses: &[Use]) -> Vec<Vec<Use>> {
    let mut of_file: BTreeMap<&str, Vec<&Use>> = BTreeMap::new();
    for one in uses {
        of_file.entry(&one.from).or_default().push(one);
    }
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for file in of_file.keys().copied() {
        if told.contains(file) {
            continue;
        }
        let Some(circle) = shortest(&of_file, file) else { continue };
        let after = reached(&of_file, file);
        told.extend(after.into_iter().filter(|other| reached(&of_file, other).contains(file)));
        found.push(circle);
    }
    found
}

/// Each file that `file` leads to.
fn reached<'a>(of_file: &BTreeMap<&'a str, Vec<&'a Use>>, file: &str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(next) = open.pop() {
        for one in of_file.get(next).into_iter().flatten() {
            if seen.insert(one.to.as_str()) {
                open.push(&one.to);
            }
        }
    }
    seen
}

/// The shortest way from `file` to itself.
fn shortest(of_file: &BTreeMap<&str, Vec<&Use>>, file: &str) -> Option<Vec<Use>> {
    let mut ways: VecDeque<Vec<&Use>> = VecDeque::from([Vec::new()]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let end = way.last().map_or(file, |last| last.to.as_str());
        for one in of_file.get(end).into_iter().flatten() {
            let longer: Vec<&Use> = way.iter().copied().chain([*one]).collect();
            if one.to == file {
                return Some(longer.into_iter().cloned().collect());
            }
            if seen.insert(one.to.as_str()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles among `from → to` pairs, each as its files.
    fn found(pairs: &[(&str, &str)]) -> Vec<String> {
        let uses: Vec<Use> = pairs
            .iter()
            .map(|(from, to)| Use { from: (*from).into(), to: (*to).into(), line: 1, item: "X".into() })
            .collect();
        let shown =
            |circle: &Vec<Use>| circle.iter().map(|one| one.from.as_str()).collect::<Vec<_>>().join(" ");
        circles(&uses).iter().map(shown).collect()
    }

    #[test]
    fn circles_of_any_length_are_found_once() {
        for (pairs, wanted) in [
            (&[("a", "b"), ("b", "c"), ("a", "c")][..], &[][..]),
            (&[("a", "b"), ("b", "a")], &["a b"]),
            (&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")], &["b c d"]),
            // Two that share a file are one knot; two that do not are two.
            (&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")], &["a b"]),
            (&[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("a", "c")], &["a b", "c d"]),
        ] {
            assert_eq!(found(pairs), wanted, "{pairs:?}");
        }
    }
}
