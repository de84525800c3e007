//! `ErrorDocument`.

use super::{at, rules, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("ErrorDocument", "status document", Contexts::ANY.or(Contexts::HTACCESS), Arity::exactly(2), error_document)
        .default("a short page of the server's own")
        .doc("The answer for an error that the server itself answers, and with `WSGIErrorOverride On` for the application's errors: a \
              text, a path of this server, or a URL to redirect to. A path is asked for by a GET within the server; an application there \
              finds the first request in `REDIRECT_STATUS`, `REDIRECT_URL`, `REDIRECT_QUERY_STRING` and `REDIRECT_REQUEST_METHOD`, and its \
              own status is the one that the client gets. `default` takes an outer document back."),
];

fn error_document(scope: &mut Scope, words: &[Word]) -> Applied {
    match gk_rules::answers::parse(&texts(words)).map_err(at(words))? {
        Some((status, document)) => {
            rules(scope).documents.insert(status, document);
        }
        None => scope.say(Complaint::warning(
            "a URL for 401 is ignored, as with Apache: the client could not log in any more",
        )),
    }
    Ok(())
}
