//! `Header` and `RequestHeader`.

use super::{at, rules, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use gk_rules::headers::HeaderRule;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("Header", "[always|onsuccess] action name [value [replacement]] [env=[!]variable|expr=expression]", ANY, Arity::between(2, 6), header)
        .doc("Changes the fields of responses. Actions: `set`, `setifempty`, `append`, `merge` (append what is not listed yet), `add`, \
              `unset`, `edit` and `edit*` (replace the first or every match of a regular expression), `echo` (copy fields of the request \
              whose names match). A value may hold `%{VARIABLE}e`, `%t`, `%D` and `%%`, or is `expr=` and a text with `%{VARIABLE}` of [expressions](conditions.md).\n\nAs with Apache, there are two tables. What \
              the application sends is in the one that rules without `always` change; the server's own pages for errors and \
              redirections have the fields of `always` only. Fields that frame the message (`Content-Length`, `Connection` …), `Date` and \
              `Server` are the server's own."),
    Directive::honoured("RequestHeader", "action name [value [replacement]] [early|env=[!]variable|expr=expression]", ANY, Arity::between(2, 5), header)
        .doc("Changes the fields of requests before the application sees them; `early`: before anything else is done with the request. \
              Actions and values are those of Header."),
];

fn header(scope: &mut Scope, words: &[Word]) -> Applied {
    let request = scope.name == "RequestHeader";
    let rule = HeaderRule::parse(&texts(words), request).map_err(at(words))?;
    if rule.is_without_effect() {
        let message = format!(
            "{} of {} has no effect here: the server itself writes this field",
            scope.name,
            rule.name()
        );
        scope.say(Complaint::note(message));
        return Ok(());
    }
    if rule.early && scope.section.is_some() {
        return Err(Complaint::error("early is for outside of sections: the place is not known yet"));
    }
    let headers = &mut rules(scope).headers;
    if request { &mut headers.request } else { &mut headers.response }.push(rule);
    Ok(())
}
