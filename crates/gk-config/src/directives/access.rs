//! Access rules: `Require` and its sections, `Order`, `Allow` and `Deny`, `Satisfy`, and the methods that they are about. The rules
//! are read and answered in `gk_rules::access`. A rule that cannot be asked here is kept and admits nobody; the directives that
//! ask for users are in `users.rs`.

pub(super) mod users;

use super::rules::{at, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::nearest;
use crate::token::{Split, Word};
use crate::values;
use gk_rules::access::{Access, Branch, Clients, Merging, Methods, Rule, Together, Tree};

const AUTH: Contexts = Contexts::SECTION.or(Contexts::HTACCESS);
/// What follows `expr` is one word.
const RULE: Arity = Arity { least: 1, most: usize::MAX, split: Split::Expression };
const ONE: Arity = Arity::exactly(1);
const NONE: Arity = Arity::exactly(0);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("Require", "[not] rule [argument …]", AUTH, RULE, require)
        .default("all granted")
        .doc("A rule that decides who is served. If there are several, at least one must hold, unless a section says otherwise. \
            Rules: `all granted`, `all denied`, `ip address …` (also a network or the first numbers of an address), `local`, \
            `env variable …`, `method name …`, `ssl`, `ssl-verify-client` (with a valid certificate), `expr expression` (see \
            [conditional sections](conditions.md); it may stand in quotes), `valid-user`, `user name …`, `group name …` (of \
            AuthGroupFile), `wsgi-group name …` (of WSGIAuthGroupScript). `not` refuses clients for whom the rule holds, and \
            by itself admits nobody. Any other rule (`host`, `ldap-group` …) is not supported: it admits nobody, with a \
            warning. The rules of an inner scope replace those around it, unless AuthMerging says otherwise."),
    Directive::honoured("<RequireAll>", "", AUTH, NONE, open_group)
        .doc("None of these rules may fail, and at least one must hold."),
    Directive::honoured("<RequireAny>", "", AUTH, NONE, open_group)
        .doc("At least one of these rules must hold."),
    Directive::honoured("<RequireNone>", "", AUTH, NONE, open_group)
        .doc("None of these rules may hold. By itself it admits nobody, so put it in `<RequireAll>`."),
    Directive::honoured("AuthMerging", "Off|And|Or", AUTH, ONE, auth_merging)
        .default("Off")
        .doc("How these Require rules combine with those of outer scopes: they replace them, both must be met, or one of them."),
    Directive::honoured("<Limit>", "method …", AUTH, Arity::at_least(1), limit)
        .doc("Limits the access directives inside to requests with these methods. `GET` includes `HEAD`. Requests with other methods \
              are not protected by them."),
    Directive::honoured("<LimitExcept>", "method …", AUTH, Arity::at_least(1), limit)
        .doc("Limits the access directives inside to requests with other methods than these."),
    Directive::honoured("Satisfy", "any|all", AUTH, ONE, satisfy)
        .default("all")
        .doc("With `all`, a client must be admitted by Order, Allow and Deny and by the Require rules. With `any`, one of both is \
              enough."),
    Directive::honoured("Order", "allow,deny|deny,allow", AUTH, ONE, order)
        .default("deny,allow")
        .doc("The order in which Allow and Deny are applied; the last one wins. A client that neither matches is served with \
              `deny,allow`, and refused with `allow,deny` (also `mutual-failure`)."),
    Directive::honoured("Allow", "from all|address|env=[!]variable …", AUTH, Arity::at_least(2), allow)
        .doc("Clients that are admitted, subject to Order and Deny of the same scope: an address, its first numbers, a network, or \
              requests with a variable. Order, Allow, Deny and Satisfy of an inner scope replace those around it, and Require must pass, \
              too. Host names other than `localhost` are not looked up: they admit nobody."),
    Directive::honoured("Deny", "from all|address|env=[!]variable …", AUTH, Arity::at_least(2), deny)
        .doc("Clients that are refused, unless `Order deny,allow` and an Allow are in the same scope. Host names are not looked up: \
              a name refuses everybody."),
    Directive::honoured("AuthzSendForbiddenOnFailure", "On|Off", AUTH, ONE, send_forbidden)
        .default("Off")
        .doc("Answers 403 instead of 401 to a user who gave the right password but is not admitted."),
];

/// Returns true if a directive may refuse a client.
pub fn protects(name: &str) -> bool {
    let refusing = ["Require", "RequireAll", "RequireAny", "RequireNone", "Order", "Allow", "Deny"];
    let scripts = ["WSGIAccessScript", "WSGIAuthUserScript", "WSGIAuthGroupScript"];
    let tls = ["SSLRequireSSL", "NSSRequireSSL", "SSLVerifyClient", "NSSVerifyClient"];
    refusing.iter().chain(&scripts).chain(&tls).any(|known| known.eq_ignore_ascii_case(name))
}

/// The rules of the innermost scope.
fn access<'a>(scope: &'a mut Scope) -> &'a mut Access {
    &mut scope.settings().access
}

/// The function that ends a section of this area.
pub fn end(name: &str) -> Option<fn(&mut Scope, &[Word]) -> Applied> {
    match name {
        "<RequireAll>" | "<RequireAny>" | "<RequireNone>" => Some(close_group),
        "<Limit>" | "<LimitExcept>" => Some(end_limit),
        _ => None,
    }
}

