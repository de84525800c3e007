//! How files are served: parts of them, compressed neighbours, listings of folders.

use super::{at, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use crate::values;
use gk_rules::content::served::Served;
use gk_rules::content::served::listing::Listing;
use gk_rules::content::served::ranges::Bound;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);
const ONE: Arity = Arity::exactly(1);
const SOME: Arity = Arity::at_least(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("GilkeeperPrecompressed", "br|gzip|zstd … | Off", ANY, SOME, precompressed)
        .default("Off").ours()
        .doc("Serves `style.css.br`, `style.css.gz` or `style.css.zst` in place of `style.css` to clients that accept the coding; if \
              a client accepts several equally, the first listed is used. A compressed file older than the original is not used. \
              Responses have `Vary: Accept-Encoding`, and the compressed file's entity tag with the coding appended."),
    Directive::honoured("MaxRanges", "default|none|unlimited|number", ANY, ONE, max_ranges)
        .default("200")
        .doc("Most ranges of a file in one response; for a request with more, the whole file is sent. `none` sends the whole file \
              for every request with a range."),
    Directive::honoured("MaxRangeOverlaps", "default|none|unlimited|number", ANY, ONE, max_overlaps)
        .default("20")
        .doc("Most ranges of a request that overlap or touch the previous one; with more, the whole file is sent."),
    Directive::honoured("MaxRangeReversals", "default|none|unlimited|number", ANY, ONE, max_reversals)
        .default("20")
        .doc("Most of those ranges that begin before the one that they overlap; with more, the whole file is sent."),
    Directive::honoured("IndexOptions", "[+|-]option …", ANY, SOME, index_options)
        .doc("The look of the list of a folder (`Options Indexes`): `FancyIndexing` with time and size, `HTMLTable`, `FoldersFirst`, \
              `IgnoreCase`, `VersionSort`, `NameWidth=n|*`, `Charset=`, `IgnoreClient`, `SuppressSize`, `SuppressLastModified`, \
              `SuppressDescription`, `SuppressColumnSorting`, `SuppressHTMLPreamble`, `SuppressRules`, `UseOldDateFormat`. The others \
              are about icons and change nothing. Files that a client may not have are never listed, even with `ShowForbidden`."),
    Directive::honoured("IndexOrderDefault", "Ascending|Descending Name|Date|Size|Description", ANY, Arity::exactly(2), index_order)
        .default("Ascending Name")
        .doc("The order of a listing without a choice in the query (`?C=S;O=D`)."),
    Directive::honoured("IndexIgnore", "pattern …", ANY, SOME, index_ignore)
        .doc("Names that no listing shows; `..` is the link to the parent folder. Inherited patterns also apply."),
    Directive::honoured("IndexIgnoreReset", "On|Off", ANY, ONE, index_ignore_reset)
        .default("Off")
        .doc("Whether the inherited patterns of IndexIgnore are forgotten."),
    Directive::honoured("HeaderName", "file", ANY, ONE, header_name)
        .doc("A file of the listed folder that is shown above the list: HTML unchanged, other text escaped. A server path that \
            begins with a slash is not accepted."),
    Directive::honoured("ReadmeName", "file", ANY, ONE, readme_name).doc("Like HeaderName, shown below the list."),
    Directive::honoured("IndexStyleSheet", "url-path", ANY, ONE, style_sheet).doc("The style sheet of listings."),
    Directive::honoured("IndexHeadInsert", "text", ANY, ONE, head_insert)
        .doc("HTML that is inserted unchanged into the head of listings."),
];

fn served<'a>(scope: &'a mut Scope) -> &'a mut Served {
    &mut scope.settings().served
}

fn listing<'a>(scope: &'a mut Scope) -> &'a mut Listing {
    served(scope).listing.get_or_insert_default()
}

fn precompressed(scope: &mut Scope, words: &[Word]) -> Applied {
    served(scope).add_precompressed(&texts(words)).map_err(at(words))
}

fn bound(words: &[Word], standard: u32) -> Result<Option<Bound>, Complaint> {
    Bound::parse(&words[0].text, standard).map(Some).map_err(at(words))
}

fn max_ranges(scope: &mut Scope, words: &[Word]) -> Applied {
    served(scope).ranges.parts = bound(words, 200)?;
    Ok(())
}

fn max_overlaps(scope: &mut Scope, words: &[Word]) -> Applied {
    served(scope).ranges.overlaps = bound(words, 20)?;
    Ok(())
}

fn max_reversals(scope: &mut Scope, words: &[Word]) -> Applied {
    served(scope).ranges.reversals = bound(words, 20)?;
    Ok(())
}

fn index_options(scope: &mut Scope, words: &[Word]) -> Applied {
    listing(scope).add_options(&texts(words)).map_err(at(words))
}

fn index_order(scope: &mut Scope, words: &[Word]) -> Applied {
    listing(scope).set_order(&texts(words)).map_err(at(words))
}

fn index_ignore(scope: &mut Scope, words: &[Word]) -> Applied {
    listing(scope).ignored.extend(words.iter().map(|word| word.text.clone()));
    Ok(())
}

fn index_ignore_reset(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    let listing = listing(scope);
    listing.reset = on;
    if on {
        listing.ignored.clear();
    }
    Ok(())
}

/// The name of a file beside those that are listed.
fn neighbour(scope: &mut Scope, words: &[Word]) -> Option<String> {
    let name = &words[0].text;
    let beside = !name.starts_with('/') && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !beside {
        let message = format!("{} takes a file of the listed folder, so `{name}` is not shown", scope.name);
        scope.say(Complaint::warning(message).at(&words[0]).hint("name a file within the folder"));
    }
    beside.then(|| name.clone())
}

fn header_name(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = neighbour(scope, words);
    listing(scope).header = name;
    Ok(())
}

fn readme_name(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = neighbour(scope, words);
    listing(scope).readme = name;
    Ok(())
}

fn style_sheet(scope: &mut Scope, words: &[Word]) -> Applied {
    listing(scope).style_sheet = Some(words[0].text.clone());
    Ok(())
}

fn head_insert(scope: &mut Scope, words: &[Word]) -> Applied {
    listing(scope).head_insert = Some(words[0].text.clone());
    Ok(())
}
