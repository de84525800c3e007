//! `Order`, `Allow`, `Deny` and `Satisfy` of Apache 2.2 (mod_access_compat). A scope that has one of them replaces those around it
//! whole.

use super::methods::Methods;
use super::network::{Network, is_localhost, localhost};
use super::rule::networks;
use crate::{Facts, Mistake};
use serde::{Deserialize, Serialize};

/// What counts last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// `deny,allow`: who is neither denied nor allowed is admitted, and an `Allow` wins.
    #[default]
    DenyAllow,
    /// `allow,deny` and `mutual-failure`: who is not allowed is not admitted, and a `Deny` wins.
    AllowDeny,
}

/// Clients, as `Allow from` and `Deny from` name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// `all`.
    All,
    /// An address or network.
    Network(Network),
    /// `env=NAME`.
    Env(String),
    /// `env=!NAME`.
    NoEnv(String),
    /// A host's name but `localhost`. Names are not looked up: who is allowed by one is not, and who is denied by one is.
    Name(String),
}

/// The directives of one scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    pub(super) orders: Vec<(Methods, Order)>,
    pub(super) allowed: Vec<(Methods, From)>,
    pub(super) denied: Vec<(Methods, From)>,
    /// `Satisfy any` (true) or `all`.
    pub(super) satisfy: Vec<(Methods, bool)>,
}

impl Clients {
    /// `Order`.
    pub fn order(&mut self, methods: Methods, word: &str) -> Result<(), Mistake> {
        let order = match word.to_ascii_lowercase().as_str() {
            "deny,allow" => Order::DenyAllow,
            "allow,deny" | "mutual-failure" => Order::AllowDeny,
            _ => {
                let message = format!("Order takes deny,allow or allow,deny or mutual-failure, not `{word}`");
                return Err(Mistake::new(message).at(0));
            }
        };
        self.orders.push((methods, order));
        Ok(())
    }

    /// `Allow from …`.
    pub fn allow(&mut self, methods: &Methods, words: &[&str]) -> Result<(), Mistake> {
        self.allowed.extend(from(words)?.into_iter().map(|from| (methods.clone(), from)));
        Ok(())
    }

    /// `Deny from …`.
    pub fn deny(&mut self, methods: &Methods, words: &[&str]) -> Result<(), Mistake> {
        self.denied.extend(from(words)?.into_iter().map(|from| (methods.clone(), from)));
        Ok(())
    }

    /// `Satisfy`.
    pub fn satisfy(&mut self, methods: Methods, word: &str) -> Result<(), Mistake> {
        let any = word.eq_ignore_ascii_case("any");
        if !any && !word.eq_ignore_ascii_case("all") {
            return Err(Mistake::new(format!("Satisfy takes any or all, not `{word}`")).at(0));
        }
        self.satisfy.push((methods, any));
        Ok(())
    }

    /// The hosts' names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().chain(&self.denied).filter_map(|(_, from)| match from {
            From::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether a variable decides.
    pub fn ask_for_variables(&self) -> bool {
        self.allowed.iter().chain(&self.denied).any(|(_, from)| matches!(from, From::Env(_) | From::NoEnv(_)))
    }

    /// Whether it says the same of every request, and what.
    pub fn fixed(&self) -> Option<bool> {
        let alike = |methods: &Methods, from: &From| methods.are_all() && *from == From::All;
        let constant = self.orders.iter().all(|(methods, _)| methods.are_all())
            && self.satisfy.is_empty()
            && self.allowed.iter().chain(&self.denied).all(|(methods, from)| alike(methods, from));
        constant.then(|| self.weigh("", |_| true, |_| true))
    }

    /// Whether a client is admitted.
    pub fn admit(&self, facts: &dyn Facts) -> bool {
        self.weigh(facts.method(), |from| from.holds(facts, false), |from| from.holds(facts, true))
    }

    /// Whether these rules or a user are enough.
    pub fn satisfied_by_any(&self, method: &str) -> bool {
        self.satisfy.iter().rev().find(|(methods, _)| methods.hold(method)).is_some_and(|(_, any)| *any)
    }

    fn weigh(&self, method: &str, allows: impl Fn(&From) -> bool, denies: impl Fn(&From) -> bool) -> bool {
        let order = self.orders.iter().rev().find(|(methods, _)| methods.hold(method));
        let allowed = self.allowed.iter().any(|(methods, from)| methods.hold(method) && allows(from));
        let denied = self.denied.iter().any(|(methods, from)| methods.hold(method) && denies(from));
        match order.map(|(_, order)| *order).unwrap_or_default() {
            Order::DenyAllow => allowed || !denied,
            Order::AllowDeny => allowed && !denied,
        }
    }
}

impl From {
    /// Whether a request is among them; `unknown` where nobody knows.
    fn holds(&self, facts: &dyn Facts, unknown: bool) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => facts.client().map_or(unknown, |client| network.contains(client)),
            Self::Env(name) => facts.env().get(name).is_some(),
            Self::NoEnv(name) => facts.env().get(name).is_none(),
            Self::Name(_) => unknown,
        }
    }
}

/// Reads `from …`.
fn from(words: &[&str]) -> Result<Vec<From>, Mistake> {
    if words.len() < 2 || !words[0].eq_ignore_ascii_case("from") {
        return Err(Mistake::new("the word `from` and the clients must follow"));
    }
    let one = |(at, &word): (usize, &&str)| {
        if word.eq_ignore_ascii_case("all") {
            return Ok(From::All);
        }
        if let Some(name) =
            word.get(..4).filter(|start| start.eq_ignore_ascii_case("env=")).map(|_| &word[4..])
        {
            return Ok(match name.strip_prefix('!') {
                Some(name) => From::NoEnv(name.to_owned()),
                None => From::Env(name.to_owned()),
            });
        }
        if let Ok(network) = Network::parse(word) {
            return Ok(From::Network(network));
        }
        if word.contains('/') {
            networks(&[word], at)?;
        }
        Ok(From::Name(word.to_owned()))
    };
    let mut clients = Vec::new();
    for (at, word) in words.iter().enumerate().skip(1) {
        match is_localhost(word) {
            true => clients.extend(localhost().map(From::Network)),
            false => clients.push(one((at, word))?),
        }
    }
    Ok(clients)
}
