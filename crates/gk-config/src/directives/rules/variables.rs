//! `SetEnvIf` and its relatives.

use super::{at, rules, texts};
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use gk_rules::variables::Condition;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("SetEnvIf", "attribute regex [!]name[=value] …", ANY, Arity::at_least(3), set_env_if)
        .doc("Sets variables if a part of the request matches: `Remote_Addr`, `Server_Addr`, `Request_Method`, `Request_Protocol`, \
              `Request_URI`, a header's name (or a regular expression over the names), or a variable that was set before. `$0` to `$9` in \
              a value are groups of the match, `!name` takes a variable away. The application finds the variables in its environ; \
              `HTTPS=on` makes its `wsgi.url_scheme` https. Outside of sections the rule is asked before the request is routed, and \
              `Request_URI` is the path as it was sent."),
    Directive::honoured("SetEnvIfNoCase", "attribute regex [!]name[=value] …", ANY, Arity::at_least(3), set_env_if)
        .doc("Like SetEnvIf, ignoring case."),
    Directive::honoured("SetEnvIfExpr", "\"expression\" [!]name[=value] …", ANY, Arity::at_least(2), set_env_if_expr)
        .doc("Sets variables if an expression is true; `$0` to `$9` in a value are groups of its last match. What an expression may hold is \
              described at [`<If>`](conditions.md)."),
    Directive::honoured("BrowserMatch", "regex [!]name[=value] …", ANY, Arity::at_least(2), set_env_if)
        .doc("`SetEnvIf User-Agent`. The variables of old workarounds (`nokeepalive`, `downgrade-1.0`, `force-response-1.0`, \
              `ssl-unclean-shutdown`) change nothing here."),
    Directive::honoured("BrowserMatchNoCase", "regex [!]name[=value] …", ANY, Arity::at_least(2), set_env_if)
        .doc("Like BrowserMatch, ignoring case."),
];

fn set_env_if_expr(scope: &mut Scope, words: &[Word]) -> Applied {
    let condition = Condition::parse_expression(&texts(words)).map_err(at(words))?;
    let place = scope.section.is_some();
    let variables = &mut rules(scope).variables;
    if place { &mut variables.place } else { &mut variables.server }.push(condition);
    Ok(())
}

fn set_env_if(scope: &mut Scope, words: &[Word]) -> Applied {
    let (browser, no_case) = (scope.name.starts_with("Browser"), scope.name.ends_with("NoCase"));
    let condition = Condition::parse(&texts(words), browser, no_case).map_err(at(words))?;
    let place = scope.section.is_some();
    let variables = &mut rules(scope).variables;
    if place { &mut variables.place } else { &mut variables.server }.push(condition);
    Ok(())
}
