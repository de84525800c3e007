//! `Redirect` and its relatives.

use super::{at, rules, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use gk_rules::redirects::Redirect;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("Redirect", "[status] url-path URL", ANY, Arity::between(1, 3), redirect)
        .default("status temp")
        .doc("Redirects a path and everything below it to another address; the rest of the path is appended to the URL, and the \
            query stays unless the URL has its own. The status is a number, `permanent` (301), `temp` (302), `seeother` (303) \
            or `gone` (410); with a status that is not a redirection there is no URL. In a section the path may be omitted. \
            Outside sections, redirections take precedence over every alias."),
    Directive::honoured("RedirectMatch", "[status] regex URL", ANY, Arity::between(1, 3), redirect)
        .default("status temp")
        .doc("Like Redirect, for paths that match a regular expression; `$1` … `$9` in the URL are its groups."),
    Directive::honoured("RedirectPermanent", "url-path URL", ANY, Arity::exactly(2), redirect)
        .doc("`Redirect permanent`."),
    Directive::honoured("RedirectTemp", "url-path URL", ANY, Arity::exactly(2), redirect)
        .doc("`Redirect temp`."),
];

fn redirect(scope: &mut Scope, words: &[Word]) -> Applied {
    let status = match scope.name {
        "RedirectPermanent" => Some(301),
        "RedirectTemp" => Some(302),
        _ => None,
    };
    let (regex, place) = (scope.name == "RedirectMatch", scope.section.is_some());
    let redirect = Redirect::parse(&texts(words), status, regex, place).map_err(at(words))?;
    if redirect.glues() {
        let message =
            "what follows the slash of the path is put right behind the URL, which has no slash at its end";
        scope.say(Complaint::warning(message).hint("end the path and the URL with a slash, or neither"));
    }
    let redirects = &mut rules(scope).redirects;
    if place { &mut redirects.place } else { &mut redirects.server }.push(redirect);
    Ok(())
}
