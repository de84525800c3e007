//! `RewriteEngine` and its relatives.

use super::{at, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::site::Scope as Place;
use crate::token::{Split, Word};
use crate::values;
use gk_rules::rewrite::Rewrite;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);
const SECTION: Contexts = Contexts::SECTION.or(Contexts::HTACCESS);
const RAW: Arity = Arity { least: 2, most: usize::MAX, split: Split::Raw };

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("RewriteEngine", "On|Off", ANY, Arity::exactly(1), engine)
        .default("Off")
        .doc("Turns RewriteRule on or off. A section inherits the setting; a virtual host inherits it, too, but none of the main \
              server's rules."),
    Directive::honoured("RewriteRule", "pattern substitution [flags]", ANY, RAW, rule)
        .doc("Changes the path of requests that match a regular expression. Outside of sections it is tried on the URL path before \
              aliases and scripts, and without the flag `PT` the result is a file below DocumentRoot (or of the file system, if its first \
              directory exists), past every alias, as with Apache. In a section it is tried on the file's path, without the section's \
              directory; the result begins again as another request within the server, at most 10 times.\n\nFlags: `B`, `BCTLS`, \
              `BNE`, `BNP`, `C`, `CO`, `DPI`, `E`, `END`, `F`, `G`, `H`, `L`, `N` (at most 1000 rounds), `NC`, `NE`, `NS`, `PT`, `QSA`, `QSD`, \
              `QSL`, `R`, `S`, `T`, `UnsafeAllow3F`, `UnsafePrefixStat`. `P` is an error: a proxy in front answers such paths."),
    Directive::honoured("RewriteCond", "text pattern [flags]", ANY, RAW, condition)
        .doc("A condition of the next RewriteRule. The text may hold `$1` of the rule, `%1` of the condition before, `%{VARIABLE}`, \
              `%{HTTP:header}`, `%{ENV:variable}` and `${map:key}`. The pattern is a regular expression, `-f`, `-d`, `-s`, `-l`, `-x`, a \
              comparison (`=text`, `<text`, `>text`, `<=`, `>=`, `-eq1`, `-ne1`, `-lt1`, `-le1`, `-gt1`, `-ge1`), with `!` before it for \
              what does not match; `RewriteCond expr \"expression\"` is about an expression. Flags: `NC`, `OR`, `NV`. A variable that does \
              not exist is empty; `%{LA-U:…}`, `-U` and `-F` are errors. `%{TIME_…}` are in UTC."),
    Directive::honoured("RewriteBase", "url-path", SECTION, Arity::exactly(1), base)
        .doc("URL of a section's directory, for results that lie in it."),
    Directive::honoured("RewriteOptions", "option …", ANY, Arity::at_least(1), options)
        .doc("`Inherit`, `InheritBefore`, `InheritDown`, `InheritDownBefore`, `IgnoreInherit`: whether rules of the outer scope count \
              beside the own ones. `AllowNoSlash`, `IgnoreContextInfo`, `MergeBase` as with Apache; `AllowAnyURI`, `LegacyPrefixDocRoot`, \
              `LongURLOptimization` and `MaxRedirects` have no effect."),
    Directive::honoured("RewriteMap", "name int:function", Contexts::SERVER, Arity::between(2, 3), map)
        .doc("A map for `${name:key|default}`: `int:tolower`, `int:toupper`, `int:escape`, `int:unescape`. Other maps are an error."),
];

/// The rewriting rules of the innermost scope.
fn rewrite<'a>(scope: &'a mut Scope) -> &'a mut Rewrite {
    let directory = scope.section.map(|index| {
        let path = match &scope.host().sections[index].section.scope {
            Place::Location(path)
            | Place::LocationMatch(path)
            | Place::Directory(path)
            | Place::DirectoryMatch(path)
            | Place::Files(path)
            | Place::FilesMatch(path) => path.as_str(),
            // No path begins like that, so that rules see it whole, as with Apache.
            Place::If(_) => "*If",
        };
        format!("{}/", path.strip_suffix('/').unwrap_or(path))
    });
    // As in Apache a directive in a section counts as one of the host.
    scope.host().base.rules.rewrite.own = true;
    let rewrite = &mut scope.settings().rules.rewrite;
    rewrite.directory = directory;
    rewrite
}

fn engine(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch("RewriteEngine", &words[0], &words[0].text)?;
    rewrite(scope).engine = Some(on);
    Ok(())
}

fn rule(scope: &mut Scope, words: &[Word]) -> Applied {
    check_maps(scope, words)?;
    rewrite(scope).add_rule(&texts(words)).map_err(at(words))
}

fn condition(scope: &mut Scope, words: &[Word]) -> Applied {
    check_maps(scope, words)?;
    rewrite(scope).add_condition(&texts(words)).map_err(at(words))
}

fn options(scope: &mut Scope, words: &[Word]) -> Applied {
    rewrite(scope).add_options(&texts(words)).map_err(at(words))
}

fn map(scope: &mut Scope, words: &[Word]) -> Applied {
    rewrite(scope).add_map(&texts(words)).map_err(at(words))
}

fn base(scope: &mut Scope, words: &[Word]) -> Applied {
    let base = &words[0].text;
    if !base.starts_with('/') {
        let message = format!("RewriteBase takes a URL path that begins with a slash, not `{base}`");
        return Err(Complaint::error(message).at(&words[0]));
    }
    rewrite(scope).base = Some(base.clone());
    Ok(())
}

/// Refuses a map that nobody has defined: its values would be empty.
fn check_maps(scope: &mut Scope, words: &[Word]) -> Applied {
    let main = &scope.raw.hosts[0].base.rules.rewrite;
    let own = &scope.raw.hosts[scope.host].base.rules.rewrite;
    match own.missing_map(main, &texts(words)) {
        Some(name) => {
            let word =
                words.iter().find(|word| word.text.contains(&format!("${{{name}:"))).unwrap_or(&words[0]);
            let complaint =
                Complaint::error(format!("no RewriteMap `{name}` is defined above this line")).at(word);
            Err(complaint.hint("define it outside of sections: RewriteMap NAME int:tolower"))
        }
        None => Ok(()),
    }
}
