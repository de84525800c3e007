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
        .doc("Changes the fields of responses. Actions: `set`, `setifempty`, `append`, `merge` (append if not yet in the list), \
            `add`, `unset`, `edit` and `edit*` (replace the first or every match of a regular expression), `echo` (copy request \
            fields whose names match). A value may contain `%{VARIABLE}e`, `%t`, `%D` and `%%`, or it is `expr=` with a text \
            that contains `%{VARIABLE}` of [expressions](conditions.md).\n\nAs with Apache, there are two tables. Rules without \
            `always` change the application's responses; the server's own pages for errors and redirections have only the fields \
            of rules with `always`. Rules cannot change fields that frame the message (`Content-Length`, `Connection` …), `Date` \
            and `Server`."),
    Directive::honoured("RequestHeader", "action name [value [replacement]] [early|env=[!]variable|expr=expression]", ANY, Arity::between(2, 5), header)
        .doc("Changes the fields of requests before the application sees them; with `early`, before anything else happens to the \
            request. Actions and values are those of Header."),
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
