//! Who may ask: `Require` and its sections, `Order`/`Allow`/`Deny`, `Satisfy`, `AuthType` and the scripts of access control. The
//! decision has steps, because some need a password file or a script: the front takes them one after another, as Apache does.

mod clients;
mod methods;
mod network;
mod rule;
mod tree;
mod users;
mod words;

pub use clients::Clients;
pub use methods::Methods;
pub use network::Network;
pub use rule::{Asker, Person, Rule, Verdict};
pub use tree::{Branch, Together, Tree};
pub use users::{AuthType, Provider, Script, Users};

use crate::{Facts, Mistake};
use serde::{Deserialize, Serialize};

/// How a scope's `Require` rules count with those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merging {
    /// They replace them.
    Off,
    /// Both must be met.
    And,
    /// One of them must be met.
    Or,
}

impl Merging {
    /// Reads the word of `AuthMerging`.
    pub fn parse(word: &str) -> Result<Self, Mistake> {
        match word.to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "and" => Ok(Self::And),
            "or" => Ok(Self::Or),
            _ => Err(Mistake::new(format!("AuthMerging takes Off, And or Or, not `{word}`")).at(0)),
        }
    }
}

/// The access rules of a scope, or of a place after merging. Without any, everybody is served.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// `Require`.
    pub require: Option<Tree>,
    /// `AuthMerging` of the scope.
    pub merging: Option<Merging>,
    /// `Order`, `Allow`, `Deny`, `Satisfy`.
    pub clients: Option<Clients>,
    /// `WSGIAccessScript`.
    pub script: Option<Script>,
    /// `AuthType` and its relatives.
    pub users: Users,
    /// `AuthzSendForbiddenOnFailure`: a user who may not is answered 403 in place of 401.
    pub send_forbidden: Option<bool>,
}

/// What the rules say before anybody is asked for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Served.
    Granted,
    /// 403.
    Forbidden,
    /// A user may change the result.
    Authenticate,
}

impl Access {
    /// Nobody is served.
    pub fn denied() -> Self {
        let rule = Branch::Rule { negate: false, methods: Methods::All, rule: Rule::All(false) };
        Self { require: Some(Tree { together: Together::Any, branches: vec![rule] }), ..Self::default() }
    }

    /// Whether no directive of access control stands here.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays an inner scope's rules over these. Of several scopes, those of one kind are put together first, as Apache does: what
    /// the last of them says of merging counts for all.
    pub fn lay(&mut self, inner: &Self) {
        match (inner.merging, &inner.require) {
            (None, None) => {}
            (None | Some(Merging::Off), require) => self.require.clone_from(require),
            (Some(merging), Some(own)) => {
                let around = self.require.take().map(Branch::Section);
                let together = if merging == Merging::And { Together::All } else { Together::Any };
                self.require = Some(match around {
                    Some(around) => Tree { together, branches: vec![around, Branch::Section(own.clone())] },
                    None => own.clone(),
                });
            }
            (Some(_), None) => {}
        }
        if inner.merging.is_some() || inner.require.is_some() {
            self.merging = inner.merging;
        }
        if inner.clients.is_some() {
            self.clients.clone_from(&inner.clients);
        }
        if inner.script.is_some() {
            self.script.clone_from(&inner.script);
        }
        if inner.send_forbidden.is_some() {
            self.send_forbidden = inner.send_forbidden;
        }
        self.users.lay(&inner.users);
    }

    /// The answer for every request, where it is the same for all and nothing must be looked up.
    pub fn fixed(&self) -> Option<bool> {
        if self.script.is_some() {
            return None;
        }
        let clients = match &self.clients {
            Some(clients) => clients.fixed()?,
            None => true,
        };
        let require = match &self.require {
            Some(tree) => tree.fixed()?,
            None => true,
        };
        Some(clients && require)
    }

    /// Whether the rules ask for nothing but the client, its method, and its user: neither for the URL nor for variables, which may
    /// depend on it.
    pub fn is_about_the_client(&self) -> bool {
        let by_rule = |rule: &Rule| !matches!(rule, Rule::Expr(_) | Rule::Env(_));
        self.require.iter().flat_map(Tree::rules).all(by_rule)
            && self.clients.as_ref().is_none_or(|clients| !clients.ask_for_variables())
    }

    /// Whether `Order`, `Allow` and `Deny` admit the client.
    pub fn admits(&self, facts: &dyn Facts) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.admit(facts))
    }

    /// What the rules say before anybody is asked for a name. `admitted`: `Order` and its relatives, and the access script,
    /// admit the client.
    pub fn before(&self, facts: &dyn Facts, admitted: bool) -> Admission {
        let any = self.clients.as_ref().is_some_and(|clients| clients.satisfied_by_any(facts.method()));
        match (admitted, any) {
            (true, true) => return Admission::Granted,
            (false, false) => return Admission::Forbidden,
            _ => {}
        }
        match self.judge(&Asker { facts, person: None }) {
            Verdict::Granted => Admission::Granted,
            Verdict::NoUser => Admission::Authenticate,
            Verdict::Denied | Verdict::Neutral => Admission::Forbidden,
        }
    }

    /// Whether a user who gave the right password is served.
    pub fn after(&self, facts: &dyn Facts, person: &Person) -> bool {
        self.judge(&Asker { facts, person: Some(person) }) == Verdict::Granted
    }

    fn judge(&self, asker: &Asker<'_>) -> Verdict {
        self.require.as_ref().map_or(Verdict::Granted, |tree| tree.judge(asker))
    }

    /// Whether a rule asks for groups of the group file, and the groups of the group script that rules ask for.
    pub fn groups_wanted(&self) -> (bool, Vec<&str>) {
        let (mut of_file, mut of_script) = (false, Vec::new());
        for rule in self.require.iter().flat_map(Tree::rules) {
            match rule {
                Rule::Group(_) => of_file = true,
                Rule::ScriptGroup(names) => of_script.extend(names.iter().map(String::as_str)),
                _ => {}
            }
        }
        (of_file, of_script)
    }
}

#[cfg(test)]
mod tests;
