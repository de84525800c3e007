//! Files and their handlers: which files are scripts, where they may run, which file stands for a directory.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::directives::raw::HandlerUse;
use crate::site::NO_HANDLER;
use crate::token::Word;
use crate::{nearest, values};

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);
const ONE: Arity = Arity::exactly(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("SetHandler", "wsgi-script|default-handler|None", ANY, ONE, set_handler)
        .doc("The handler of all files of a scope. With `wsgi-script` they are scripts, if `Options ExecCGI` is set; `None` \
            undoes the handler of an outer scope. `default-handler` serves the files, except mounted scripts. Other handlers do \
            not exist: `check` reports an error, and with `--ignore-unknown` everything in the scope gets 403."),
    Directive::honoured("AddHandler", "handler extension …", ANY, Arity::at_least(2), add_handler)
        .doc("The handler of files with one of these extensions. Every extension of a name counts, ignoring case, and the last \
            one with a handler wins: `page.wsgi.html` is a script. `SetHandler` overrides it. Files with a handler that does not \
            exist get 403, with a warning."),
    Directive::honoured("RemoveHandler", "extension …", ANY, Arity::at_least(1), remove_handler)
        .doc("Removes the handlers of these extensions, including those of the same scope."),
    Directive::honoured("Options", "[+|-]option …", ANY, Arity::at_least(1), options)
        .default("FollowSymLinks")
        .doc("`ExecCGI` lets files with the handler `wsgi-script` run; elsewhere they get 403 (WSGI0134). Scripts of \
            `WSGIScriptAlias` run without it. `Indexes` lists a folder that has no index file (IndexOptions). `FollowSymLinks` \
            follows symbolic links on the way to a file, `SymLinksIfOwnerMatch` only links whose owner also owns the target; \
            without both, requests through a link get 403. For a link, the `<Directory>` options of the folder that contains \
            it apply. Options with `+` and `-` change the inherited ones, options without a sign replace them. Other options \
            have no effect."),
    Directive::honoured("DirectoryIndex", "name … | disabled", ANY, Arity::at_least(1), directory_index)
        .default("index.html")
        .doc("The files that are served for a directory, in the order in which they are tried. They may be scripts."),
    Directive::honoured("AcceptPathInfo", "On|Off|Default", ANY, ONE, accept_path_info)
        .default("Default")
        .doc("With `Off`, a URL path that continues after a script gets 404 (WSGI0137). After other files it always gets 404."),
];

/// `SetHandler`.
pub fn set_handler(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = words[0].text.to_ascii_lowercase();
    if name != NO_HANDLER {
        note_use(scope, &words[0], &name, true);
    }
    scope.settings().handler = Some(name);
    Ok(())
}

/// `AddHandler`.
pub fn add_handler(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = words[0].text.to_ascii_lowercase();
    note_use(scope, &words[0], &name, false);
    let handlers = scope.settings().add_handlers.get_or_insert_default();
    for word in &words[1..] {
        handlers.insert(extension(word), name.clone());
    }
    Ok(())
}

fn remove_handler(scope: &mut Scope, words: &[Word]) -> Applied {
    let removed = scope.settings().remove_handlers.get_or_insert_default();
    removed.extend(words.iter().map(extension));
    Ok(())
}

/// An extension as it is kept: lower case, without its dot.
fn extension(word: &Word) -> String {
    word.text.strip_prefix('.').unwrap_or(&word.text).to_ascii_lowercase()
}

/// Keeps the place of a handler's name: whether it is built is known when the whole configuration is.
fn note_use(scope: &mut Scope, word: &Word, name: &str, all_files: bool) {
    scope.raw.handler_uses.push(HandlerUse { word: word.clone(), name: name.to_owned(), all_files });
}

const OPTIONS: [&str; 10] = [
    "None",
    "All",
    "ExecCGI",
    "FollowSymLinks",
    "Includes",
    "IncludesNOEXEC",
    "Indexes",
    "MultiViews",
    "SymLinksIfOwnerMatch",
    "RunScripts",
];

/// Options that change something, each with those that imply it: scripts run, folders are listed, links are followed, or by owner.
const SWITCHES: [&[&str]; 4] = [
    &["execcgi", "all", "runscripts"],
    &["indexes", "all"],
    &["followsymlinks", "all"],
    &["symlinksifownermatch"],
];

fn options(scope: &mut Scope, words: &[Word]) -> Applied {
    let signed = |word: &Word| word.text.starts_with(['+', '-']);
    let absolute = !signed(&words[0]);
    // `Options All -Indexes` is allowed.
    let all_or_none = ["all", "none"].iter().any(|name| words[0].text.eq_ignore_ascii_case(name));
    // What an absolute line does not name is off.
    let mut switches = [absolute.then_some(false); SWITCHES.len()];
    for (index, word) in words.iter().enumerate() {
        if signed(word) == absolute && !(all_or_none && index > 0) {
            let message = "either all options of a line begin with + or -, or none does";
            return Err(Complaint::error(message).at(word));
        }
        let name = word.text.trim_start_matches(['+', '-']);
        if !OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let complaint = Complaint::error(format!("Options has no option `{name}`")).at(word);
            return Err(match nearest::nearest(name, OPTIONS.iter().copied()) {
                Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                None => complaint.hint(format!("known: {}", OPTIONS.join(", "))),
            });
        }
        let on = !word.text.starts_with('-');
        for (switch, names) in switches.iter_mut().zip(SWITCHES) {
            if names.iter().any(|other| name.eq_ignore_ascii_case(other)) {
                *switch = Some(on);
            }
        }
    }
    let [exec, indexes, follow, follow_own] = switches;
    let settings = scope.settings();
    settings.exec_cgi = exec.or(settings.exec_cgi);
    let served = &mut settings.served;
    served.indexes = indexes.or(served.indexes);
    served.follow_links = follow.or(served.follow_links);
    served.follow_own_links = follow_own.or(served.follow_own_links);
    Ok(())
}

fn directory_index(scope: &mut Scope, words: &[Word]) -> Applied {
    let names = scope.settings().directory_index.get_or_insert_default();
    match words {
        [only] if only.text.eq_ignore_ascii_case("disabled") => names.clear(),
        _ => names.extend(words.iter().map(|word| word.text.clone())),
    }
    Ok(())
}

fn accept_path_info(scope: &mut Scope, words: &[Word]) -> Applied {
    let value = values::one_of("AcceptPathInfo", &words[0], &words[0].text, &["on", "off", "default"])?;
    scope.settings().accept_path_info = Some(value != "off");
    Ok(())
}
