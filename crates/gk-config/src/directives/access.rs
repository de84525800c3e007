//! Access rules. `Require all granted|denied` and Apache 2.2's `from all` are honoured. Every other rule is known, not built
//! yet, and until then *closes* the scope it stands in: what a configuration protects is never served open. A rule of
//! `Require` is one of several and may be replaced in an inner scope, as with Apache; hooks decide beside it, so what
//! closes in their place is never undone.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status, nothing};
use crate::site::ClientRules;
use crate::token::Word;
use crate::values;

const AUTH: Contexts = Contexts::SECTION.or(Contexts::HTACCESS);
const HOOKS: &str = "authentication and access hooks; until then every request in this scope is answered 403";

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("Require", "all granted|denied", AUTH, Arity::at_least(1), require)
        .default("all granted")
        .doc("Whether requests here are served at all. Rules other than `all granted` and `all denied` are not built yet: \
              they close the scope (403) with a warning."),
    Directive::honoured("<RequireAll>", "", AUTH, Arity::exactly(0), nothing)
        .doc("Rules that must all hold. Only `Require all granted|denied` is understood inside."),
    Directive::honoured("<RequireAny>", "", AUTH, Arity::exactly(0), nothing)
        .doc("Rules of which one must hold. Only `Require all granted|denied` is understood inside."),
    Directive::honoured("<RequireNone>", "", AUTH, Arity::exactly(0), close)
        .unbuilt("rules that must not hold; until then every request in this scope is answered 403")
        .doc("Rules of which none may hold."),
    Directive::honoured("WSGIAccessScript", "path [application-group=name]", AUTH, Arity::options(1), close)
        .unbuilt(HOOKS).doc("A script that decides by the client's host whether it may ask."),
    Directive::honoured("WSGIAuthUserScript", "path [application-group=name]", AUTH, Arity::options(1), close)
        .unbuilt(HOOKS).doc("A script that checks users and passwords."),
    Directive::honoured("WSGIAuthGroupScript", "path [application-group=name]", AUTH, Arity::options(1), close)
        .unbuilt(HOOKS).doc("A script that names the groups of a user."),
    Directive::inert("WSGIGroupAuthoritative", "On|Off", AUTH, "mod_wsgi stores the value and never reads it"),
    Directive::inert("AuthType", "type", AUTH, "it only counts together with a Require rule, which closes the scope"),
    Directive::inert("AuthName", "name", AUTH, "it only counts together with a Require rule, which closes the scope"),
    Directive::inert("AuthBasicProvider", "provider …", AUTH, "it only counts together with a Require rule, which closes the scope"),
    Directive::inert("AuthDigestProvider", "provider …", AUTH, "it only counts together with a Require rule, which closes the scope"),
    Directive::inert("AuthUserFile", "path", AUTH, "it only counts together with a Require rule, which closes the scope"),
    Directive::inert("AuthGroupFile", "path", AUTH, "it only counts together with a Require rule, which closes the scope"),
    Directive::honoured("Order", "allow,deny|deny,allow", AUTH, Arity::exactly(1), order)
        .default("deny,allow")
        .doc("Which of Allow and Deny counts last. With `deny,allow`, who is neither denied nor allowed is served; with \
              `allow,deny` (also `mutual-failure`), who is not allowed or is denied is not."),
    Directive::honoured("Allow", "from all", AUTH, Arity::at_least(2), allow)
        .doc("Admits every client, as far as Order and Deny of the same scope let it; rules about some clients close the scope \
              (403) with a warning. Order, Allow and Deny of an inner scope replace those around it, and Require must pass, too."),
    Directive::honoured("Deny", "from all", AUTH, Arity::at_least(2), deny)
        .doc("Turns every client away, unless `Order deny,allow` and `Allow from all` stand in the same scope; rules about some \
              clients close the scope (403) with a warning."),
];

/// Returns true if a directive may refuse a client.
pub fn protects(name: &str) -> bool {
    let found = ROWS.iter().find(|row| row.name.trim_matches(['<', '>']).eq_ignore_ascii_case(name));
    found.is_some_and(|row| !matches!(row.status, Status::WithoutEffect(_)))
}

/// `granted` or `denied`, if the rule is about all.
fn about_all(words: &[Word]) -> Option<bool> {
    let [all, what] = words else { return None };
    match (all.text.to_ascii_lowercase().as_str(), what.text.to_ascii_lowercase().as_str()) {
        ("all", "granted") => Some(true),
        ("all", "denied") => Some(false),
        _ => None,
    }
}

fn require(scope: &mut Scope, words: &[Word]) -> Applied {
    if words[0].text.eq_ignore_ascii_case("all") && about_all(words).is_none() {
        let word = words.get(1).unwrap_or(&words[0]);
        let message = format!("Require all takes granted or denied, not `{}`", word.text);
        return Err(Complaint::error(message).at(word));
    }
    match about_all(words) {
        Some(granted) => scope.settings().require = Some(granted),
        // Several rules side by side: one that holds is enough, so an `all granted` stays.
        None if scope.settings().require != Some(true) => close_with_warning(scope, words),
        None => {}
    }
    Ok(())
}

/// `Require` inside `<RequireAll>` and its relatives: anything but `all granted` closes the scope.
pub fn require_in_group(scope: &mut Scope, words: &[Word]) -> Applied {
    match about_all(words) {
        Some(true) => {
            scope.settings().require.get_or_insert(true);
        }
        Some(false) => scope.settings().require = Some(false),
        None => close_with_warning(scope, words),
    }
    Ok(())
}

fn close_with_warning(scope: &mut Scope, words: &[Word]) {
    warn(scope, words);
    scope.settings().require = Some(false);
}

fn warn(scope: &mut Scope, words: &[Word]) {
    let message = format!(
        "`{} {}` is not built yet: every request in this scope is answered 403",
        scope.name, words[0].text
    );
    scope.say(
        Complaint::warning(message).at(&words[0]).hint("only all granted and all denied are understood"),
    );
}

fn close(scope: &mut Scope, _: &[Word]) -> Applied {
    scope.settings().closed = true;
    Ok(())
}

/// The sum of this scope's Apache 2.2 directives so far.
fn clients<'a>(scope: &'a mut Scope) -> &'a mut ClientRules {
    scope.settings().clients.get_or_insert_default()
}

fn order(scope: &mut Scope, words: &[Word]) -> Applied {
    let orders = ["deny,allow", "allow,deny", "mutual-failure"];
    clients(scope).allow_first = values::one_of("Order", &words[0], &words[0].text, &orders)? != "deny,allow";
    Ok(())
}

fn from_all(words: &[Word]) -> bool {
    words.len() == 2
        && words[0].text.eq_ignore_ascii_case("from")
        && words[1].text.eq_ignore_ascii_case("all")
}

fn allow(scope: &mut Scope, words: &[Word]) -> Applied {
    match from_all(words) {
        true => clients(scope).allow_all = true,
        false => {
            clients(scope).allow_some = true;
            warn(scope, words);
        }
    }
    Ok(())
}

fn deny(scope: &mut Scope, words: &[Word]) -> Applied {
    clients(scope).deny = true;
    if !from_all(words) {
        warn(scope, words);
    }
    Ok(())
}
