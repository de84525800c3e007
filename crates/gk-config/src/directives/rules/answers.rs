//! `ErrorDocument`.

use super::{at, rules, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("ErrorDocument", "status document", Contexts::ANY.or(Contexts::HTACCESS), Arity::exactly(2), error_document)
        .default("a short page of the server")
        .doc("The response body for an error that the server itself answers, or with `WSGIErrorOverride On` also for the \
            application's errors: a text, a path of this server, or a URL to redirect to. The server requests a path with an \
            internal GET. If an application serves it, `REDIRECT_STATUS`, `REDIRECT_URL`, `REDIRECT_QUERY_STRING` and \
            `REDIRECT_REQUEST_METHOD` describe the original request, and the client gets the application's own status. `default` \
            undoes the setting of an outer scope."),
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
