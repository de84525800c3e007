//! Aliases that no request reaches, because others of the same host come first and have all their URLs.

use crate::diagnostic::Complaint;
use crate::directive::Scope;
use crate::place;
use crate::site::StaticAlias;
use crate::token::Word;

/// Warns if an earlier alias of the host has all URLs of a script alias.
pub(super) fn check_mount(scope: &mut Scope, url: &str, word: &Word) {
    let host = scope.host();
    let earlier_static = covering(&host.statics, url);
    let mut mounts = host.mounts.iter().map(|raw| &raw.mount);
    let earlier_mount =
        mounts.find(|mount| !mount.regex && place::covers(&mount.url, url)).map(|mount| shown(&mount.url));
    if let Some(first) = earlier_static {
        scope.say(behind_static(url, &first).at(word));
    } else if let Some(first) = earlier_mount {
        scope.say(later("WSGIScriptAlias", url, &first).at(word));
    }
}

/// Warns if an earlier alias has all URLs of a static one, and of script aliases above that this one leaves without a URL: a static
/// alias comes first, wherever it stands.
pub(super) fn check_static(scope: &mut Scope, alias: &StaticAlias, word: &Word) {
    let earlier = covering(&scope.host().statics, &alias.url);
    if let Some(first) = earlier {
        return scope.say(later("Alias", &alias.url, &first).at(word));
    }
    let mounts = scope.host().mounts.iter().filter(|raw| !raw.mount.regex);
    let covered: Vec<(String, Word)> = mounts
        .filter(|raw| place::covers(&alias.url, &raw.mount.url))
        .map(|raw| (raw.mount.url.clone(), raw.word.clone()))
        .collect();
    for (url, word) in covered {
        scope.say(behind_static(&url, &alias.url).at(&word));
    }
}

fn covering(statics: &[StaticAlias], url: &str) -> Option<String> {
    statics.iter().find(|alias| !alias.regex && place::covers(&alias.url, url)).map(|alias| alias.url.clone())
}

fn later(kind: &str, url: &str, first: &str) -> Complaint {
    let url = shown(url);
    let message = format!(
        "no request reaches this alias of {url}: `{kind} {first}` stands above it and takes its URLs"
    );
    Complaint::warning(message).hint(match first == url {
        true => "take one of them out".to_owned(),
        false => "move this line above that one".to_owned(),
    })
}

fn behind_static(url: &str, first: &str) -> Complaint {
    let url = shown(url);
    let message = format!("no request reaches this script alias of {url}: `Alias {first}` takes its URLs");
    Complaint::warning(message)
        .hint("an Alias comes before every WSGIScriptAlias, wherever it stands: give it a narrower URL path")
}

fn shown(url: &str) -> String {
    if url.is_empty() { "/".to_owned() } else { url.to_owned() }
}
