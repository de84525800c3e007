//! The tree of `Require` and its sections, put together and weighed as Apache's mod_authz_core does.

use super::methods::Methods;
use super::rule::{Asker, Rule, Verdict};
use crate::Mistake;
use serde::{Deserialize, Serialize};

/// How the branches of a tree count together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Together {
    /// `<RequireAny>`, and rules outside of a section: one must hold.
    #[default]
    Any,
    /// `<RequireAll>`: none may fail, and one must hold.
    All,
    /// `<RequireNone>`: none may hold.
    None,
}

impl Together {
    /// The section's name.
    pub fn section(self) -> &'static str {
        match self {
            Self::Any => "<RequireAny>",
            Self::All => "<RequireAll>",
            Self::None => "<RequireNone>",
        }
    }
}

/// Rules that count together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// How they count together.
    pub together: Together,
    /// The rules and sections, in order.
    pub branches: Vec<Branch>,
}

/// A rule or a section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// A rule.
    Rule {
        /// `not` stands before it.
        negate: bool,
        /// The methods it is about.
        methods: Methods,
        /// The rule.
        rule: Rule,
    },
    /// A section.
    Section(Tree),
}

impl Branch {
    /// Whether it can only turn clients away.
    fn is_negative(&self) -> bool {
        match self {
            Self::Rule { negate, .. } => *negate,
            Self::Section(tree) => tree.together == Together::None,
        }
    }

    /// The answer for every request, where it is the same for all.
    fn fixed(&self) -> Option<bool> {
        match self {
            Self::Rule { negate: false, methods: Methods::All, rule } => rule.fixed(),
            Self::Rule { .. } => None,
            Self::Section(tree) => tree.fixed(),
        }
    }

    /// Whether it says anything about a method.
    fn is_about(&self, method: &str) -> bool {
        match self {
            Self::Rule { methods, .. } => methods.hold(method),
            Self::Section(tree) => tree.is_about(method),
        }
    }
}

impl Tree {
    /// An empty section.
    pub fn new(together: Together) -> Self {
        Self { together, branches: Vec::new() }
    }

    /// Adds a branch. One that can only turn clients away means nothing among those of which one must hold.
    pub fn add(&mut self, branch: Branch) -> Result<(), Mistake> {
        if self.together != Together::All && branch.is_negative() {
            let what = match &branch {
                Branch::Rule { .. } => "Require not",
                Branch::Section(_) => "<RequireNone>",
            };
            let mistake = Mistake::new(format!("{what} has no effect where one rule must hold"));
            return Err(mistake.hint("put it into <RequireAll>, beside a rule that may hold"));
        }
        self.branches.push(branch);
        Ok(())
    }

    /// Ends a section.
    pub fn close(self) -> Result<Branch, Mistake> {
        let name = self.together.section();
        if self.branches.is_empty() {
            return Err(Mistake::new(format!("{name} holds no rule")));
        }
        if self.together == Together::All && self.branches.iter().all(Branch::is_negative) {
            let mistake = Mistake::new(format!("{name} holds only rules that turn clients away"));
            return Err(mistake.hint("nobody would be admitted: add `Require all granted`"));
        }
        Ok(Branch::Section(self))
    }

    /// The answer for every request, where it is the same for all.
    pub(super) fn fixed(&self) -> Option<bool> {
        let each = || self.branches.iter().map(Branch::fixed);
        let decisive = match self.together {
            Together::Any => true,
            Together::All => false,
            Together::None => return None,
        };
        if each().any(|answer| answer == Some(decisive)) {
            return Some(decisive);
        }
        each().all(|answer| answer.is_some()).then_some(!decisive)
    }

    /// Every rule in it.
    pub fn rules(&self) -> Vec<&Rule> {
        let each = self.branches.iter().flat_map(|branch| match branch {
            Branch::Rule { rule, .. } => vec![rule],
            Branch::Section(tree) => tree.rules(),
        });
        each.collect()
    }

    fn is_about(&self, method: &str) -> bool {
        self.branches.iter().any(|branch| branch.is_about(method))
    }

    /// The verdict of a scope's rules.
    pub fn judge(&self, asker: &Asker<'_>) -> Verdict {
        self.weigh(asker, Together::All, false)
    }

    fn weigh(&self, asker: &Asker<'_>, around: Together, negated: bool) -> Verdict {
        if !self.is_about(asker.facts.method()) {
            return silent(around);
        }
        let negated = negated != (self.together == Together::None);
        let mut sum = Verdict::Neutral;
        for branch in &self.branches {
            let verdict = match branch {
                Branch::Rule { methods, .. } if !methods.hold(asker.facts.method()) => silent(self.together),
                Branch::Rule { negate, rule, .. } => turned(rule.ask(asker, negated != *negate), *negate),
                Branch::Section(tree) => tree.weigh(asker, self.together, negated),
            };
            let decisive = if self.together == Together::All { Verdict::Denied } else { Verdict::Granted };
            if verdict == decisive {
                sum = verdict;
                break;
            }
            let all = self.together == Together::All;
            sum = match (sum, verdict) {
                (sum, Verdict::Neutral) => sum,
                (Verdict::Neutral, verdict) => verdict,
                // A user may change the result.
                (Verdict::Granted, Verdict::NoUser) if all => Verdict::NoUser,
                (Verdict::Denied, Verdict::NoUser) if !all => Verdict::NoUser,
                (sum, _) => sum,
            };
        }
        turned(sum, self.together == Together::None)
    }
}

/// The verdict of a branch that is not about the method.
fn silent(around: Together) -> Verdict {
    if around == Together::All { Verdict::Granted } else { Verdict::Denied }
}

/// A negated branch turns away or says nothing: that a client is not turned away does not admit it.
fn turned(verdict: Verdict, negate: bool) -> Verdict {
    match verdict {
        verdict if !negate => verdict,
        Verdict::Granted => Verdict::Denied,
        _ => Verdict::Neutral,
    }
}
