//! Users: how they are asked for their names, where passwords and groups are looked up, and the scripts that decide about access.

use super::{AUTH, access};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::directives::raw::Need;
use crate::directives::rules::{at, texts};
use crate::token::{Word, key_value};
use gk_rules::access::{AuthType, Provider, Script};

const ONE: Arity = Arity::exactly(1);
const SCRIPT: &str = "path [application-group=name]";

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("AuthType", "None|Basic|Digest", AUTH, ONE, auth_type)
        .doc("How a user sends name and password, where a Require rule asks for a user. Other types are not supported: such requests \
              are answered 500."),
    Directive::honoured("AuthName", "realm", AUTH, ONE, auth_name)
        .doc("The realm, which the client shows when it asks for the password. Required if AuthType is Basic or Digest."),
    Directive::honoured("AuthBasicProvider", "file|wsgi …", AUTH, Arity::at_least(1), basic_provider)
        .default("file")
        .doc("Where users are looked up, in this order until one provider knows the user: AuthUserFile (`file`), WSGIAuthUserScript \
              (`wsgi`)."),
    Directive::honoured("AuthDigestProvider", "file|wsgi …", AUTH, Arity::at_least(1), digest_provider)
        .default("file")
        .doc("Like AuthBasicProvider, for `AuthType Digest`."),
    Directive::honoured("AuthUserFile", "path", AUTH, ONE, user_file)
        .doc("File of users and passwords, written by `htpasswd` (bcrypt, `$apr1$`, `{SHA}`, and the system's crypt), or by \
              `htdigest` for `AuthType Digest`. A change takes effect at the next request. While the file cannot be read, requests \
              that need it are answered 500."),
    Directive::honoured("AuthGroupFile", "path", AUTH, ONE, group_file)
        .doc("File of groups for `Require group`: lines of `group: user user …`. While it cannot be read, nobody is in a group."),
    Directive::honoured("AuthDigestDomain", "url …", AUTH, Arity::at_least(1), digest_domain)
        .doc("URLs for which the client may reuse the same name and password."),
    Directive::honoured("AuthDigestNonceLifetime", "seconds", AUTH, ONE, nonce_lifetime)
        .default("300")
        .doc("The time for which a nonce may be used. 0 or less means for ever."),
    Directive::inert("AuthDigestQop", "none|auth", AUTH, "`auth` is offered, and a client without it is served, too"),
    Directive::inert("AuthDigestAlgorithm", "MD5", AUTH, "MD5 is the only one, with Apache, too"),
    Directive::inert("AuthDigestShmemSize", "size", Contexts::SERVER, "it needs no shared memory"),
    Directive::inert("AuthBasicAuthoritative", "On|Off", AUTH, "the providers named are the only ones, so the last one decides"),
    Directive::honoured("WSGIAccessScript", SCRIPT, AUTH, Arity::options(1), access_script)
        .doc("A script whose function `allow_access(environ, host)` decides whether a client has access: `True` or `None` admits it, \
              `False` answers 403. It runs in a worker of the request's process group, in the main interpreter unless \
              `application-group=` is given."),
    Directive::honoured("WSGIAuthUserScript", SCRIPT, AUTH, Arity::options(1), user_script)
        .doc("A script whose function `check_password(environ, user, password)` checks users for `AuthBasicProvider wsgi`, or \
              `get_realm_hash(environ, user, realm)` for `AuthDigestProvider wsgi`. It runs like WSGIAccessScript's."),
    Directive::honoured("WSGIAuthGroupScript", SCRIPT, AUTH, Arity::options(1), group_script)
        .doc("A script whose function `groups_for_user(environ, user)` names the groups of a user for `Require wsgi-group`. It runs like \
              WSGIAccessScript's."),
    Directive::inert("WSGIGroupAuthoritative", "On|Off", AUTH, "mod_wsgi stores the value and never reads it"),
];

fn auth_type(scope: &mut Scope, words: &[Word]) -> Applied {
    let given = AuthType::parse(&words[0].text);
    if let AuthType::Other(name) = &given {
        let message =
            format!("`AuthType {name}` is not known here: requests that need a user are answered 500");
        scope.say(Complaint::warning(message).refuses().at(&words[0]).hint("Basic and Digest are known"));
    }
    access(scope).users.auth_type = Some(given);
    Ok(())
}

fn auth_name(scope: &mut Scope, words: &[Word]) -> Applied {
    access(scope).users.realm = Some(words[0].text.clone());
    Ok(())
}

/// The providers, or a warning: an unknown one knows nobody, so the scope is closed.
fn providers(scope: &mut Scope, words: &[Word]) -> Result<Vec<Provider>, Complaint> {
    Provider::parse(&texts(words)).or_else(|mistake| {
        let complaint = at(words)(mistake);
        scope.settings().closed = true;
        scope.say(
            Complaint::warning(format!("{}: this scope is answered 403", complaint.message))
                .refuses()
                .at(&words[0]),
        );
        Ok(Vec::new())
    })
}

fn basic_provider(scope: &mut Scope, words: &[Word]) -> Applied {
    let known = providers(scope, words)?;
    access(scope).users.basic = Some(known);
    Ok(())
}

fn digest_provider(scope: &mut Scope, words: &[Word]) -> Applied {
    let known = providers(scope, words)?;
    access(scope).users.digest = Some(known);
    Ok(())
}

fn user_file(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = scope.path(&words[0].text);
    access(scope).users.file = Some(path);
    Ok(())
}

fn group_file(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = scope.path(&words[0].text);
    access(scope).users.groups = Some(path);
    Ok(())
}

fn digest_domain(scope: &mut Scope, words: &[Word]) -> Applied {
    access(scope).users.domain = Some(texts(words).join(" "));
    Ok(())
}

fn nonce_lifetime(scope: &mut Scope, words: &[Word]) -> Applied {
    let Ok(seconds) = words[0].text.parse() else {
        let message = format!("AuthDigestNonceLifetime takes seconds, not `{}`", words[0].text);
        return Err(Complaint::error(message).at(&words[0]));
    };
    access(scope).users.nonce_lifetime = Some(seconds);
    Ok(())
}

/// A script with its option.
fn script(scope: &mut Scope, words: &[Word]) -> Result<Script, Complaint> {
    let mut application_group = None;
    for word in &words[1..] {
        match key_value(word) {
            Some((key, value)) if key == "application-group" => application_group = Some(value.to_owned()),
            _ => {
                let message = format!("{} takes application-group=, not `{}`", scope.name, word.text);
                return Err(Complaint::error(message).at(word));
            }
        }
    }
    let path = scope.path(&words[0].text);
    scope.need(Need::Guard(path.clone()), &words[0]);
    Ok(Script { path, application_group })
}

fn access_script(scope: &mut Scope, words: &[Word]) -> Applied {
    let given = script(scope, words)?;
    access(scope).script = Some(given);
    Ok(())
}

fn user_script(scope: &mut Scope, words: &[Word]) -> Applied {
    let given = script(scope, words)?;
    access(scope).users.script = Some(given);
    Ok(())
}

fn group_script(scope: &mut Scope, words: &[Word]) -> Applied {
    let given = script(scope, words)?;
    access(scope).users.group_script = Some(given);
    Ok(())
}

/// `WSGIDispatchScript`, whose row stands with the other directives that choose what runs.
pub(in crate::directives) fn dispatch_script(scope: &mut Scope, words: &[Word]) -> Applied {
    let given = script(scope, words)?;
    scope.settings().dispatch = Some(given);
    Ok(())
}
