//! Patterns with look-around and back-references, on an engine that backtracks, with a bound on the work of one match.
//!
//! The engine counts its steps back and nothing else. Between two of them it may go over the whole text: over what a look-ahead such as
//! `(?=.*x)` asks for, and that again for each character where a repetition holds it. So the longer a text is, the fewer steps
//! a match may take.

use super::TooLong;
use crate::Mistake;
use fancy_regex::{BytesMode, Expr, Regex, RegexBuilder};
use std::sync::OnceLock;

/// Steps back that one match may take, however short the text is. The front matches on its only thread, so the bound is far below
/// PCRE's.
const MOST_STEPS: usize = 100_000;
/// Bytes that one match may go over: some ten milliseconds.
const WORK: usize = 2_000_000;
/// Length of the shortest texts that are told apart.
const SHORTEST: usize = 64;
/// Lengths that are told apart, each twice the one before: the last is above any request line or field.
const LENGTHS: usize = 12;
/// A part that may come so often is looked at as if it could come for each character.
const FEW: usize = 16;

/// A pattern.
#[derive(Debug)]
pub(super) struct Backtracking {
    text: String,
    nocase: bool,
    groups: usize,
    /// A run between two steps back goes over a text of n bytes at most n to this power times.
    power: u32,
    /// By length of the text, made when there is one. `None`: not even one run is within the bound.
    engines: [OnceLock<Option<Regex>>; LENGTHS],
}

impl Backtracking {
    /// Compiles a pattern.
    pub(super) fn new(text: &str, nocase: bool) -> Result<Self, Mistake> {
        let engine = build(text, nocase, MOST_STEPS).map_err(|why| {
            let why = why.to_string();
            let why = why.lines().last().unwrap_or_default();
            Mistake::new(format!("the regular expression `{text}` is not understood: {why}"))
        })?;
        let power = Expr::parse_tree(text).map_or(HIGHEST, |tree| run(&tree.expr)).max(1);
        let groups = engine.captures_len() - 1;
        Ok(Self { text: text.to_owned(), nocase, groups, power, engines: Default::default() })
    }

    /// Number of groups beside the whole match.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// The engine for texts as long as this one.
    pub(super) fn engine(&self, text: &[u8]) -> Result<&Regex, TooLong> {
        let length = text.len().max(SHORTEST).next_power_of_two();
        let place = (length / SHORTEST).trailing_zeros() as usize;
        let made = || match self.steps(length) {
            0 => None,
            steps => build(&self.text, self.nocase, steps).ok(),
        };
        let engine = self.engines.get(place).ok_or(TooLong)?;
        engine.get_or_init(made).as_ref().ok_or(TooLong)
    }

    fn steps(&self, length: usize) -> usize {
        MOST_STEPS.min(WORK / length.saturating_pow(self.power))
    }
}

fn build(text: &str, nocase: bool, steps: usize) -> Result<Regex, fancy_regex::Error> {
    RegexBuilder::new(text)
        .bytes_mode(BytesMode::Ascii)
        .case_insensitive(nocase)
        .dot_matches_new_line(true)
        .backtrack_limit(steps)
        .build()
}

/// The power of what cannot be told.
const HIGHEST: u32 = 3;

/// The power of one run over an expression.
fn run(expr: &Expr) -> u32 {
    match expr {
        Expr::Repeat { child, hi, .. } if *hi > FEW => 1 + looks(child),
        Expr::SubroutineCall(_) | Expr::Absent(_) => HIGHEST,
        _ => expr.children_iter().map(run).max().unwrap_or(0),
    }
}

/// The power of what a part looks at without going on: a repetition may begin it again with each character.
fn looks(expr: &Expr) -> u32 {
    match expr {
        Expr::LookAround(child, _) => run(child),
        Expr::SubroutineCall(_) | Expr::Absent(_) => HIGHEST,
        _ => expr.children_iter().map(looks).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_text_gets_fewer_steps() {
        for (pattern, power) in [
            (r"^(?!/static)", 1),
            (r"(?=.*x)y", 1),
            (r"^(.)\1$", 1),
            (r"^(?:(?!\.\.).)*$", 1),
            (r"^(?:(?=.*x)a)*$", 2),
            (r"^(?:a(?=.*x)){3}$", 1),
            (r"^(?:a(?=.*x)){300}$", 2),
            (r"^(?:(?=(?:(?!.*x)a)*b)c)*$", 3),
            (r"^(?<w>a|(?=b))\g<w>$", 3),
        ] {
            let pattern = Backtracking::new(pattern, false).unwrap();
            assert_eq!(pattern.power, power, "{}", pattern.text);
            let steps: Vec<usize> = (0..LENGTHS).map(|place| pattern.steps(SHORTEST << place)).collect();
            assert!(steps.is_sorted_by(|one, next| one >= next), "{steps:?}");
            for (place, steps) in steps.iter().enumerate() {
                assert!(steps * (SHORTEST << place).pow(power) <= WORK, "{}", pattern.text);
            }
        }
    }
}
