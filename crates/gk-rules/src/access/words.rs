//! Access rules in words, for people who check a configuration.

use super::clients::{Clients, From, Order};
use super::{Access, AuthType, Branch, Merging, Methods, Provider, Rule, Script, Together, Tree, Users};
use std::fmt::Write as _;

impl Access {
    /// Who is served, a line for each kind of rule; none where everybody is.
    pub fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.script.is_none()
            && let Some(granted) = self.fixed()
        {
            if !granted {
                lines.push("nobody is served".to_owned());
            }
            return lines;
        }
        if let Some(clients) = &self.clients {
            lines.extend(clients.words());
        }
        if let Some(script) = &self.script {
            lines.push(format!("the access script {} admits or refuses", named(script)));
        }
        if let Some(tree) = self.require.as_ref().filter(|tree| tree.fixed() != Some(true)) {
            let also = match self.merging {
                Some(Merging::And) => " (and what is asked around)",
                Some(Merging::Or) => " (or what is asked around)",
                _ => "",
            };
            lines.push(format!("served: {}{also}", tree.words()));
            if tree.rules().iter().any(|rule| rule.asks_for_user()) {
                lines.push(self.users.words());
            }
        }
        lines
    }
}

impl Tree {
    fn words(&self) -> String {
        let alone = self.branches.len() == 1;
        let each: Vec<String> = self.branches.iter().map(|branch| branch.words(alone)).collect();
        match self.together {
            Together::Any => each.join(", or "),
            Together::All => each.join(", and "),
            Together::None => format!("nobody of: {}", each.join(", ")),
        }
    }
}

impl Branch {
    /// `alone`: nothing stands beside it.
    fn words(&self, alone: bool) -> String {
        match self {
            Self::Rule { negate, methods, rule } => {
                let not = if *negate { "not " } else { "" };
                format!("{not}{}{}", rule.words(), about(methods))
            }
            Self::Section(tree) if alone || tree.branches.len() == 1 => tree.words(),
            Self::Section(tree) => format!("({})", tree.words()),
        }
    }
}

impl Rule {
    /// Whether the user must be known.
    fn asks_for_user(&self) -> bool {
        match self {
            Self::ValidUser | Self::User(_) | Self::Group(_) | Self::ScriptGroup(_) => true,
            Self::Expr(expression) => expression.asks_for_user(),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::All(true) => "everybody".to_owned(),
            Self::All(false) => "nobody".to_owned(),
            Self::Ip(networks) => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                format!("clients at {}", networks.join(", "))
            }
            Self::Local => "clients on this machine".to_owned(),
            Self::Env(names) => format!("requests with the variable {} set", names.join(" or ")),
            Self::Method(list) => format!("requests with the method {}", list.join(" or ")),
            Self::Https => "clients that speak TLS".to_owned(),
            Self::ClientCertificate => "clients with a valid certificate".to_owned(),
            Self::Expr(expression) => format!("requests for which `{}` is true", expression.text()),
            Self::ValidUser => "every user with the right password".to_owned(),
            Self::User(names) => format!("the user {}", names.join(" or ")),
            Self::Group(names) => format!("users of the group {}", names.join(" or ")),
            Self::ScriptGroup(names) => {
                format!("users whom the group script puts into {}", names.join(" or "))
            }
            Self::Unknown(name) => format!("nobody (Gilkeeper does not have `Require {name}`)"),
        }
    }
}

impl Clients {
    fn words(&self) -> Option<String> {
        if self.fixed() == Some(true) {
            return None;
        }
        let list = |clients: &[(Methods, From)]| {
            let each: Vec<String> =
                clients.iter().map(|(methods, from)| from.words() + &about(methods)).collect();
            if each.is_empty() { "nobody".to_owned() } else { each.join(", ") }
        };
        let (allowed, denied) = (list(&self.allowed), list(&self.denied));
        let one = |order: Order| match order {
            Order::AllowDeny => format!("admitted: {allowed}; not admitted even so: {denied}"),
            Order::DenyAllow => format!("not admitted: {denied}; admitted even so: {allowed}"),
        };
        let mut words = match self.orders.as_slice() {
            [] => one(Order::default()),
            [(methods, order)] if methods.are_all() => one(*order),
            orders => {
                let each = orders.iter().map(|(methods, order)| one(*order) + &about(methods));
                each.collect::<Vec<_>>().join("; then ")
            }
        };
        for (methods, any) in &self.satisfy {
            let enough = if *any { "this or a user is enough" } else { "a user must be served, too" };
            let _ = write!(words, "; {enough}{}", about(methods));
        }
        Some(words)
    }
}

impl From {
    fn words(&self) -> String {
        match self {
            Self::All => "everybody".to_owned(),
            Self::Network(network) => network.to_string(),
            Self::Env(name) => format!("requests with the variable {name} set"),
            Self::NoEnv(name) => format!("requests without the variable {name}"),
            Self::Name(name) => format!("{name} (names are not looked up)"),
        }
    }
}

impl Users {
    fn words(&self) -> String {
        let (kind, providers) = match &self.auth_type {
            Some(AuthType::Basic) => ("Basic", self.basic.as_ref()),
            Some(AuthType::Digest) => ("Digest", self.digest.as_ref()),
            Some(AuthType::Other(name)) => {
                return format!("users: Gilkeeper does not have AuthType {name}, so nobody is one");
            }
            Some(AuthType::None) | None => {
                return "users: no AuthType asks for them, so nobody is one".to_owned();
            }
        };
        let provided = |provider: &Provider| match provider {
            Provider::File => {
                self.file.as_ref().map_or("no AuthUserFile".to_owned(), |file| file.display().to_string())
            }
            Provider::Wsgi => self
                .script
                .as_ref()
                .map_or("no WSGIAuthUserScript".to_owned(), |script| format!("the script {}", named(script))),
        };
        let providers = providers.map_or(&[Provider::File][..], Vec::as_slice);
        let providers: Vec<String> = providers.iter().map(provided).collect();
        let realm = self.realm.as_deref().map_or(String::new(), |realm| format!(" in the realm `{realm}`"));
        let mut words =
            format!("users: AuthType {kind}{realm}, passwords from {}", providers.join(", then "));
        if let Some(file) = &self.groups {
            let _ = write!(words, "; groups from {}", file.display());
        }
        if let Some(script) = &self.group_script {
            let _ = write!(words, "; groups from the script {}", named(script));
        }
        words
    }
}

/// A script with its interpreter.
fn named(script: &Script) -> String {
    match script.application_group.as_deref() {
        None | Some("" | "%{GLOBAL}") => script.path.display().to_string(),
        Some(group) => format!("{} (application group {group})", script.path.display()),
    }
}

/// The methods, where it is not about all.
fn about(methods: &Methods) -> String {
    match methods {
        Methods::All => String::new(),
        Methods::Only(list) => format!(" [{} only]", list.join(" ")),
        Methods::Except(list) => format!(" [all methods but {}]", list.join(" ")),
    }
}
