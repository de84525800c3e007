//! One rule of `Require`: its words, and what it says about a request.

use super::methods;
use super::network::{Network, is_localhost, localhost};
use crate::expr::Expression;
use crate::server_variables::View;
use crate::{Facts, Mistake};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What `Require` asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `all granted` or `all denied`.
    All(bool),
    /// `ip`: the client's address is in one of the networks.
    Ip(Vec<Network>),
    /// `local`: the client is on this machine.
    Local,
    /// `env`: one of the variables is set.
    Env(Vec<String>),
    /// `method`.
    Method(Vec<String>),
    /// `ssl`: the client speaks TLS.
    Https,
    /// `ssl-verify-client`: the client has shown a valid certificate.
    ClientCertificate,
    /// `expr`: an expression is true.
    Expr(Expression),
    /// `valid-user`.
    ValidUser,
    /// `user`.
    User(Vec<String>),
    /// `group`: the group file names the user in one of them.
    Group(Vec<String>),
    /// `wsgi-group`: the group script names one of them for the user.
    ScriptGroup(Vec<String>),
    /// A rule that cannot be asked here. It never admits anybody, and never holds where it is negated.
    Unknown(String),
}

/// What a rule, or a group of rules, says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Admitted.
    Granted,
    /// Not admitted.
    Denied,
    /// Not admitted as long as the user is not known.
    NoUser,
    /// It says nothing: a negated rule that does not hold.
    Neutral,
}

/// The user of a request, with the groups that were looked up for the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// Groups in which the group file names the user.
    pub groups: Vec<String>,
    /// Groups that the group script names.
    pub script_groups: Vec<String>,
}

/// A request, and its user as soon as there is one.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The request.
    pub facts: &'a dyn Facts,
    /// The user.
    pub person: Option<&'a Person>,
}

impl Rule {
    /// Reads the words of `Require`; true: `not` stands before the rule.
    pub fn parse(words: &[&str]) -> Result<(bool, Self), Mistake> {
        let negate = words.first().is_some_and(|word| word.eq_ignore_ascii_case("not"));
        let at = usize::from(negate);
        let Some((&name, rest)) = words.get(at..).and_then(<[_]>::split_first) else {
            return Err(Mistake::new("Require not names no rule"));
        };
        let texts = || rest.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let rule = match name.to_ascii_lowercase().as_str() {
            "all" => match rest {
                [word] if word.eq_ignore_ascii_case("granted") => Self::All(true),
                [word] if word.eq_ignore_ascii_case("denied") => Self::All(false),
                _ => {
                    let shown = rest.first().map_or("nothing".to_owned(), |word| format!("`{word}`"));
                    let message = format!("Require all takes granted or denied, not {shown}");
                    return Err(Mistake::new(message).at(if rest.is_empty() { at } else { at + 1 }));
                }
            },
            "ip" if rest.is_empty() => return Err(Mistake::new("Require ip names no address").at(at)),
            "ip" => Self::Ip(networks(rest, at + 1)?),
            "local" => Self::Local,
            "host" | "forward-dns" if !rest.is_empty() && rest.iter().all(|word| is_localhost(word)) => {
                Self::Ip(localhost().to_vec())
            }
            "env" => Self::Env(texts()),
            "method" => {
                if let Some(word) = rest.iter().position(|word| word.bytes().any(|b| !b.is_ascii_uppercase()))
                {
                    let message = format!("`{}` is no method; methods are in capitals", rest[word]);
                    return Err(Mistake::new(message).at(at + 1 + word));
                }
                Self::Method(texts())
            }
            "ssl" => Self::Https,
            "ssl-verify-client" => Self::ClientCertificate,
            "expr" if rest.is_empty() => return Err(Mistake::new("Require expr names no expression").at(at)),
            "expr" => Self::Expr(Expression::new(&rest.join(" ")).map_err(|mistake| mistake.at(at + 1))?),
            "valid-user" => Self::ValidUser,
            "user" => Self::User(texts()),
            "group" => Self::Group(texts()),
            "wsgi-group" => Self::ScriptGroup(texts()),
            _ => Self::Unknown(name.to_owned()),
        };
        Ok((negate, rule))
    }

    /// Whether the answer depends on nothing but the rule.
    pub fn fixed(&self) -> Option<bool> {
        match self {
            Self::All(granted) => Some(*granted),
            _ => None,
        }
    }

    /// The answer for a request. `negated`: it stands under a negation, where an answer that nobody knows must hold, so that
    /// it turns the client away.
    pub(super) fn ask(&self, asker: &Asker<'_>, negated: bool) -> Verdict {
        let facts = asker.facts;
        let holds = match self {
            Self::All(granted) => *granted,
            Self::Ip(networks) => match facts.client() {
                Some(client) => networks.iter().any(|network| network.contains(client)),
                // The peer of a Unix socket has no address.
                None => negated,
            },
            Self::Local => is_local(facts).unwrap_or(negated),
            Self::Env(names) => names.iter().any(|name| facts.env().get(name).is_some()),
            Self::Method(list) => methods::holds(list, facts.method()),
            Self::Https => facts.https(),
            Self::ClientCertificate => {
                facts.tls_variable("SSL_CLIENT_VERIFY").is_some_and(|verified| verified == "SUCCESS")
            }
            Self::Expr(expression) => {
                let user = asker.person.map(|person| person.name.as_str()).or_else(|| facts.user());
                // One that cannot be evaluated is an answer that nobody knows.
                let view = View { user, ..View::of(facts) };
                let holds = expression.answer(view).map_or(negated, |answer| answer.holds);
                if !holds && user.is_none() && expression.asks_for_user() {
                    return Verdict::NoUser;
                }
                holds
            }
            Self::Unknown(_) => negated,
            Self::ValidUser | Self::User(_) | Self::Group(_) | Self::ScriptGroup(_) => {
                let Some(person) = asker.person else { return Verdict::NoUser };
                match self {
                    Self::User(names) => names.contains(&person.name),
                    Self::Group(names) => names.iter().any(|name| person.groups.contains(name)),
                    Self::ScriptGroup(names) => names.iter().any(|name| person.script_groups.contains(name)),
                    _ => true,
                }
            }
        };
        if holds { Verdict::Granted } else { Verdict::Denied }
    }
}

/// Reads networks; `at` is the place of the first word.
pub(super) fn networks(words: &[&str], at: usize) -> Result<Vec<Network>, Mistake> {
    let network = |(index, word): (usize, &&str)| {
        Network::parse(word).map_err(|why| {
            let mistake = Mistake::new(format!("`{word}`: {why}")).at(at + index);
            mistake.hint("such as 192.0.2.1, 192.0.2, 192.0.2.0/24 or 2001:db8::/32")
        })
    };
    words.iter().enumerate().map(network).collect()
}

/// A loopback address, or the address that the client connected to. `None` on a Unix socket: its peer is mostly a proxy, whose
/// clients may be anywhere.
fn is_local(facts: &dyn Facts) -> Option<bool> {
    let client = facts.client()?.to_canonical();
    let loopback = match client {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    };
    Some(loopback || facts.local().is_some_and(|local| local.ip().to_canonical() == client))
}
