//! The third word of `RewriteRule` and `RewriteCond`: `[NC,R=301,L]`.

use crate::Mistake;

/// Names and values of the flags; a flag without `=` has an empty value.
pub(super) fn split<'w>(words: &[&'w str]) -> Result<Vec<(&'w str, &'w str)>, Mistake> {
    let word = match words {
        [] => return Ok(Vec::new()),
        [word] => *word,
        [_, more, ..] => {
            return Err(Mistake::new(format!("`{more}` stands behind the flags"))
                .hint("put a pattern or a text that has blanks in it into quotes"));
        }
    };
    let Some(inside) = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return Err(Mistake::new(format!("the flags `{word}` are not in brackets"))
            .hint("the third word has the form [NC,L], without blanks unless it is quoted"));
    };
    let flags = inside.split(',').map(str::trim).filter(|flag| !flag.is_empty());
    Ok(flags.map(|flag| flag.split_once('=').unwrap_or((flag, ""))).collect())
}
