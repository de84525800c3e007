//! `RewriteRule`: pattern, substitution, flags.

use super::condition::Condition;
use super::state::Escape;
use super::{flags, template};
use crate::Mistake;
use crate::expr::number;
use crate::regexp::Regexp;
use serde::{Deserialize, Serialize};

/// Rounds that `N` may begin; Apache's bound is 10000.
const MOST_ROUNDS: u32 = 1000;
/// Statuses that `R=` takes: those that Apache knows.
const STATUSES: [std::ops::RangeInclusive<i64>; 5] = [100..=102, 200..=208, 300..=308, 400..=451, 500..=511];

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub(super) pattern: Regexp,
    /// The rule is for what does not match.
    #[serde(default)]
    pub(super) not: bool,
    /// `None`: `-`, or a status that needs none.
    pub(super) substitution: Option<String>,
    #[serde(default)]
    pub(super) flags: Flags,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) conditions: Vec<Condition>,
}

/// The flags of a rule. Those without effect here (`NS`) are not kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Flags {
    /// `L`
    pub(super) last: bool,
    /// `END`
    pub(super) end: bool,
    /// `C`
    pub(super) chain: bool,
    /// `N`, with the number of rounds.
    pub(super) next: Option<u32>,
    /// `S`
    pub(super) skip: usize,
    /// `QSA`
    pub(super) append_query: bool,
    /// `QSD`
    pub(super) discard_query: bool,
    /// `QSL`
    pub(super) last_question_mark: bool,
    /// `NE`
    pub(super) no_escape: bool,
    /// `PT`
    pub(super) pass_through: bool,
    /// `DPI`
    pub(super) discard_path_info: bool,
    /// `R`
    pub(super) redirect: bool,
    /// Status of `R`, `F`, `G`.
    pub(super) status: Option<u16>,
    /// That status answers the request: `F`, `G`, `R=404`.
    pub(super) answers: bool,
    /// `E`
    pub(super) env: Vec<String>,
    /// `CO`
    pub(super) cookies: Vec<String>,
    /// `H`
    pub(super) handler: Option<String>,
    /// `T`
    pub(super) media_type: Option<String>,
    /// `B`, `BNP`, `BCTLS`, `BNE`
    pub(super) escape: Escape,
    /// `NS`
    pub(super) no_subrequest: bool,
    /// `UnsafeAllow3F`
    pub(super) allow_3f: bool,
    /// `UnsafePrefixStat`
    pub(super) prefix_stat: bool,
}

impl Rule {
    /// `RewriteRule pattern substitution [flags]`
    pub fn parse(words: &[&str], conditions: Vec<Condition>) -> Result<Self, Mistake> {
        let [pattern, substitution, rest @ ..] = words else {
            return Err(Mistake::new("RewriteRule takes a pattern and a substitution"));
        };
        let (mut flags, mut nocase) = (Flags::default(), false);
        for (name, value) in flags::split(rest).map_err(|mistake| mistake.at(2))? {
            match name.to_ascii_lowercase().as_str() {
                "nc" | "nocase" => nocase = true,
                lower => flags.add(lower, name, value).map_err(|mistake| mistake.at(2))?,
            }
        }
        let (not, bare) = match pattern.strip_prefix('!') {
            Some(bare) => (true, bare),
            None => (false, *pattern),
        };
        let pattern = Regexp::new(bare, nocase).map_err(|mistake| mistake.at(0))?;
        template::check(substitution).map_err(|mistake| mistake.at(1))?;
        let texts = flags.env.iter().chain(&flags.cookies).chain(&flags.handler).chain(&flags.media_type);
        for text in texts {
            template::check(text).map_err(|mistake| mistake.at(2))?;
        }
        let substitution = (*substitution != "-" && !flags.answers).then(|| (*substitution).to_owned());
        Ok(Self { pattern, not, substitution, flags, conditions })
    }
}

impl Flags {
    fn add(&mut self, lower: &str, name: &str, value: &str) -> Result<(), Mistake> {
        match lower {
            "l" | "last" => self.last = true,
            "end" => self.end = true,
            "c" | "chain" => self.chain = true,
            "n" | "next" => {
                let most = u32::try_from(number(value.as_bytes())).unwrap_or(0);
                self.next = Some(if most == 0 { MOST_ROUNDS } else { most.min(MOST_ROUNDS) });
            }
            "s" | "skip" => self.skip = usize::try_from(number(value.as_bytes())).unwrap_or(0),
            "qsa" | "qsappend" => self.append_query = true,
            "qsd" | "qsdiscard" => self.discard_query = true,
            "qsl" | "qslast" => self.last_question_mark = true,
            "ne" | "noescape" => self.no_escape = true,
            "pt" | "passthrough" => self.pass_through = true,
            "dpi" | "discardpath" => self.discard_path_info = true,
            "ns" | "nosubreq" => self.no_subrequest = true,
            "unc" => {}
            "f" | "forbidden" => (self.answers, self.status) = (true, Some(403)),
            "g" | "gone" => (self.answers, self.status) = (true, Some(410)),
            "r" | "redirect" => {
                let status = status(value)?;
                (self.redirect, self.status) = (true, Some(status));
                self.answers = !matches!(status, 300..=399);
            }
            "e" | "env" => self.env.push(value.to_owned()),
            "co" | "cookie" => self.cookies.push(value.to_owned()),
            "h" | "handler" => self.handler = Some(value.to_owned()),
            "t" | "type" => self.media_type = Some(value.to_owned()),
            "b" | "backrefescaping" => {
                self.escape.on = true;
                if !value.is_empty() {
                    self.escape.only = Some(value.to_owned());
                }
            }
            "bnp" | "backrefernoplus" => self.escape.no_plus = true,
            "bctls" => self.escape.controls = true,
            "bne" => self.escape.except = value.to_owned(),
            "unsafeallow3f" => self.allow_3f = true,
            "unsafeprefixstat" => self.prefix_stat = true,
            "p" | "proxy" => {
                return Err(Mistake::new("the flag P hands requests to another server, which is not built")
                    .hint("let a proxy in front of Gilkeeper, such as nginx or Apache, answer these paths"));
            }
            _ => return Err(Mistake::new(format!("RewriteRule has no flag `{name}`"))),
        }
        Ok(())
    }
}

/// The status of `R=`.
fn status(value: &str) -> Result<u16, Mistake> {
    match value.to_ascii_lowercase().as_str() {
        "" | "temp" => Ok(302),
        "permanent" => Ok(301),
        "seeother" => Ok(303),
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            let status = number(digits.as_bytes());
            let known = STATUSES.iter().any(|range| range.contains(&status));
            match u16::try_from(status) {
                Ok(status) if known => Ok(status),
                _ => Err(Mistake::new(format!("`{value}` is no status for the flag R"))),
            }
        }
        // Apache takes any other word for a temporary redirect.
        _ => Err(Mistake::new(format!("`{value}` is no status for the flag R"))
            .hint("it takes a number, temp, permanent or seeother")),
    }
}