fn require(scope: &mut Scope, words: &[Word]) -> Applied {
    let (negate, rule) = Rule::parse(&texts(words)).map_err(at(words))?;
    if let Rule::Unknown(name) = &rule {
        scope.say(not_asked(name).at(&words[usize::from(negate)]));
    }
    let methods = scope.raw.methods.clone();
    add(scope, Branch::Rule { negate, methods, rule }).map_err(at(words))
}

/// The rules that are asked.
const ASKED: &str =
    "all, ip, local, env, method, ssl, ssl-verify-client, expr, valid-user, user, group, wsgi-group";

/// Says of a rule that it is one of Apache's modules and not asked here, or that nobody knows it.
fn not_asked(name: &str) -> Complaint {
    let lower = name.to_ascii_lowercase();
    let apache =
        ["host", "forward-dns", "file-owner", "file-group", "dbm-group", "dbm-file-group", "dbd-group"];
    let known = apache.contains(&lower.as_str()) || lower.starts_with("ldap-") || lower.starts_with("dbd-");
    let message = match known {
        true => {
            format!(
                "`Require {name}` is a rule of Apache that Gilkeeper does not have: it admits nobody (403)"
            )
        }
        false => format!("`Require {name}` is no rule that is known here: it admits nobody (403)"),
    };
    let complaint = Complaint::warning(message).refuses();
    match lower.as_str() {
        "host" | "forward-dns" => {
            complaint.hint("names but localhost are not looked up here: use `Require ip` with addresses")
        }
        _ if known => {
            complaint.hint(format!("rules that are here: {ASKED}; a proxy in front can have the others"))
        }
        _ => match nearest::nearest(&lower, ASKED.split(", ")) {
            Some(near) => complaint.hint(format!("did you mean `{near}`? known: {ASKED}")),
            None => complaint.hint(format!("known: {ASKED}")),
        },
    }
}

/// Adds a rule or a section to the open section around it, else to the scope.
fn add(scope: &mut Scope, branch: Branch) -> Result<(), gk_rules::Mistake> {
    match scope.raw.require.last_mut() {
        Some(tree) => tree.add(branch),
        None => access(scope).require.get_or_insert_default().add(branch),
    }
}

fn open_group(scope: &mut Scope, _: &[Word]) -> Applied {
    let together = match scope.name {
        "<RequireAll>" => Together::All,
        "<RequireNone>" => Together::None,
        _ => Together::Any,
    };
    scope.raw.require.push(Tree::new(together));
    Ok(())
}

fn close_group(scope: &mut Scope, words: &[Word]) -> Applied {
    let Some(tree) = scope.raw.require.pop() else { return Ok(()) };
    let branch = tree.close().map_err(at(words))?;
    add(scope, branch).map_err(at(words))
}

fn auth_merging(scope: &mut Scope, words: &[Word]) -> Applied {
    access(scope).merging = Some(Merging::parse(&words[0].text).map_err(at(words))?);
    Ok(())
}

fn limit(scope: &mut Scope, words: &[Word]) -> Applied {
    if !scope.raw.methods.are_all() {
        return Err(Complaint::error(format!(
            "{} is not allowed inside <Limit> or <LimitExcept>",
            scope.name
        )));
    }
    let methods = Methods::parse(&texts(words), scope.name == "<LimitExcept>").map_err(at(words))?;
    if scope.name == "<Limit>" {
        let message = "requests with any other method pass the rules in <Limit>";
        scope.say(Complaint::note(message).hint("<LimitExcept> protects every method but those it names"));
    }
    scope.raw.methods = methods;
    Ok(())
}

fn end_limit(scope: &mut Scope, _: &[Word]) -> Applied {
    scope.raw.methods = Methods::All;
    Ok(())
}

/// The directives of Apache 2.2 in this scope so far, and the methods that the next one is about.
fn clients<'a>(scope: &'a mut Scope) -> (&'a mut Clients, Methods) {
    let methods = scope.raw.methods.clone();
    (access(scope).clients.get_or_insert_default(), methods)
}

fn order(scope: &mut Scope, words: &[Word]) -> Applied {
    let (clients, methods) = clients(scope);
    clients.order(methods, &words[0].text).map_err(at(words))
}

fn satisfy(scope: &mut Scope, words: &[Word]) -> Applied {
    let (clients, methods) = clients(scope);
    clients.satisfy(methods, &words[0].text).map_err(at(words))
}

fn allow(scope: &mut Scope, words: &[Word]) -> Applied {
    let (clients, methods) = clients(scope);
    clients.allow(&methods, &texts(words)).map_err(at(words))?;
    warn_of_names(scope, words, "nobody is admitted by one");
    Ok(())
}

fn deny(scope: &mut Scope, words: &[Word]) -> Applied {
    let (clients, methods) = clients(scope);
    clients.deny(&methods, &texts(words)).map_err(at(words))?;
    warn_of_names(scope, words, "everybody is turned away by one");
    Ok(())
}

fn warn_of_names(scope: &mut Scope, words: &[Word], consequence: &str) {
    let known = clients(scope).0.names().map(str::to_owned).collect::<Vec<_>>();
    for word in words.iter().skip(1).filter(|word| known.contains(&word.text)) {
        let message =
            format!("`{}` is a host's name, and names are not looked up here: {consequence}", word.text);
        scope.say(Complaint::warning(message).at(word).hint("use its address"));
    }
}

fn send_forbidden(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch("AuthzSendForbiddenOnFailure", &words[0], &words[0].text)?;
    access(scope).send_forbidden = Some(on);
    Ok(())
}
